"""Exponential moving average of the weights, as published."""
from mmengine import hooks

from ...registry import HOOKS


@HOOKS.register_module()
class EMAHook(hooks.EMAHook):
    """MMEngine's average, started from the initial weights as in the published training.

    MMEngine's first update copies the weights after the first step instead. With ``interval`` (accumulated gradients)
    each step of the optimiser is followed by an update. Arguments are those of :class:`mmengine.hooks.EMAHook`.
    """

    def before_run(self, runner) -> None:
        """Copy the model, as MMEngine does, and count the copy as the first update."""
        super().before_run(runner)
        self.ema_model.steps.fill_(1)

    def before_train(self, runner) -> None:
        """Copy the initial weights of the training, which were drawn or loaded after ``before_run``."""
        super().before_train(runner)
        if runner.iter == 0:
            self.ema_model.module.load_state_dict(self.src_model.state_dict())
