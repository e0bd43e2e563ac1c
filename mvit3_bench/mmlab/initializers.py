"""Initialisation that MMEngine has no name for."""
from torch import nn

from ..registry import WEIGHT_INITIALIZERS


@WEIGHT_INITIALIZERS.register_module()
class TorchDefaultInit:
    """Leave every layer as PyTorch makes it, whatever the framework did since: each layer's own ``reset_parameters``.

    The published models of the v2 type start like this: their options of initialisation have no effect.

    Args:
        wholemodule: Whether the module is the whole of what is initialised; given by MMEngine.
    """

    def __init__(self, wholemodule: bool = True):
        self.wholemodule = wholemodule

    def __call__(self, module: nn.Module) -> None:
        for layer in module.modules():
            if hasattr(layer, 'reset_parameters'):
                layer.reset_parameters()

    def _get_init_info(self) -> str:
        return f'{type(self).__name__}: PyTorch\'s own'
