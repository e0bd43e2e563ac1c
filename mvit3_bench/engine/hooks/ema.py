"""The average of the weights as published."""
from mmengine import hooks

from ...registry import HOOKS


@HOOKS.register_module()
class EMAHook(hooks.EMAHook):
    """MMEngine's average, which here starts from the initial weights, like the published one.

    MMEngine's first update copies the weights of after the first step instead. With ``interval`` (accumulated gradients)
    an update follows each step of the optimiser at once. Arguments are those of :class:`mmengine.hooks.EMAHook`.
    """

    def before_run(self, runner) -> None:
        """Copy the model, as MMEngine does, and count the copy as the first update."""
        super().before_run(runner)
        self.ema_model.steps.fill_(1)

    def before_train(self, runner) -> None:
        """Start from the weights that the training starts from, which were drawn or loaded since."""
        super().before_train(runner)
        if runner.iter == 0:
            self.ema_model.module.load_state_dict(self.src_model.state_dict())
