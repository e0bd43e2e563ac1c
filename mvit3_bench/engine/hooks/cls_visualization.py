"""Drawing of mmpretrain's predictions."""
from mmpretrain.engine.hooks import VisualizationHook

from ...registry import HOOKS


@HOOKS.register_module()
class ClsVisualizationHook(VisualizationHook):
    """mmpretrain's hook with the right colours: converts the loader's BGR images to RGB. Arguments as in mmpretrain."""

    def _draw_samples(self, batch_idx, data_batch, data_samples, step=0):
        rgb = [image.flip(0) for image in data_batch['inputs']]  # each (3, H, W)
        super()._draw_samples(batch_idx, dict(data_batch, inputs=rgb), data_samples, step)
