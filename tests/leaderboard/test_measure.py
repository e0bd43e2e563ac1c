"""The command that measures the leaderboard: in turns with the anchor, checked, continued where it was interrupted."""
import json
import sys

import pytest
import torch

pytest.importorskip('timm', reason='timm is not installed')
for package in ('onnx', 'onnxscript', 'onnxruntime', 'openvino'):
    pytest.importorskip(package, reason=f'{package} is not installed')

from mvit3_bench.benchmark import timing  # noqa: E402
from mvit3_bench.cli import common, leaderboard  # noqa: E402
from mvit3_bench.leaderboard import measure, networks, prepared, record  # noqa: E402
from mvit3_bench.mmlab.backbone_names import plain_name  # noqa: E402

# the smallest of timm
ANCHOR, OTHER = 'timm/test_efficientnet', 'timm/test_resnet'
# twice, behind all tests of other rooms, the first of these ended its worker without a word; by themselves they pass
in_runtimes = pytest.mark.slow(reason='needs a process of few tests')
CELL = {'median_ms', 'quartile_1_ms', 'quartile_3_ms', 'anchor_ms', 'ratio', 'ratio_quartile_1', 'ratio_quartile_3', 'calls',
        'deviation'}


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
    """What is prepared, once for all tests."""
    return tmp_path_factory.mktemp('cache')


@pytest.fixture
def command(cache, tmp_path, monkeypatch, capsys):
    """Run the command on small images in two runtimes, without heads -> error or None, what it printed, and its file."""
    monkeypatch.setattr(measure, 'BLOCK', 0)
    monkeypatch.setattr(measure, 'BATCHES', dict(onnxruntime=(1, 2), openvino=(1,)))
    for module in (measure, record, networks):
        monkeypatch.setattr(module, 'ANCHOR', ANCHOR)
    for module in (measure, prepared):
        monkeypatch.setattr(module, 'PARTS', ('classifier',))
    monkeypatch.setattr(networks, 'listed', lambda: {ANCHOR: 64, OTHER: 64})
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def call(*args):
        file, error = tmp_path / 'leaderboard.json', None
        monkeypatch.setattr(sys, 'argv', ['mvit3', 'leaderboard', *args])
        try:
            common.run(leaderboard, 'mvit3 leaderboard', argv=[
                '--rounds', '3', '--threads', '1', '--cache', str(cache), '--out', str(file), *args])
        except SystemExit as end:
            error = end.code
        return error, capsys.readouterr().out, json.loads(file.read_text()) if file.exists() else None
    yield call
    torch.set_num_threads(threads)


@in_runtimes
def test_interrupted_and_continued(command, monkeypatch):
    """Ctrl-C at the second model keeps the first; the same command measures the second alone; cells have all figures."""
    order, measure_all = [], timing.measure

    def interrupt(cases, *args):
        order.append([case.model for case in cases])
        if len(order) == 4:  # three cells of the first
            raise KeyboardInterrupt
        measure_all(cases, *args)
    monkeypatch.setattr(timing, 'measure', interrupt)
    error, _, content = command()
    assert error == 130 and list(content['models']) == [ANCHOR]
    first = content['models'][ANCHOR]

    error, output, content = command()
    assert error is None and output.startswith(f'[2/2] {OTHER} at 64: onnxruntime ')
    assert order[4:] == [[OTHER, ANCHOR]] * 3  # in turns with the anchor
    assert content['models'][ANCHOR] == first and list(content['models']) == [ANCHOR, OTHER]
    assert set(content) == {
        'machine', 'versions', 'command', 'date', 'threads', 'rounds', 'anchor', 'anchor_spread', 'models'}
    assert (content['threads'], content['rounds'], content['anchor']) == (1, 3, ANCHOR)
    for entry in content['models'].values():
        assert set(entry) == {'size', 'parameters', 'multiply_adds', 'seconds', 'measured', 'cells', 'skipped'}
        assert not entry['skipped'] and {name: list(cells) for name, cells in entry['cells'].items()} == dict(
            onnxruntime=['1', '2'], openvino=['1'])
        for cell in (cell for cells in entry['cells'].values() for cell in cells.values()):
            assert set(cell) == CELL and cell['calls'] == 3 and 0 <= cell['deviation'] < 1e-3
            assert 0 < cell['quartile_1_ms'] <= cell['median_ms'] <= cell['quartile_3_ms']
            assert 0 < cell['ratio_quartile_1'] <= cell['ratio'] <= cell['ratio_quartile_3']
    spread = content['anchor_spread']
    assert set(spread) == {'onnxruntime/1', 'onnxruntime/2', 'openvino/1'}
    assert all(each['models'] == 2 and each['min_ms'] <= each['median_ms'] <= each['max_ms'] for each in spread.values())


