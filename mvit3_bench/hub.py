"""Our classifiers among the models that mmpretrain knows by name.

    >>> import mvit3_bench.models
    >>> from mmpretrain import get_model, list_models
    >>> list_models('mvit3')
    >>> get_model('mvit3_s_in1k', backbone=dict(out_indices=(1, 2, 3, 4)))
"""
import functools
from pathlib import Path

# OpenMMLab's place for what a package brings besides its modules: configs, tools, model index
MIM = Path(__file__).parent / '.mim'


@functools.cache
def register() -> None:
    """Add our classifiers to mmpretrain's model hub, once."""
    from mmpretrain.apis.model import ModelHub
    ModelHub.register_model_index(MIM / 'configs' / 'cls' / 'metafile.yml', config_prefix=MIM)
