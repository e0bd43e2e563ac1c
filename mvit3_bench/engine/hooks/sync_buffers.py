"""Running statistics that are the same in all processes, where batch norms are not synchronised."""
from mmengine import hooks
from mmengine.dist import all_reduce_params
from mmengine.runner import Runner

from ...registry import HOOKS


@HOOKS.register_module()
class SyncBuffersHook(hooks.SyncBuffersHook):
    """MMEngine's hook, which averages the running statistics over all processes after each epoch, and those of EMA as well.

    Without it, each process would validate a different model, and the checkpoint would be that of the first process.
    """

    def _average_ema(self, runner: Runner) -> None:
        for hook in runner.hooks:
            if isinstance(hook, hooks.EMAHook):
                all_reduce_params(hook.ema_model.buffers(), op='mean')

    def after_train_epoch(self, runner: Runner) -> None:
        super().after_train_epoch(runner)
        self._average_ema(runner)

    def before_val_epoch(self, runner: Runner) -> None:
        if not self.called_in_train:
            self._average_ema(runner)
        super().before_val_epoch(runner)
