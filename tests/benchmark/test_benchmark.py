"""The benchmark times what computes the same, in turns, and reports all of it."""
import json
from types import SimpleNamespace

import conftest
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mvit3_bench.benchmark import backends, baselines, rounds, timing
from mvit3_bench.benchmark.cases import Case, Deviates, check, plan
from mvit3_bench.benchmark.compute_bound import compute_lower_bound, record
from mvit3_bench.benchmark.losses import loss_of
from mvit3_bench.benchmark.models import Network, build_models, lived_in
from mvit3_bench.deploy import fuse
from mvit3_bench.engine.run_config import read_config
from mvit3_bench.models import MobileViTv1, MobileViTv2
from mvit3_bench.models.complexity import count
from mvit3_bench.paper.published import published_top1
from mvit3_bench.registry import MODELS

CONFIGS = conftest.ROOT / 'configs'
XXS = CONFIGS / 'cls' / 'mvit1_xxs_in1k.py'
CPU = torch.device('cpu')
needs_mmpretrain = pytest.mark.skipif(not baselines.find_spec('mmpretrain'), reason='mmpretrain is not installed')


@pytest.fixture
def benchmark(tool, tmp_path, monkeypatch):
    """Run the tool with blocks of two calls on small images -> outcome and report, None if there is none."""
    monkeypatch.setattr(timing, 'BLOCK', 0)
    threads = torch.get_num_threads()

    def call(*args):
        outcome = tool('benchmark', *args, '--shape', 64, '--rounds', 2, '--threads', 1, '--out', tmp_path / 'out')
        file = tmp_path / 'out' / 'benchmark.json'
        return outcome, json.loads(file.read_text()) if file.exists() else None
    yield call
    torch.set_num_threads(threads)


@needs_mmpretrain
def test_tool(benchmark, tmp_path):
    """Each backend beside its baselines, with the same outputs; json, tables and plot."""
    pytest.importorskip('timm', reason='timm is not installed')
    outcome, content = benchmark(XXS, '--modes', 'eager', 'deploy', 'train', '--peers', 'timm', 'mmpretrain', '--kernels')
    assert outcome.code in (0, None), outcome.output
    found = {(each['owner'], each['mode']): each for each in content['contenders']}
    assert set(found) == {('ours', 'deploy'), ('ours', 'kernels'), *(
        (owner, mode) for owner in ('ours', 'timm', 'mmpretrain') for mode in ('eager', 'train'))}
    for (owner, mode), each in found.items():
        assert each['model'] == 'mvit1_xxs_in1k' and each['batch'] == 1 and each['calls'] == 4
        assert 0 < each['median_ms'] <= each['p90_ms'] and len(each['round_medians_ms']) == 2
        assert each['images_per_s'] == pytest.approx(1e3 / each['median_ms'])
        assert each['deviation'] is None if mode == 'kernels' else each['deviation'] < 1e-4
        assert each['layout'] == 'channels_last' or (owner != 'ours' and each['layout'] == 'contiguous')
    ratios = {(each['mode'], each['over']): each for each in content['ratios']}
    assert set(ratios) == {(mode, over) for mode in ('eager', 'deploy', 'train')
                           for over in ('timm', 'mmpretrain', 'kernels')} - {('train', 'kernels')}
    assert ratios['deploy', 'timm']['other_mode'] == 'eager'
    assert all(each['quartile_1'] <= each['ratio'] <= each['quartile_3'] for each in ratios.values())
    assert content['published_top1'] == {'mvit1_xxs_in1k': 69.0} and content['skipped'] == []
    assert {'cpu', 'threads', 'torch', 'timm', 'mmpretrain'} <= set(content['machine'])
    table = (tmp_path / 'out' / 'benchmark.md').read_text()
    assert table in outcome.output and table.count('| mvit1_xxs_in1k ') == 3 * 2 + 1
    assert (tmp_path / 'out' / 'benchmark.png').stat().st_size > 5000


@needs_mmpretrain
def test_exported(benchmark):
    """Ours and a baseline are exported alike; a runtime has no layout to choose."""
    for package in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(package, reason=f'{package} is not installed')
    outcome, content = benchmark(XXS, '--modes', 'onnxruntime', '--peers', 'mmpretrain')
    assert outcome.code in (0, None), outcome.output
    assert [(each['owner'], each['mode'], each['layout']) for each in content['contenders']] == [
        ('ours', 'onnxruntime', ''), ('mmpretrain', 'onnxruntime', '')]
    assert all(each['deviation'] < 1e-4 for each in content['contenders'])
    assert [each['over'] for each in content['ratios']] == ['mmpretrain']


