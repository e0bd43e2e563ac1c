"""Our classifiers among the models that mmpretrain knows by name.

    >>> import mvit3_bench.mmlab
    >>> from mmpretrain import get_model, list_models
    >>> list_models('mvit3')
    >>> get_model('mvit3_s_in1k', backbone=dict(out_indices=(1, 2, 3, 4)))
"""
import functools
import logging

from ..utils.paths import MIM


@functools.cache
def register() -> None:
    """Add our classifiers to mmpretrain's model hub, once."""
    from mmengine.logging import print_log
    from mmpretrain.apis.model import ModelHub
    metafile = MIM / 'configs' / 'cls' / 'metafile.yml'
    if not metafile.is_file():
        print_log(f'mmpretrain.get_model does not know the models of mvit3_bench: {metafile} is missing', logger='current',
                  level=logging.WARNING)
        return
    ModelHub.register_model_index(metafile, config_prefix=MIM)
