"""A record of each run, in its log, its folder and its checkpoints."""
import json
from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..registry import HOOKS
from .record import Record, changes, make_record, text_of

_MOST = 20  # of the differing settings that are shown


@HOOKS.register_module()
class RunRecordHook(Hook):
    """Write down what a run is made of (:mod:`mvit3_bench.engine.record`), and tell when a resumed one is made of other things.

    The record is logged at the start, written to ``run.json`` beside the log, and kept in each checkpoint as ``meta.run``.
    """

    def __init__(self):
        self.record: Record = {}

    @master_only
    def before_run(self, runner: Runner) -> None:
        """Make the record, once the loops are built."""
        self.record = make_record(runner)
        runner.logger.info(text_of(self.record))
        Path(runner.log_dir, 'run.json').write_text(json.dumps(self.record, indent=1), encoding='utf-8')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the record to what is saved."""
        checkpoint['meta']['run'] = self.record

    @master_only
    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """On resuming, warn of data and of settings that are not those of the checkpoint."""
        if not runner._resume:
            return
        meta = checkpoint.get('meta', {})
        before = meta.get('run', {}).get('data', {})
        for mode, data in self.record.get('data', {}).items():
            if mode in before and before[mode] != data:
                runner.logger.warning(
                    f'the {mode} data are not those of the checkpoint: it had {_words(before[mode])}, now there are '
                    f'{_words(data)}; to go on as before, resume with the data set as it was')
        if 'cfg' in meta and (found := changes(meta['cfg'], runner.cfg.pretty_text)):
            more = [f'and {len(found) - _MOST} more'] if len(found) > _MOST else []
            runner.logger.warning('\n  '.join(['the config is not that of the checkpoint; to go on as before, take back:',
                                               *found[:_MOST], *more]))


def _words(data: dict) -> str:
    return f'{data["samples"]} samples, hash {data["hash"]}'
