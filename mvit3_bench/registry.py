"""Our branch of MMEngine's registries: where `type='mvit3_bench.MobileViTv3'` in a config is looked up.

On the prefix `mvit3_bench.` MMEngine imports this file by its name, from any folder and in any of the frameworks, and asks
the registry of that scope below. That one imports its `locations`, where the classes register themselves, at the first
question and not before: building a backbone loads no data set.
"""
# First of all, because any class looked up here may go on to need mmcv's operators or to read a checkpoint.
import mvit3_bench.compat  # noqa: F401, I001

from importlib.util import find_spec

from mmengine.registry import DATA_SAMPLERS as ROOT_DATA_SAMPLERS
from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import TASK_UTILS as ROOT_TASK_UTILS
from mmengine.registry import TRANSFORMS as ROOT_TRANSFORMS
from mmengine.registry import VISUALIZERS as ROOT_VISUALIZERS
from mmengine.registry import Registry

DATA_SAMPLERS = Registry('data sampler', parent=ROOT_DATA_SAMPLERS, scope='mvit3_bench',
                         locations=['mvit3_bench.datasets.multi_scale'])
# one hook is mmpretrain's, and without it the segmentors need theirs all the same
HOOKS = Registry('hook', parent=ROOT_HOOKS, scope='mvit3_bench',
                 locations=['mvit3_bench.engine.label_hook', 'mvit3_bench.engine.loading_hook',
                            *(['mvit3_bench.engine.visualization_hook'] if find_spec('mmpretrain') else [])])
MODELS = Registry('model', parent=ROOT_MODELS, scope='mvit3_bench', locations=['mvit3_bench.models'])
TASK_UTILS = Registry('task util', parent=ROOT_TASK_UTILS, scope='mvit3_bench', locations=['mvit3_bench.models'])
TRANSFORMS = Registry('transform', parent=ROOT_TRANSFORMS, scope='mvit3_bench',
                      locations=['mvit3_bench.datasets.loading', 'mvit3_bench.datasets.multi_scale'])
VISUALIZERS = Registry('visualizer', parent=ROOT_VISUALIZERS, scope='mvit3_bench',
                       locations=['mvit3_bench.engine.visualizer'])
