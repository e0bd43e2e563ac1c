"""What lets today's torch and mmcv-lite work with the released OpenMMLab packages.

Importing this module is all there is to do; a second import changes nothing. It does five things:

1. **mmcv-lite.** mmdet and mmseg import `mmcv._ext`, the compiled operators that mmcv-lite leaves
   out. A stand-in takes its place, with the operators our recipes need built on torchvision and
   torch. A real `mmcv._ext` is never replaced.
2. **Resuming.** Since torch 2.6 `torch.load` refuses every type it does not know, and a checkpoint
   of MMEngine 0.10.7 holds a few of those. We name them to torch, and only in a form that cannot
   run code. The safety stays on.
3. **Untrusted checkpoints.** MMEngine's own loads go through `mvit3_bench.checkpoints`, which looks at
   a file before it loads it (docs/security.md). With MVIT3_BENCH_LOADERS=0 in the environment they are left alone.
4. **The forks.** A config with a base of mmsegmentation's, `mmseg::...`, is found with onedl-mmengine too.
5. **transformers.** A newer one, which exporters bring, breaks the import of mmpretrain by its multimodal models: they are
   left out.

This imports mmengine and torch; mmcv if it is installed; torchvision once an operator needs it.
"""
import os

from ..checkpoints import loaders
from .ext_stand_in import install_ext_stand_in
from .forks import name_mmseg
from .multimodal import leave_out_multimodal
from .resume_types import allow_checkpoint_types

install_ext_stand_in()
allow_checkpoint_types()
if os.environ.get('MVIT3_BENCH_LOADERS') != '0':  # our own commands install it all the same
    loaders.install()
name_mmseg()
leave_out_multimodal()
