"""placeholder"""
from mmengine.registry import MODELS as _M
from mmengine.registry import Registry
MODELS = Registry('model', parent=_M, scope='mvit3_bench', locations=['mvit3_bench.models'])
