"""Every config loads, builds and has the channel numbers and the parameter count it should have."""
import ast
from pathlib import Path

import conftest
import golden
import pytest
import torch
from mmengine.config import Config

from mvit3_bench.models.archs import get_arch
from mvit3_bench.registry import MODELS

pytest.importorskip('mmseg', reason='mmsegmentation is not installed')

CONFIGS = sorted(path for path in (conftest.ROOT / 'configs').rglob('*.py') if '_base_' not in path.parts)


def arch_of(cfg: Config):
    """The table's entry for the backbone of a config."""
    backbone = cfg.model.backbone
    return get_arch(backbone.type.rpartition('MobileViT')[2], backbone.arch)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_config(path):
    """It builds, its heads take the widths of the table, and its docstring says what it is and how to run it."""
    cfg = Config.fromfile(path)
    arch = arch_of(cfg)
    assert cfg.model.decode_head.in_channels == arch.widths[4]
    if 'auxiliary_head' in cfg.model:
        assert cfg.model.auxiliary_head.in_channels == arch.widths[3]
        assert cfg.model.auxiliary_head.channels == max(arch.widths[3] // 4, 128)
    assert cfg.model.data_preprocessor.bgr_to_rgb == (arch.channel_order == 'rgb')
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert str(path.relative_to(conftest.ROOT)) in docstring

    with torch.device('meta'):
        model = MODELS.build(cfg.model | dict(_scope_=cfg.default_scope))
    _, family, arch_name, dataset = path.stem.split('_')
    name = f'seg_deeplabv3_v{family[-1]}_{arch_name}_{dataset}'
    if name in golden.parameter_counts():
        assert sum(p.numel() for p in model.parameters()) == golden.parameter_counts()[name][0]


def test_recipe_of_ade20k():
    """The numbers of the published recipe."""
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'seg' / 'deeplabv3_mvit3_1.0_ade20k.py')
    optimizer, clip = cfg.optim_wrapper.optimizer, cfg.optim_wrapper.clip_grad
    assert (optimizer.type, optimizer.lr, optimizer.momentum, optimizer.weight_decay) == ('SGD', 0.02, 0.9, 1e-4)
    assert clip.max_norm == 10 and cfg.optim_wrapper.paramwise_cfg.norm_decay_mult == 0
    assert [s.type for s in cfg.param_scheduler] == ['CosineAnnealingLR'] and cfg.param_scheduler[0].eta_min == 2e-4
    assert cfg.train_cfg.max_epochs == 120 and cfg.auto_scale_lr.base_batch_size == 16
    assert cfg.model.backbone.output_stride == 8 and cfg.model.decode_head.dilations == (1, 12, 24, 36)
    assert cfg.model.auxiliary_head.loss_decode.loss_weight == 0.4


def test_mini_keeps_the_recipe(run_dir):
    """--mini leaves model and recipe alone, and shrinks lengths in pixels, batch, schedule and the horizon of EMA."""
    from mvit3_bench.engine.mini import to_mini
    path = conftest.ROOT / 'configs' / 'seg' / 'deeplabv3_mvit3_1.0_ade20k.py'
    full, mini = Config.fromfile(path), to_mini(Config.fromfile(path))
    for part in ('backbone', 'decode_head', 'auxiliary_head'):
        assert mini.model[part] == full.model[part]
    assert mini.optim_wrapper == full.optim_wrapper
    iterations = mini.train_cfg.max_epochs * 48 // mini.train_dataloader.batch_size
    assert 1 / mini.custom_hooks[0].momentum <= 0.05 * iterations
    assert mini.param_scheduler[0].T_max == mini.train_cfg.max_epochs
    assert mini.model.data_preprocessor.size == (96, 96) and mini.model.data_preprocessor.std == [255.0] * 3
    steps = {step.type: step for step in mini.train_dataloader.dataset.pipeline}
    assert steps['RandomResize'].scale == (144, 144) and steps['RandomResize'].max_size == 192
    assert steps['RandomCrop'].crop_size == (96, 96)
    assert Path(mini.train_dataloader.dataset.data_root).is_dir()


@pytest.mark.parametrize('processes, flags, accumulated, rate', [
    (4, [], 1, None), (1, ['auto'], 4, None), (2, ['2'], 2, None), (1, ['2', 'scale'], 2, 0.5)])
def test_effective_batch(processes, flags, accumulated, rate):
    """--accumulate and --auto-scale-lr keep the batch of 16, or the learning rate in proportion; anything else is said."""
    from mvit3_bench.engine import schedule
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'seg' / 'deeplabv3_mvit3_1.0_ade20k.py')
    assert (schedule.check_batch(cfg, processes) is None) == (processes == 4)
    if flags:
        schedule.accumulate(cfg, flags[0], processes)
        assert cfg.custom_hooks[0].interval == accumulated
    if 'scale' in flags:
        schedule.scale_lr(cfg)
        assert cfg.train_dataloader.batch_size * processes / cfg.auto_scale_lr.base_batch_size == rate
    assert cfg.optim_wrapper.get('accumulative_counts', 1) == accumulated
    assert schedule.check_batch(cfg, processes) is None
