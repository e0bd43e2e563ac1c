"""timm's MobileViTs convert: ours compute what timm's compute."""
import conftest
import pytest
import torch
from mmengine.config import Config

from mvit3_bench.checkpoints import from_timm
from mvit3_bench.checkpoints.io import check_fits, read_file, write_checkpoint
from mvit3_bench.mmlab.configs import match_configs
from mvit3_bench.registry import MODELS
from mvit3_bench.results.evaluation import convert

timm = pytest.importorskip('timm', reason='timm is not installed')
pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')

NAMES = [*(f'mobilevit_{arch}' for arch in ('xxs', 'xs', 's')),
         *(f'mobilevitv2_{width}' for width in ('050', '075', '100', '125', '150', '175', '200'))]


def ours(name):
    """``mobilevitv2_050`` -> ``mvit2_0.5``."""
    arch = name.partition('_')[2]
    return f'mvit2_{int(arch) / 100}' if arch.isdigit() else f'mvit1_{arch}'


def build(name):
    """timm's model, with random weights and statistics."""
    torch.manual_seed(0)
    model = timm.create_model(name).eval()
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if value.ndim > 1:
                value.normal_(std=value[0].numel() ** -0.5)
            elif key.endswith(('running_mean', 'bias')):
                value.normal_(std=0.1)
            elif value.is_floating_point():
                value.uniform_(0.5, 1.5)
    return model


@pytest.mark.parametrize('name', NAMES)
def test_forward(name):
    """Logits and maps are timm's in double precision, also where a map has odd sizes."""
    theirs = build(name).double()
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'cls' / f'{ours(name)}_in1k.py')
    cfg.model.backbone.odd_size = 'published'
    model = MODELS.build(cfg.model | dict(_scope_='mmpretrain')).eval().double()
    model.load_state_dict(from_timm(theirs.state_dict(), 'classification'), strict=True)
    backbone = MODELS.build(dict(cfg.model.backbone, out_indices=range(5))).eval().double()
    backbone.load_state_dict(from_timm(theirs.state_dict(), 'backbone'), strict=True)
    image = torch.rand(2, 3, 128, 96, dtype=torch.double)
    with torch.no_grad():
        pairs = [(model(image, mode='tensor'), theirs(image))]
        x = theirs.stem(image)
        for our, stage in zip(backbone(image), theirs.stages, strict=True):
            x = stage(x)
            pairs.append((our, x))
    for our, their in pairs:
        assert our.shape == their.shape and (our - their).abs().max() < 1e-9 * their.std()


@pytest.mark.parametrize('name', NAMES)
def test_recognised(name):
    """Whose names, model, task and config."""
    with torch.device('meta'):
        tensors = timm.create_model(name).state_dict()
        pretrained = timm.create_model(name, num_classes=0).state_dict()
    found = match_configs(tensors)
    assert (found.names, found.model, found.task, found.num_classes) == ('timm', ours(name), 'classification', 1000)
    assert found.configs[0] == f'configs/cls/{ours(name)}_in1k.py'
    found = match_configs(pretrained, task='backbone')
    assert (found.model, found.task) == (ours(name), 'backbone')


@pytest.mark.parametrize('suffix', ['bin', 'safetensors'])
def test_tool(tmp_path, tool, suffix):
    """A file of timm's converts, in either of its formats."""
    write_checkpoint(tmp_path / f'x.{suffix}', build('mobilevit_xxs').state_dict())
    outcome = tool('convert_checkpoint', tmp_path / f'x.{suffix}', tmp_path / 'y.pth')
    assert outcome.code in (0, None), outcome.output
    assert 'mvit1_xxs, classification, 1000 classes; names: timm' in outcome.output and 'BGR' in outcome.output
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'cls' / 'mvit1_xxs_in1k.py')
    check_fits(MODELS.build(cfg.model | dict(_scope_='mmpretrain')), tmp_path / 'y.pth')


def test_left_over():
    """A tensor without a place is named, and so is a task that timm has no models for."""
    tensors = build('mobilevit_xxs').state_dict() | {'stages.2.1.extra.weight': torch.zeros(1)}
    with pytest.raises(ValueError, match='stages.2.1.extra.weight'):
        from_timm(tensors, 'classification')
    with pytest.raises(ValueError, match="task='detection'"):
        from_timm(tensors, 'detection')


def test_origin_stays_known(tmp_path, tool):
    """What was timm's is said to be, however often it is converted: our configs feed v1 another order of colours."""
    write_checkpoint(tmp_path / 'x.pth', build('mobilevit_xxs').state_dict())
    for source, target, *flags in (('x', 'y'), ('y', 'z', '--task', 'backbone')):
        outcome = tool('convert_checkpoint', tmp_path / f'{source}.pth', tmp_path / f'{target}.pth', *flags)
        assert outcome.code in (0, None) and 'take RGB, our configs' in outcome.output, outcome.output
        assert read_file(tmp_path / f'{target}.pth')['meta']['names'] == 'timm'
    with pytest.raises(ValueError, match='take RGB, and the configs of mvit1_xxs feed BGR'):
        convert(tmp_path / 'y.pth', tmp_path / 'tested.pth')
