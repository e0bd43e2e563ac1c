"""Heads of the paper, where the frameworks' own differ. Each needs its framework and is imported if that works.

With a default scope, such as mmpretrain's, only the heads of that framework are imported here, since the others would import
theirs; they follow when a config names one (:class:`mvit3_bench.registry.LazyRegistry`).
"""
import functools
import logging
from importlib import import_module
from importlib.util import find_spec

from mmengine.logging import print_log
from mmengine.registry import DefaultScope

from .. import model_zoo

FRAMEWORKS = dict(mmseg=('seg', 'seg_test'), mmpretrain=('cls',), mmdet=('ssdlite',))


@functools.cache
def load(framework: str) -> None:
    """Import the heads for a framework, if it is installed."""
    if not find_spec(framework):
        return
    try:
        for module in FRAMEWORKS[framework]:
            import_module(f'{__name__}.{module}')
        if framework == 'mmpretrain':
            model_zoo.register()
    except Exception as error:  # a broken mmseg, whatever it raises, must not stop a user of mmdet
        print_log(f'The heads of mvit3_bench for {framework} are not available, since it cannot be imported: {error}',
                  logger='current', level=logging.WARNING)


_scope = DefaultScope.get_current_instance()
for _framework in FRAMEWORKS:
    if _scope is None or _scope.scope_name == _framework:
        load(_framework)
