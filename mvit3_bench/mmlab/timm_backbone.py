"""Any model of timm as a backbone of OpenMMLab.

mmpretrain and mmsegmentation have a ``TIMMBackbone`` each, mmdetection none. This one serves all three, gives (B, C, H, W)
whatever layout a model works in, keeps a classifier's own pooling, and reads timm's weights from a file.
"""
from mmengine.model import BaseModule
from mmengine.runner.checkpoint import _load_checkpoint_with_prefix
from torch import Tensor

from ..checkpoints.io import filling, read_file
from ..converters.extract import extract_state_dict
from ..errors import CheckpointError
from ..registry import MODELS


@MODELS.register_module()
class TimmBackbone(BaseModule):
    """A model of timm: maps (B, C_i, H_i, W_i), or the pooled vector of a classifier.

    Args:
        model_name: As ``timm.create_model`` takes it, with or without the tag of its weights.
        out_indices: Which of the maps of ``timm.create_model(features_only=True)``; None: all.
        pooled: Whether to return what the linear layer of timm's classifier sees, (B, C), in place of maps.
        in_channels: Channels of the images.
        init_cfg: ``dict(type='Pretrained', checkpoint=FILE)`` for timm's weights of this model in a file; with ``prefix``,
            for the checkpoint of a model with this backbone. None: timm's own initialisation.
        **kwargs: More arguments of the model, such as ``drop_path_rate``.

    Attributes:
        out_indices: Of the maps that it returns.

    Raises:
        ImportError: timm is not installed.
        ValueError: ``init_cfg`` is another.
    """

    def __init__(self, model_name: str, out_indices: tuple[int, ...] | None = None, pooled: bool = False,
                 in_channels: int = 3, init_cfg: dict | None = None, **kwargs):
        import timm
        super().__init__(init_cfg)
        if init_cfg and (init_cfg.get('type') != 'Pretrained' or 'checkpoint' not in init_cfg):
            raise ValueError(f"init_cfg={init_cfg!r} is not possible; allowed: None, "
                             "dict(type='Pretrained', checkpoint=FILE)")
        self._arguments = dict(model_name=model_name, in_chans=in_channels, **kwargs)
        what = dict(num_classes=0) if pooled else dict(features_only=True)
        if out_indices is not None:
            what['out_indices'] = tuple(out_indices)
        self.network = timm.create_model(**self._arguments, **what)
        self.out_indices = () if pooled else tuple(self.network.feature_info.out_indices)

    def init_weights(self) -> None:
        """Fill the network from the file of ``init_cfg``; what it fills is logged.

        Raises:
            CheckpointError, FileNotFoundError: The file is none of this model.
        """
        if not self.init_cfg:
            return
        file, prefix = self.init_cfg['checkpoint'], self.init_cfg.get('prefix')
        with filling(self):
            found = _load_checkpoint_with_prefix(prefix, file, 'cpu') if prefix else self._of_timm(file)
            names = {_plain(key): key for key in self.state_dict()}
            self.load_state_dict({names.get(_plain(key), key): value for key, value in found.items()}, strict=False)

    def _of_timm(self, file: str) -> dict[str, Tensor]:
        """timm's weights in a file, as timm itself reads them, by timm's names."""
        import timm
        try:
            state_dict, _ = extract_state_dict(read_file(file))
            model = timm.create_model(pretrained=True, pretrained_cfg_overlay=dict(state_dict=state_dict), **self._arguments)
        except (RuntimeError, KeyError, ValueError) as error:
            raise CheckpointError(f'{file} is no checkpoint of timm\'s {self._arguments["model_name"]}: {error}', file,
                                  "set prefix='backbone.' in init_cfg for one that was trained here") from error
        return model.state_dict()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images (B, in_channels, H, W) -> maps."""
        outputs = self.network(images)
        if isinstance(outputs, Tensor):
            return (outputs,)
        if str(getattr(self.network, 'output_fmt', '')).endswith('NHWC'):
            outputs = [each.permute(0, 3, 1, 2) for each in outputs]
        return tuple(outputs)


def _plain(key: str) -> str:
    """One name for a tensor in a classifier and in the network of maps, where `stages.0.conv` is `stages_0.conv`."""
    return key.removeprefix('network.').removeprefix('model.').replace('.', '_')
