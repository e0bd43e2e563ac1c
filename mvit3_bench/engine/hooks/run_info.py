"""The run info of each run, in its log, its folder and its checkpoints."""
import json
from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...registry import HOOKS
from ..run_info import RunInfo, changes, collect_run_info, text_of

_MOST = 20  # of the differing settings that are shown


# the second name stands in the configs of work dirs that an earlier version wrote
@HOOKS.register_module(name=['RunInfoHook', 'RunRecordHook'])
class RunInfoHook(Hook):
    """Write the run info (:mod:`mvit3_bench.engine.run_info`), and warn when a resumed run differs from its checkpoint.

    The run info is logged at the start, written to ``run.json`` beside the log, and kept in each checkpoint as ``meta.run``.
    """

    def __init__(self):
        self.run_info: RunInfo = {}
        self.loaded: dict = {}  # meta of the checkpoint from which the run starts

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the checkpoint's ``meta``."""
        self.loaded = checkpoint.get('meta') or {}

    def before_train(self, runner: Runner) -> None:
        """Write the run info, and compare it with that of the checkpoint from which the run resumes."""
        self._write(runner)
        if runner._resume:
            self._compare(runner)

    def before_test(self, runner: Runner) -> None:
        """Write the run info."""
        self._write(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the run info to the checkpoint."""
        checkpoint['meta']['run'] = self.run_info

    @master_only
    def _write(self, runner: Runner) -> None:
        # after `before_run`, since resuming sets the seed
        self.run_info = collect_run_info(runner)
        runner.logger.info(text_of(self.run_info))
        Path(runner.log_dir, 'run.json').write_text(json.dumps(self.run_info, indent=1), encoding='utf-8')

    @master_only
    def _compare(self, runner: Runner) -> None:
        before = self.loaded.get('run', {}).get('data', {})
        for mode, data in self.run_info['data'].items():
            if before.get(mode, data) != data:
                runner.logger.warning(
                    f'the {mode} data are not those of the checkpoint: it had {_words(before[mode])}, now there are '
                    f'{_words(data)}; to go on as before, resume with the data set as it was')
        try:
            found = changes(self.loaded['cfg'], runner.cfg.pretty_text) if 'cfg' in self.loaded else []
        except ValueError as error:
            runner.logger.warning(f'the config in the checkpoint cannot be compared with this one: {error}')
            return
        if found:
            more = [f'and {len(found) - _MOST} more'] if len(found) > _MOST else []
            runner.logger.warning('\n  '.join(['the config is not that of the checkpoint; to go on as before, take back:',
                                               *found[:_MOST], *more]))


def _words(data: dict) -> str:
    return f'{data["samples"]} samples, hash {data["hash"]}'
