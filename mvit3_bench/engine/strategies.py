"""Runs whose config has a ``runner_type``: MMEngine's FlexibleRunner with a strategy, FSDP or DeepSpeed."""
from collections.abc import Iterator

from mmengine.config import Config
from mmengine.registry import MODELS, RUNNERS
from mmengine.runner import FlexibleRunner, Runner
from torch import device, nn

from . import cli
from .cli import UsageError
from .schedule import is_average

_FSDP, _DEEPSPEED = 'mvit3_bench.FSDPStrategy', 'DeepSpeedStrategy'
# of ours, those that need what a DeepSpeed run lacks: plain checkpoints with an optimiser, and its state at each iteration
_NOT_WITH_DEEPSPEED = ('mvit3_bench.CheckpointHook', 'mvit3_bench.StopHook')


def build_trainer(cfg: Config) -> Runner | FlexibleRunner:
    """The runner that trains a config: MMEngine's, or the one with a strategy if the config has a ``runner_type``.

    Raises:
        UsageError: The config asks for what the strategy cannot do, or an argument in it is impossible.
    """
    if 'runner_type' not in cfg:
        return cli.build_runner(cfg)
    if problem := next(_problems(cfg), None):
        raise UsageError(problem)
    if cfg.strategy.type == _FSDP:
        cfg.strategy.setdefault('sync_bn', cfg.get('sync_bn'))
    with cli.user_errors(ValueError, KeyError, TypeError, AssertionError):
        return RUNNERS.build(cfg)


def model_of(runner: Runner | FlexibleRunner) -> nn.Module:
    """The model of a runner; of a FlexibleRunner, which builds its own late, one of the same names and shapes.

    Raises:
        UsageError: An argument in the config is impossible.
    """
    if isinstance(runner.model, nn.Module):
        return runner.model
    with cli.user_errors(ValueError, KeyError, TypeError), device('meta'):
        return MODELS.build(runner.model)


def _problems(cfg: Config) -> Iterator[str]:
    """What does not go together, and the remedy; where a strategy would go on, it would train something else unnoticed."""
    kind = (cfg.get('strategy') or {}).get('type')
    if cfg.runner_type != 'FlexibleRunner' or kind not in (_FSDP, _DEEPSPEED):
        yield (f'runner_type={cfg.runner_type} with strategy.type={kind} is not supported; possible: FlexibleRunner with '
               f'{_FSDP} or {_DEEPSPEED}; without runner_type, several processes train by DistributedDataParallel')
    if cfg.launcher == 'none':
        yield f'{kind} needs a launcher: bash tools/dist_train.sh CONFIG GPUS'
    hook_configs = [*cfg.get('default_hooks', {}).values(), *cfg.get('custom_hooks', [])]
    hooks = [hook.type for hook in hook_configs]
    wrapper = cfg.optim_wrapper
    if any(map(is_average, hook_configs)):
        yield (f'EMAHook cannot average what {kind} shards: leave it out (custom_hooks=[]) and train without averaged '
               'weights, or leave runner_type out')
    if wrapper.get('clip_grad'):
        remedy = 'strategy.gradient_clipping' if kind == _DEEPSPEED else 'a run without runner_type'
        yield (f'optim_wrapper.clip_grad is of no use to {kind}, where each process would clip its shard by the norm of '
               f'that shard: set it to None; for clipping, take {remedy}')
    if kind == _DEEPSPEED:
        yield from _problems_with_deepspeed(cfg, hooks)


def _problems_with_deepspeed(cfg: Config, hooks: list[str]) -> Iterator[str]:
    if found := [name for name in hooks if name in _NOT_WITH_DEEPSPEED]:
        yield (f'default_hooks: {", ".join(found)} cannot work with {_DEEPSPEED}; '
               'take the hooks in docs/distributed.md')
    checkpoint = cfg.default_hooks.get('checkpoint') or {}
    if checkpoint.get('save_optimizer', True):
        yield (f'default_hooks.checkpoint.save_optimizer: with it {_DEEPSPEED} writes a folder of shards, which no tool '
               'here reads: set it to False')
    if cfg.get('resume'):
        yield f'--resume: a run with {_DEEPSPEED} cannot be resumed; start from its weights, load_from=CHECKPOINT'
    if cfg.optim_wrapper.type != 'DeepSpeedOptimWrapper':
        yield f'optim_wrapper.type={cfg.optim_wrapper.type} would pass {_DEEPSPEED} by: set it to DeepSpeedOptimWrapper'
    if cfg.optim_wrapper.get('accumulative_counts', 1) > 1:
        yield '--accumulate, optim_wrapper.accumulative_counts: set strategy.gradient_accumulation_steps instead'
    if cfg.get('sync_bn'):
        yield f'sync_bn={cfg.sync_bn}: {_DEEPSPEED} does not synchronise batch norms; set it to None if that is acceptable'
    if cfg.get('auto_scale_lr', {}).get('enable'):
        yield f'--auto-scale-lr: {_DEEPSPEED} would leave the learning rate as it is; set optim_wrapper.optimizer.lr'
