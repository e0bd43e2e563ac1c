"""When mmpretrain draws its results."""
from mmpretrain.engine.hooks import VisualizationHook

from ...registry import HOOKS


@HOOKS.register_module()
class ClsVisualizationHook(VisualizationHook):
    """mmpretrain's hook in the right colours: it takes the loader's BGR images for RGB. Arguments as there."""

    def _draw_samples(self, batch_idx, data_batch, data_samples, step=0):
        rgb = [image.flip(0) for image in data_batch['inputs']]  # each (3, H, W)
        super()._draw_samples(batch_idx, dict(data_batch, inputs=rgb), data_samples, step)
