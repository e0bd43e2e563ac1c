"""Are the packages there, and do they import? Needs nothing but Python itself to find out."""
import importlib
import re
import sys
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec

from ..utils.packages import distributions, named
from .finding import ERROR, INFO, OK, WARNING, Finding

_finding = partial(Finding, 'packages')
_INSTALL = "pip install -e '.[openmmlab]'"
_PYTHONS = ((3, 10), (3, 12))
_TORCH = (2, 6)
REQUIRED = ('torch', 'torchvision', 'numpy', 'cv2', 'mmengine', 'mmcv')
FRAMEWORKS = dict(mmpretrain='classification', mmdet='detection', mmseg='segmentation')
_OPTIONAL = dict(timm='to compare with its models', safetensors='to read and write *.safetensors', onnx='to export',
                 onnxscript='to export', onnxruntime='to run exported models', openvino='to run exported models')


def examine_packages(scope: str | None) -> Iterator[Finding]:
    """Python, and the packages by the names they are imported under, since the maintained forks keep these names.

    Args:
        scope: The framework that a run needs, for instance ``'mmseg'``; None if there is no run.
    """
    yield _python()
    for name in REQUIRED:
        yield _imported(name, ERROR, 'needed by every tool')
    if find_spec('mmengine') and find_spec('mmcv'):
        import mvit3_bench.compat  # noqa: F401  without it, mmdet and mmseg do not import on mmcv-lite
    for name, task in FRAMEWORKS.items():
        yield (_imported(name, ERROR if name == scope else INFO, f'needed for {task}') if scope in (name, None) else
               _listed(name, f'for {task}', _INSTALL))  # importing takes seconds
    if find_spec('mmengine') and find_spec('mmcv'):
        yield _operators()
    if find_spec('torch'):
        yield _gpu()
    for name, purpose in _OPTIONAL.items():
        yield _listed(name, purpose, f'if wanted: pip install {name}')


def _operators() -> Finding:
    """Whether mmcv's operators work: a mmcv that was compiled for another torch fails here."""
    try:
        import torch
        from mmcv.ops import nms
        boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [20, 20, 30, 30]])
        kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7]), iou_threshold=0.5)[1].tolist()
    except Exception as error:  # a library that does not fit torch fails in any way it likes
        return _finding('operators', ERROR, f'NMS fails: {type(error).__name__}: {error}',
                        f'install a torchvision or mmcv that fits this torch: {_INSTALL}')
    if kept != [0, 2]:
        return _finding('operators', ERROR, f'NMS keeps boxes {kept} in place of [0, 2]', _INSTALL)
    return _finding('operators', OK, 'NMS works')


def _gpu() -> Finding:
    """The GPUs that torch can use; without one, what training costs."""
    import torch
    if torch.cuda.is_available():
        return _finding('GPU', OK, ', '.join(torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())))
    reason = f'none that CUDA {torch.version.cuda} can use' if torch.version.cuda else 'this torch is built for the CPU'
    return _finding('GPU', INFO, f'{reason}: runs take days that take hours on a GPU; --mini takes minutes',
                    'with an NVIDIA GPU: a CUDA build of torch, and a driver for it (nvidia-smi shows it)')


def _python() -> Finding:
    found = '.'.join(map(str, sys.version_info[:3]))
    if _PYTHONS[0] <= sys.version_info[:2] <= _PYTHONS[1]:
        return _finding('Python', OK, found)
    return _finding('Python', WARNING, f'{found}; tested are 3.10 to 3.12', 'make PYTHON=python3.11')


def _imported(name: str, level: str, purpose: str) -> Finding:
    if not find_spec(name):
        return _finding(name, level, f'not installed; {purpose}', _INSTALL)
    try:
        module = importlib.import_module(name)
    except Exception as error:  # versions that do not fit each other fail in any way they like
        return _finding(name, level if level == ERROR else WARNING,
                        f'{named(name)} is installed, but importing it fails: {type(error).__name__}: {error}',
                        f'install versions that fit each other: {_INSTALL}')
    found = str(getattr(module, '__version__', named(name)))
    if name == 'torch' and tuple(map(int, re.findall(r'\d+', found)[:2])) < _TORCH:
        return _finding(name, ERROR, f'{found}, whose safe loading could be bypassed', 'pip install "torch>=2.6"')
    others = [each for each in distributions().get(name, []) if each.lower() != name]
    return _finding(name, OK, found + (f' ({", ".join(others)})' if others else ''))


def _listed(name: str, purpose: str, fix: str) -> Finding:
    """A package that the run does not need, and that is not imported."""
    return (_finding(name, INFO, named(name)) if find_spec(name) else
            _finding(name, INFO, f'not installed; needed only {purpose}', fix))
