"""Heads of the paper, where the frameworks' own differ. Each needs its framework and is imported if that works."""
import logging
from importlib import import_module
from importlib.util import find_spec

from mmengine.logging import print_log

for framework, module in (('mmseg', 'seg'), ('mmseg', 'seg_test'), ('mmpretrain', 'cls'), ('mmdet', 'ssdlite')):
    if find_spec(framework):
        try:
            import_module(f'{__name__}.{module}')
        except Exception as error:  # a broken mmseg, whatever it raises, must not stop a user of mmdet
            print_log(f'The heads of mvit3_bench for {framework} are not available, since it cannot be imported: {error}',
                      logger='current', level=logging.WARNING)
