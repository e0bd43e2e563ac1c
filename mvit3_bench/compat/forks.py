"""The maintained forks of the OpenMMLab packages: what they need to do as the released ones."""
import importlib.metadata
import importlib.util

from mmengine.config.utils import MODULE2PACKAGE


def name_mmseg() -> None:
    """Have MMEngine look for the module mmseg where there is no distribution called mmsegmentation.

    The fork's is called onedl-mmsegmentation. MMEngine takes the name of a module as well as that of a distribution.
    """
    try:
        importlib.metadata.distribution('mmsegmentation')
    except importlib.metadata.PackageNotFoundError:
        if importlib.util.find_spec('mmseg') is not None:
            MODULE2PACKAGE['mmseg'] = 'mmseg'
