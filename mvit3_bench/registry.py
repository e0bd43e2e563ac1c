"""Our branch of MMEngine's registries: where `type='mvit3_bench.MobileViTv3'` in a config is looked up.

On the prefix `mvit3_bench.` MMEngine imports this file by its name, from any folder and in any of the frameworks, and asks
the registry of that scope below. That one imports its `locations`, where the classes register themselves, at the first
question and not before: building a backbone loads no data set.
"""
# First of all, because any class looked up here may go on to need mmcv's operators or to read a checkpoint.
import mvit3_bench.compat  # noqa: F401, I001

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec

from mmengine.registry import DATA_SAMPLERS as ROOT_DATA_SAMPLERS
from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import LOOPS as ROOT_LOOPS
from mmengine.registry import METRICS as ROOT_METRICS
from mmengine.registry import MODEL_WRAPPERS as ROOT_MODEL_WRAPPERS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import PARAM_SCHEDULERS as ROOT_PARAM_SCHEDULERS
from mmengine.registry import TASK_UTILS as ROOT_TASK_UTILS
from mmengine.registry import TRANSFORMS as ROOT_TRANSFORMS
from mmengine.registry import VISUALIZERS as ROOT_VISUALIZERS
from mmengine.registry import WEIGHT_INITIALIZERS as ROOT_WEIGHT_INITIALIZERS
from mmengine.registry import Registry


class LazyRegistry(Registry):
    """A registry some of whose classes need a framework, which is imported when a config names what it lacks until then.

    Args:
        load: Imports the modules of those classes.
        **kwargs: As for :class:`mmengine.registry.Registry`.
    """

    def __init__(self, name: str, load: Callable[[], None], **kwargs):
        super().__init__(name, **kwargs)
        self._load = load

    def get(self, key: str):
        """The class of a name; see :meth:`mmengine.registry.Registry.get`."""
        self.import_from_location()
        if key.rpartition('.')[2] not in self.module_dict:
            self._load()
        return super().get(key)


def class_path(part: Mapping) -> str:
    """The class of a part of a config, such as a data set or a hook: its name, perhaps behind a scope or a module.

    It is empty if the part names none.
    """
    kind = part.get('type') or ''
    return kind if isinstance(kind, str) else f'{kind.__module__}.{kind.__name__}'


def type_name(part: Mapping) -> str:
    """The name of that class, without the scope or the module that may stand before it."""
    return class_path(part).rpartition('.')[2]


def scope_of(cfg: Mapping) -> str:
    """The scope in which a config looks up its classes."""
    return cfg.get('default_scope') or 'mmengine'


def _load_heads() -> None:
    heads = import_module('mvit3_bench.mmlab.heads')  # a location, like those below: nothing here imports a room above
    for framework in heads.FRAMEWORKS:
        heads.load(framework)


def _load_if(framework: str, module: str) -> Callable[[], None]:
    """What imports a module, if its framework is installed."""
    return lambda: import_module(module) if find_spec(framework) else None


DATA_SAMPLERS = Registry('data sampler', parent=ROOT_DATA_SAMPLERS, scope='mvit3_bench',
                         locations=['mvit3_bench.datasets.multi_scale'])
_HOOKS = ['check_invalid_loss', 'check_labels', 'check_samples', 'checkpoint', 'ema', 'preemption', 'run_info',
          'sync_buffers']
HOOKS = LazyRegistry('hook', _load_if('mmpretrain', 'mvit3_bench.engine.hooks.cls_visualization'), parent=ROOT_HOOKS,
                     scope='mvit3_bench', locations=[f'mvit3_bench.engine.hooks.{name}' for name in _HOOKS])
LOOPS = Registry('loop', parent=ROOT_LOOPS, scope='mvit3_bench', locations=['mvit3_bench.engine.loops'])
METRICS = LazyRegistry('metric', _load_if('mmdet', 'mvit3_bench.engine.metrics.coco'), parent=ROOT_METRICS,
                       scope='mvit3_bench', locations=['mvit3_bench.engine.metrics.per_image'])
MODEL_WRAPPERS = Registry('model_wrapper', parent=ROOT_MODEL_WRAPPERS, scope='mvit3_bench',
                          locations=['mvit3_bench.engine.distributed'])
MODELS = LazyRegistry('model', _load_heads, parent=ROOT_MODELS, scope='mvit3_bench', locations=['mvit3_bench.mmlab'])
PARAM_SCHEDULERS = Registry('parameter scheduler', parent=ROOT_PARAM_SCHEDULERS, scope='mvit3_bench',
                            locations=['mvit3_bench.engine.schedulers'])
TASK_UTILS = LazyRegistry('task util', _load_heads, parent=ROOT_TASK_UTILS, scope='mvit3_bench',
                          locations=['mvit3_bench.mmlab'])
_TRANSFORMS = ['transforms.loading', 'multi_scale', 'transforms.photometric', 'transforms.short_side']
TRANSFORMS = LazyRegistry('transform', _load_if('mmdet', 'mvit3_bench.datasets.transforms.ssd_crop'), parent=ROOT_TRANSFORMS,
                          scope='mvit3_bench', locations=[f'mvit3_bench.datasets.{name}' for name in _TRANSFORMS])
VISUALIZERS = Registry('visualizer', parent=ROOT_VISUALIZERS, scope='mvit3_bench',
                       locations=['mvit3_bench.visualization.visualizer'])
WEIGHT_INITIALIZERS = Registry('weight initializer', parent=ROOT_WEIGHT_INITIALIZERS, scope='mvit3_bench',
                               locations=['mvit3_bench.mmlab'])