@needs_mmpretrain
def test_paper(benchmark):
    """The six configs of the latency table; flags override parts of the protocol."""
    outcome, content = benchmark('--paper', '--batch-sizes', 1)
    assert outcome.code in (0, None), outcome.output
    assert {each['mode'] for each in content['contenders']} == {'eager'} and len(content['contenders']) == 6
    assert {name: content['published_top1'][f'mvit3_{name}_in1k'] for name in ('xxs', 's')} == dict(xxs=70.98, s=79.3)
    assert all(content['published_top1'].values())


def test_segmentor(benchmark, tmp_path):
    """Raw outputs, and steps with the losses of its heads; what cannot be run says why; no plot without an accuracy."""
    pytest.importorskip('mmseg', reason='mmsegmentation is not installed')
    outcome, content = benchmark(CONFIGS / 'seg' / 'deeplabv3_mvit3_xxs_camvid.py', '--modes', 'deploy', 'train',
                                 '--batch-sizes', 1, 2)
    assert outcome.code in (0, None), outcome.output
    assert [(each['mode'], each['batch']) for each in content['contenders']] == [('deploy', 1), ('deploy', 2), ('train', 2)]
    assert 'more than 1 value per channel' in content['skipped'][0]['reason'] and 'not run' in outcome.output
    assert not (tmp_path / 'out' / 'benchmark.png').exists()


def test_steps_of_detectors(benchmark):
    """The same head on two backbones, each in the layout that is faster for it."""
    pytest.importorskip('mmdet', reason='mmdetection is not installed')
    pytest.importorskip('timm', reason='timm is not installed')
    outcome, content = benchmark('det/ssdlite_mvit3_xxs_coco', '--backbone', 'mvit3_xxs', 'timm/mobilevit_xxs', '--modes',
                                 'train', '--batch-sizes', 2)
    assert outcome.code in (0, None), outcome.output
    names = [each['model'] for each in content['contenders']]
    assert names == ['ssdlite_mvit3_xxs_coco-mvit3_xxs', 'ssdlite_mvit3_xxs_coco-timm_mobilevit_xxs']
    assert all(each['median_ms'] > 0 and each['layout'] for each in content['contenders'])