def test_other_machine(command, tmp_path):
    """A file of another machine, other versions or another protocol is refused, with what differs and what to do."""
    file = tmp_path / 'leaderboard.json'
    content = record.new(5)
    content['machine']['cpu'], content['versions']['timm'] = 'Another CPU', '0.1'
    file.write_text(json.dumps(content))
    error, *_ = command()
    assert 'cpu: Another CPU there, ' in error and 'timm: 0.1 there, ' in error and 'rounds: 5 there, 3 here' in error
    assert 'threads' not in error and '--out OTHER' in error and json.loads(file.read_text()) == content
    file.write_text('{"models": []}')
    error, *_ = command()
    assert 'is no file of the leaderboard' in error


@pytest.mark.parametrize('words, found', [
    (['--models', 'timm/repvit_m0_99'], '--models timm/repvit_m0_99: no backbone has this name; the nearest: timm/re'),
    (['--models', 'torchvision/shufflenet_v3'], 'the nearest: torchvision/shufflenet_v2'),
    (['--models', 'mmdet.CSPDarknet'], 'a backbone without classifier'),
    (['--rounds', '0'], '--rounds 0 is not possible')])
def test_refused(words, found, command):
    """Before anything is measured."""
    error, _, content = command(*words)
    assert found in error and content is None


@in_runtimes
def test_wrong_outputs(cache, command, monkeypatch):
    """What a runtime computes otherwise than PyTorch is left out, with the reason; the rest of the model is measured."""
    load = measure.load_openvino
    monkeypatch.setitem(measure._LOAD, 'openvino', lambda file: lambda images: [1.01 * each for each in load(file)(images)])
    error, output, content = command('--models', OTHER)
    assert error is None
    entry = content['models'][OTHER]
    assert list(entry['cells']) == ['onnxruntime'] and list(entry['skipped']) == ['openvino']
    assert 'batch 1: its outputs deviate from those of PyTorch' in entry['skipped']['openvino'] and 'left out' in output


@in_runtimes
def test_not_built(command, monkeypatch):
    """A model that cannot be built is noted with the reason, also when it is asked for again, and the next is measured."""
    def build(name, *args):
        if name == OTHER:
            raise ValueError('no way')
        return built(name, *args)
    built = networks.build
    monkeypatch.setattr(networks, 'build', build)
    monkeypatch.setattr(networks, 'listed', lambda: {OTHER: 32, ANCHOR: 64})
    error, _, content = command()
    assert error is None and list(content['models']) == [OTHER, ANCHOR] and not content['models'][ANCHOR]['skipped']
    assert content['models'][OTHER]['skipped'] == dict(classifier='ValueError: no way')


@pytest.mark.parametrize('name, parameters, multiply_adds', [
    # timm's tables; RepViT's and MobileOne's of their papers, with the branches merged
    ('timm/mobilenetv3_large_100', 5.48, 217), ('timm/repvit_m0_9', 5.1, 816), ('timm/mobileone_s0', 2.1, 275),
    ('torchvision/shufflenet_v2_x1_0', 2.3, 146)])
def test_counts(name, parameters, multiply_adds):
    """Parameters and multiply-adds in millions, as published."""
    found = networks.build(name, 224, 'classifier').complexity()
    assert found['parameters'] / 1e6 == pytest.approx(parameters, abs=0.05)
    assert found['multiply_adds'] / 1e6 == pytest.approx(multiply_adds, rel=0.01)


@pytest.mark.parametrize('name', ['timm/repvit_m0_9', 'mvit3_xxs'])
def test_merged_and_dilated(name):
    """With a head the merged copy computes what the model computes, dilated to the same stride."""
    pytest.importorskip('mmseg', reason='mmsegmentation is not installed')
    built = networks.build(name, 256, 'deeplabv3')
    model, images = built.timed(), networks.random_images((1, 3, 128, 128))
    with torch.inference_mode():
        one, other = model.network(images)[0], model.deployed(images)[0]
    assert one.shape[-1] == 8  # output stride 16
    assert (one - other).abs().max() < 1e-3 * one.std()


@pytest.mark.slow(reason='compiles, and exports three networks')
def test_every_cell(tmp_path, monkeypatch):
    """All cells of a model of ours."""
    for package in ('mmdet', 'mmseg'):
        pytest.importorskip(package)
    monkeypatch.setattr(measure, 'BLOCK', 0)
    monkeypatch.setattr(measure, 'ANCHOR', 'mvit3_xxs')
    entry = measure.Measurer(prepared.Cache(tmp_path), 1).measure('mvit3_xxs', 256)
    assert not entry['skipped']
    assert {name: list(cells) for name, cells in entry['cells'].items()} == dict(
        onnxruntime=['1', '8'], onnxruntime_ssdlite=['1'], onnxruntime_deeplabv3=['1'], openvino=['1', '8'], compile=['1'])
    assert entry['cells']['onnxruntime_deeplabv3']['1']['parameters'] > entry['parameters']


def test_names_of_ours():
    """Measured under either spelling, a model has one entry, by which tables find it."""
    assert [plain_name(name) for name in ('mobilevitv3_s', 'mvit3_s', 'timm/mobilevitv2_050')] == [
        'mvit3_s', 'mvit3_s', 'timm/mobilevitv2_050']
