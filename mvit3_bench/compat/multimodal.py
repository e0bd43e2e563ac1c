"""mmpretrain's multimodal models, which a newer transformers breaks, and with them the import of mmpretrain."""
import importlib.util
import sys
from pathlib import Path

_DEPENDENCY = 'mmpretrain.utils.dependency'


def leave_out_multimodal() -> None:
    """Have mmpretrain leave out its multimodal models where the installed transformers lacks what they import.

    mmpretrain asks its module of dependencies whether to import them; the module is loaded before mmpretrain is.
    """
    package, transformers = (importlib.util.find_spec(name) for name in ('mmpretrain', 'transformers'))
    if _DEPENDENCY in sys.modules or not package or not transformers or not transformers.origin:
        return
    utils = Path(transformers.origin).with_name('modeling_utils.py')
    if utils.is_file() and 'find_pruneable_heads_and_indices' in utils.read_text(encoding='utf-8'):
        return
    spec = importlib.util.spec_from_file_location(_DEPENDENCY, Path(package.origin).parent / 'utils' / 'dependency.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.WITH_MULTIMODAL = False
    sys.modules[_DEPENDENCY] = module