@pytest.mark.parametrize('config', ['cls/mvit3_xxs_in1k', 'det/ssdlite_mvit3_xxs_coco', 'seg/deeplabv3_mvit3_xxs_camvid'])
def test_losses_fall(config):
    """The loss that is timed is one that its optimiser brings down: labels and images belong together."""
    pytest.importorskip({'cls': 'mmpretrain', 'det': 'mmdet', 'seg': 'mmseg'}[config[:3]])
    model, = build_models('any', read_config(config), [], (64, 64), 0)
    images = torch.rand(2, *model.size, generator=torch.Generator().manual_seed(0))
    network, loss = model.network.requires_grad_(True).train(), loss_of(model, 2, 0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    found = []
    for _ in range(6):
        found.append(loss(network, images))
        optimizer.zero_grad()
        found[-1].backward()
        optimizer.step()
    assert found[-1] < found[0], found


@needs_mmpretrain
def test_half_precision(benchmark):
    """Inference in bfloat16, and training under autocast."""
    outcome, content = benchmark(XXS, '--modes', 'eager', 'train', '--dtypes', 'fp32', 'bf16')
    assert outcome.code in (0, None), outcome.output
    assert [(each['mode'], each['dtype']) for each in content['contenders']] == [
        ('eager', 'fp32'), ('eager', 'bf16'), ('train', 'fp32'), ('train', 'bf16')]
    assert '| eager bf16 ' in outcome.output


@needs_mmpretrain
def test_interrupted(benchmark, monkeypatch, tmp_path):
    """Ctrl-C in the second round: the first is reported; the same command goes on from it, and another one begins anew."""
    file, write = tmp_path / 'out' / 'rounds.json', rounds.Rounds.write

    def interrupted(*args):
        write(*args)
        raise KeyboardInterrupt
    monkeypatch.setattr(rounds.Rounds, 'write', interrupted)
    command = XXS, '--modes', 'eager', 'train'
    outcome, content = benchmark(*command)
    first, = content['contenders']
    assert outcome.code == 130 and 'interrupted' in outcome.output and len(first['round_medians_ms']) == 1

    monkeypatch.setattr(rounds.Rounds, 'write', write)
    before = file.read_text()
    outcome, content = benchmark(*command)
    assert outcome.code in (0, None) and 'goes on from there' in outcome.output, outcome.output
    assert [len(each['round_medians_ms']) for each in content['contenders']] == [2, 2] and not file.exists()
    assert content['contenders'][0]['round_medians_ms'][0] == first['round_medians_ms'][0]

    file.write_text(before)
    outcome, content = benchmark(XXS, '--modes', 'eager')
    assert 'of another command, and replaced' in outcome.output
    assert content['contenders'][0]['round_medians_ms'][0] != first['round_medians_ms'][0]
    file.write_text('{"settings": ')
    assert 'cannot be read, and is replaced' in benchmark(XXS, '--modes', 'eager', '--quick')[0].output


@needs_mmpretrain
def test_no_compiler(benchmark, monkeypatch):
    """What cannot be compiled is left out, with the reason."""
    def fails(*args):
        raise RuntimeError('no C++ compiler')
    monkeypatch.setattr(torch, 'compile', lambda network, **options: fails)
    outcome, content = benchmark(XXS, '--modes', 'eager', 'compile')
    assert outcome.code in (0, None), outcome.output
    assert [each['reason'] for each in content['skipped']] == ['torch.compile failed: no C++ compiler']


@needs_mmpretrain
def test_not_exportable(benchmark, monkeypatch):
    """A size that the exporter cannot take."""
    pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')

    def fails(*args):
        raise RuntimeError('data-dependent\nlong story')
    monkeypatch.setattr(backends, 'write_onnx', fails)
    outcome, content = benchmark(XXS, '--modes', 'onnxruntime')
    assert outcome.code == 1 and content is None and 'Traceback' not in outcome.output
    assert 'onnxruntime, fp32, batch 1: images of 64x64 cannot be exported to ONNX: data-dependent\n' in outcome.output


@needs_mmpretrain
def test_missing_package(benchmark, monkeypatch):
    """The line that installs it."""
    monkeypatch.setattr(baselines, 'find_spec', lambda name: None)
    outcome, _ = benchmark(XXS, '--peers', 'timm')
    assert outcome.code == 1 and 'error: the baseline timm needs timm: pip install timm' in outcome.output
    monkeypatch.setattr('mvit3_bench.deploy.targets.base.find_spec', lambda name: name != 'openvino')
    outcome, _ = benchmark(XXS, '--modes', 'openvino')
    assert outcome.code == 1 and 'pip install openvino' in outcome.output


@pytest.mark.parametrize('arguments, message', [
    ([], 'no config given'),
    (['nothing.py'], 'config not found: nothing.py'),
    ([XXS, '--batch-sizes', 1, -1], '--batch-sizes 1 -1 is not possible; allowed: whole numbers from 1'),
    ([XXS, '--threads', 0], '--threads 0 is not possible'),
    ([XXS, XXS], 'two models are called mvit1_xxs_in1k; leave one out, or give its config file another name'),
    ([XXS, '--shape', 1, 2, 3], '--shape 1 2 3 is not possible; allowed: one or two whole numbers'),
    ([XXS, '--modes', 'graphs'], '--modes graphs is not possible with --device cpu')], ids=str)
def test_wrong_arguments(tool, arguments, message):
    """A message and exit code 1, no traceback."""
    outcome = tool('benchmark', *arguments)
    assert outcome.code == 1 and f'error: {message}' in outcome.output and 'Traceback' not in outcome.output


@pytest.mark.parametrize('dtype, deviation, allowed', [
    ('fp32', 1e-5, True), ('fp32', 1e-3, False), ('fp16', 1e-3, True), ('fp16', 0.1, False), ('fp32', torch.nan, False)])
def test_deviating_outputs(dtype, deviation, allowed):
    """A case that computes something else is refused by name; so is one that gives no numbers."""
    case = Case('model', 'timm', 'eager', dtype, 1)
    expected = torch.randn(2, 10)
    found = expected.clone()
    found[1, 3] += deviation * expected.std()
    if allowed:
        check(case, (found,), (expected,))
        assert case.deviation == pytest.approx(deviation, rel=0.1)
    else:
        with pytest.raises(Deviates, match=f'model, timm, eager, {dtype}, batch 1: its outputs deviate'):
            check(case, (found,), (expected,))


def test_ratio():
    """Median and quartiles over the rounds that both have; outliers of one round do not move it."""
    assert timing.ratio([2, 4, 6, 8, 100], [1, 2, 3, 4, 5]) == (2, 2, 2)
    assert timing.ratio([1, 2, 3, 4, 5, 9], [1, 1, 1, 1, 1]) == (3, 2, 4)
    with pytest.raises(ValueError, match='no round'):
        timing.ratio([], [1])


def test_fastest(monkeypatch):
    """The faster of two calls is found though the machine slows down meanwhile, in whichever order they stand."""
    clock = iter(range(1000))
    monkeypatch.setattr(timing, 'timed', lambda call, device: call() * (1 + 0.1 * next(clock)))
    assert timing.fastest([lambda: 1.0, lambda: 1.2], CPU, 0) == 0
    assert timing.fastest([lambda: 1.2, lambda: 1.0], CPU, 0) == 1


@pytest.mark.parametrize(('seconds', 'calls'), [(0.1, 9), (5.0, 4)])
def test_fastest_of_slow_calls(monkeypatch, seconds, calls):
    """Calls of seconds are not made as often as others."""
    made = []
    monkeypatch.setattr(timing, 'timed', lambda call, device: made.append(call()) or seconds)
    monkeypatch.setattr(timing, 'time', SimpleNamespace(perf_counter=lambda: seconds * len(made)))
    timing.fastest([lambda: 0, lambda: 1], CPU, 0)
    assert made == [0, 1] * calls


def test_measure():
    """In each round everyone has its block, in an order drawn anew."""
    order = []
    cases = [Case('model', 'ours', mode, 'fp32', 1, lambda mode=mode: order.append(mode), calls=2)
                  for mode in ('a', 'b', 'c')]
    blocks = []
    timing.measure(cases, 4, 0, CPU, lambda: blocks.append(order[-1]))
    assert all([len(block) for block in each.rounds] == [2] * 4 for each in cases)
    rounds = [blocks[i:i + 3] for i in range(0, 12, 3)]
    assert all(sorted(each) == ['a', 'b', 'c'] for each in rounds) and len(set(map(tuple, rounds))) > 1
    assert order == [mode for mode in blocks for _ in range(3)]


def test_measure_goes_on():
    """Rounds of an interrupted run stay; the orders are those of an uninterrupted one."""
    def run(kept: int) -> list[str]:
        done = []
        cases = [Case('model', 'ours', mode, 'fp32', 1, lambda mode=mode: done.append(mode), calls=1,
                      rounds=[[1.0]] * kept) for mode in ('a', 'b', 'c')]
        ended = []
        timing.measure(cases, 4, 0, CPU, lambda: None, lambda: ended.append(len(done)))
        assert all(len(each.rounds) == 4 and each.rounds[:kept] == [[1.0]] * kept for each in cases)
        assert ended == list(range(6, 6 * (4 - kept) + 1, 6))
        return done
    assert run(2) == run(0)[12:]


@pytest.mark.skipif(timing.peak_memory(int, CPU) is None, reason='the system does not tell')
def test_memory():
    """What a call takes at its peak, though it gives it back; to within the pages of the interpreter."""
    assert timing.peak_memory(lambda: torch.ones(10_000_000), CPU) == pytest.approx(40e6, rel=0.1)


@needs_mmpretrain
@pytest.mark.parametrize('baseline, name', [
    *(('mmpretrain', f'mvit1_{arch}') for arch in ('xxs', 'xs', 's')), ('timm', 'mvit1_xxs'), ('timm', 'mvit2_0.5'),
    ('timm', 'mvit3_xxs'), ('timm', 'mvit3_0.5')])
def test_baselines(baseline, name):
    """A baseline with our weights computes what ours computes, in double precision, also at odd sizes."""
    pytest.importorskip(baseline)
    cfg = Config.fromfile(CONFIGS / 'cls' / f'{name}_in1k.py')
    init_default_scope(cfg.default_scope)
    model = lived_in(MODELS.build(cfg.model), 0).eval().double()
    theirs = baselines.build_baseline(baseline, cfg.model, model).double()
    image = torch.rand(2, 3, 128, 96, dtype=torch.double)
    with torch.no_grad():
        expected, = Network(model)(image)
        found, = Network(theirs)(image)
    assert (found - expected).abs().max() < 1e-9 * expected.std()
    assert (expected[0] - expected[1]).abs().max() > 0.01 * expected.std()  # the image matters


@needs_mmpretrain
@pytest.mark.parametrize('baseline', ['timm', 'mmpretrain'])
@pytest.mark.parametrize('name, fields', [('mvit1_xxs', dict(fuse_local=True)), ('mvit2_0.5', dict(fuse_local=True))])
def test_no_baseline_of_changed_fields(baseline, name, fields):
    """An arch with a changed field is none that a package has."""
    pytest.importorskip(baseline)
    cfg = Config.fromfile(CONFIGS / 'cls' / f'{name}_in1k.py')
    cfg.model.backbone.arch = dict(name=cfg.model.backbone.arch, **fields)
    assert [each.owner for each in build_models('any', cfg, [baseline], (64, 64), 0)] == ['ours']


@needs_mmpretrain
@pytest.mark.parametrize('path', ['cls/mvit3_xxs_in1k.py', 'cls/mvit2_0.5_in1k.py'])
def test_no_baseline(path):
    """A package without the model."""
    cfg = Config.fromfile(CONFIGS / path)
    assert [each.owner for each in build_models('any', cfg, ['mmpretrain'], (64, 64), 0)] == ['ours']


@pytest.mark.parametrize('backbone, convolutions, products', [
    # stem, 7 inverted residuals of three, 3 blocks of four; 9 layers of four linear layers and two products
    (MobileViTv1('xxs', out_indices=(4,)), 1 + 7 * 3 + 3 * 4, 9 * 6),
    # stem, 6 inverted residuals of three, 3 blocks of three, 9 layers of six: the inference copy has three for the attention
    (MobileViTv2('0.5', out_indices=(4,)), 1 + 6 * 3 + 3 * 3 + 9 * 6, 0)], ids=['v1', 'v2'])
def test_kernels(backbone, convolutions, products):
    """Every convolution and matrix product is recorded, with the multiply-adds of the network, and runs alone."""
    network, image = Network(fuse(backbone)), torch.rand(1, 3, 64, 96)
    found = record(network, image)
    kinds = {kind: sum(times for kernel, times in found.items() if kernel.kind == kind)
             for kind in ('convolution', 'product')}
    assert kinds == dict(convolution=convolutions, product=products)
    total = sum(kernel.multiply_adds * times for kernel, times in found.items())
    assert total == count(backbone, (64, 96))[''].multiply_adds
    compute_lower_bound(network, image)(None)


def test_plan_and_accuracies():
    """Runtimes have float32 alone; an accuracy is that of the row of the config's own name."""
    assert plan(['eager', 'openvino'], ['fp32', 'bf16']) == [('eager', 'fp32'), ('openvino', 'fp32'), ('eager', 'bf16')]
    assert published_top1('somewhere/cls/mvit1_s_in1k.py') == 78.3
    assert published_top1('seg/deeplabv3_mvit1_s_voc2012.py') is None


@pytest.mark.slow(reason='each export and compilation takes some ten seconds')
@needs_mmpretrain
@pytest.mark.parametrize('path', [
    'cls/mvit2_0.5_in1k.py', 'seg/pspnet_mvit3_0.5_voc2012.py', 'det/ssdlite_mvit3_xxs_coco.py'])
def test_every_mode(benchmark, path):
    """All that a CPU has, for every task."""
    for package in ('timm', 'onnxruntime', 'openvino', 'mmseg', 'mmdet'):
        pytest.importorskip(package)
    outcome, content = benchmark(CONFIGS / path, '--peers', 'timm')
    assert outcome.code in (0, None), outcome.output
    ours = {each['mode'] for each in content['contenders'] if each['owner'] == 'ours'}
    assert ours | {'train'} == {'eager', 'deploy', 'compile', 'onnxruntime', 'openvino', 'train'}
