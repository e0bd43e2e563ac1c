"""torch.hub and the layout of the Hugging Face hub: the same outputs as our classifier, on the same picture in RGB."""
import importlib.util
import json

import conftest
import pytest
import torch
from test_integrations_timm import NAMES, classifier, deviation, few_names

from mvit3_bench.checkpoints.io import read_file, write_checkpoint

timm = pytest.importorskip('timm', reason='timm is not installed')
pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')


@few_names
def test_converted(tmp_path, tool, name):
    """A published file, converted for RGB, gives the same logits everywhere as our classifier on the same picture."""
    from mvit3_bench.converters import to_published
    reference = classifier(name)
    torch.save(to_published(reference.state_dict(), 'classification'), tmp_path / 'x.pt')
    for flags, target in ((['--channel-order', 'rgb'], 'x.pth'), (['--to', 'hub'], 'folder')):
        outcome = tool('convert_checkpoint', tmp_path / 'x.pt', tmp_path / target, *flags)
        assert outcome.code in (0, None), outcome.output
    bgr = reference.arch.channel_order == 'bgr'
    assert read_file(tmp_path / 'x.pth')['meta'].get('channel_order') == ('rgb' if bgr else None)
    rgb = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        wanted = reference(rgb.flip(1) if bgr else rgb)
        hub = torch.hub.load(str(conftest.ROOT), name, source='local', weights=str(tmp_path / 'x.pth'))
        local = timm.create_model(f'local-dir:{tmp_path / "folder"}', pretrained=True)
        for model in (hub, local, timm.create_model(name, checkpoint_path=str(tmp_path / 'x.pth'))):
            assert deviation(model.eval()(rgb), wanted) < 1e-5
    again = tool('convert_checkpoint', tmp_path / 'x.pth', tmp_path / 'y.pth', '--channel-order', 'rgb')
    assert again.code in (0, None), again.output
    first, second = (read_file(tmp_path / f'{file}.pth') for file in 'xy')
    assert torch.equal(*(each['state_dict']['backbone.stem.conv.weight'] for each in (first, second)))  # never turned twice
    assert first['meta'].get('channel_order') == second['meta'].get('channel_order')
    backbone = tool('convert_checkpoint', tmp_path / 'x.pth', tmp_path / 'b.pth', '--task', 'backbone')
    assert ('take RGB, our configs' in backbone.output) == bgr
    refused = tool('convert_checkpoint', tmp_path / 'x.pth', tmp_path / 'z.pth', '--reverse')
    assert (refused.code, 'turned round to take RGB' in refused.output) == ((1, True) if bgr else (0, False))


@pytest.mark.parametrize('flags, message', [
    (['--reverse', '--channel-order', 'rgb'], '--reverse excludes'),
    (['--to', 'hub', '--task', 'backbone'], '--to hub is for classifiers'),
    (['--to', 'hub', '--arch', 'mvit3_s'], 'mvit3_s')])
def test_impossible(tmp_path, tool, flags, message):
    write_checkpoint(tmp_path / 'x.pth', classifier('mobilevitv3_xxs').state_dict(), dict())
    outcome = tool('convert_checkpoint', tmp_path / 'x.pth', tmp_path / 'y', *flags)
    assert outcome.code == 1 and message in outcome.output and not (tmp_path / 'y').exists()


def test_ours(tmp_path, tool):
    """A checkpoint of a training goes to the hub's layout with its number of classes."""
    reference = classifier('mobilevitv3_xxs', num_classes=7)
    classes = [f'class {number}' for number in range(7)]
    write_checkpoint(tmp_path / 'x.pth', reference.state_dict(), dict(dataset_meta=dict(classes=classes)))
    assert tool('convert_checkpoint', tmp_path / 'x.pth', tmp_path / 'hub', '--to', 'hub').code in (0, None)
    rgb = torch.rand(1, 3, 64, 64)
    config = json.loads((tmp_path / 'hub' / 'config.json').read_text())
    assert 'model_args' not in config and config['label_names'] == classes  # for transformers
    with torch.no_grad():
        found = timm.create_model(f'local-dir:{tmp_path / "hub"}', pretrained=True).eval()(rgb)
        assert deviation(found, reference(rgb.flip(1))) < 1e-5


@few_names
@pytest.mark.parametrize('package', ['timm', 'torchvision'])
def test_back(tmp_path, tool, name, package):
    """What was trained in timm or torchvision under our names becomes a checkpoint of ours; other colours are told."""
    torchvision = pytest.importorskip('torchvision')
    reference = classifier(name)
    model = timm.create_model(name) if package == 'timm' else torchvision.models.get_model(name)
    model.load_state_dict(reference.state_dict())
    torch.save(model.state_dict(), tmp_path / 'x.pth')
    outcome = tool('convert_checkpoint', tmp_path / 'x.pth', tmp_path / 'y.pth')
    assert outcome.code in (0, None) and 'names: integrations' in outcome.output, outcome.output
    assert ('take RGB, our configs' in outcome.output) == (reference.arch.channel_order == 'bgr')
    found = read_file(tmp_path / 'y.pth')['state_dict']
    assert found.keys() == reference.state_dict().keys()
    assert all(torch.equal(value, found[key]) for key, value in reference.state_dict().items())
    backbone = tool('convert_checkpoint', tmp_path / 'x.pth', tmp_path / 'z.pth', '--task', 'backbone')
    assert backbone.code in (0, None) and ('take RGB' in backbone.output) == (reference.arch.channel_order == 'bgr')
    again = tool('convert_checkpoint', tmp_path / 'y.pth', tmp_path / 'rgb.pth', '--channel-order', 'rgb')  # which it is
    assert again.code in (0, None), again.output
    first = 'backbone.stem.conv.weight'
    assert torch.equal(read_file(tmp_path / 'rgb.pth')['state_dict'][first], reference.state_dict()[first])


def test_listed():
    """hubconf.py has all names, with a help text, and builds without weights."""
    spec = importlib.util.spec_from_file_location('hubconf', conftest.ROOT / 'hubconf.py')
    hubconf = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hubconf)
    names = {name for name, value in vars(hubconf).items() if callable(value) and not name.startswith('_')}
    assert names == set(NAMES) and 'MobileViTv3' in hubconf.mobilevitv3_s.__doc__
    assert torch.hub.load(str(conftest.ROOT), 'mobilevitv3_050', source='local', num_classes=3).head.fc.out_features == 3
