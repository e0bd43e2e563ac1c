"""mvit3 recommend: the front under limits, the nearest miss, units, and files that are something else."""
import json
import re
import subprocess
import sys

import pytest
from conftest import ROOT
from measurements import content

from mvit3_bench.cli import main
from mvit3_bench.cli.recommend import CONFIGS
from mvit3_bench.leaderboard import networks
from mvit3_bench.leaderboard.measured import HEADS


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'measured.json'
    path.write_text(json.dumps(content()))
    return path


@pytest.fixture
def recommend(file, capsys):
    """The command, with a file of measurements -> its exit code and what it printed."""
    def call(*words: str, measured=file) -> tuple[int, str]:
        try:
            main.main(['recommend', '--measured', str(measured), *words])
            code = 0
        except SystemExit as error:
            code = error.code
        if isinstance(code, str):
            print(code)
            code = 1
        captured = capsys.readouterr()
        return code, captured.out + captured.err
    return call


def table(output: str) -> list[list[str]]:
    """Cells of the rows that it printed, without the heading."""
    _, _, behind = output.partition('\nmodel ')
    return [re.split('  +', line.strip()) for line in behind.partition('\n\n')[0].splitlines()[1:]]


def test_front(recommend):
    """Within the limit, those that none beats in top-1 and parameters, the best first; how to use them; on what machine."""
    code, output = recommend('--max-params', '5.7M')
    assert code == 0 and '7 of 8 models are within the limits (--max-params 5.7M)' in output
    assert [row[0] for row in table(output)] == ['EdgeNeXt-S', 'MobileViTv3-XS', 'EdgeNeXt-XXS', 'MobileViTv3-XXS']
    assert [row[1] for row in table(output)] == sorted((row[1] for row in table(output)), reverse=True)
    assert table(output)[0][2:] == ['timm', '5.60M', '970M', '9.00ms', 'timm/edgenext_small']
    assert table(output)[1][2:] == ['authors', '2.50M', '970M', '12.00ms', 'mvit3_xs']
    assert 'A processor, threads: 2, 2025-01-01' in output and 'timm/mobilenetv3_large_100, took 3.00 ms' in output
    assert '--backbone NAME' in output and 'stands for' not in output


def test_no_limits(recommend):
    """Then it is the front in latency; torchvision's models have no name for --backbone."""
    code, output = recommend()
    assert code == 0 and 'top-1 against latency' in output
    assert [row[0] for row in table(output)] == ['EdgeNeXt-S', 'MobileNetV3-Large', 'ShuffleNetV2 1.0x']
    assert table(output)[-1][-1] == '-'


@pytest.mark.parametrize('task, name, metric, published', [
    ('det', 'SSDLite', 'published mAP (%)', '25.6 (coco2017)'),
    ('seg', 'DeepLabv3', 'published mIoU (%)', '78.77 (voc2012)')])
def test_heads(recommend, task, name, metric, published):
    """Counts and latency are those with the head; published figures stand beside; top-1 is said to be a stand-in."""
    code, output = recommend('--task', task, '--max-params', '5M')
    assert code == 0 and metric in output and f'ONNX Runtime, {name}, batch 1' in output and 'stands for' in output
    row = next(row for row in table(output) if row[0] == 'MobileViTv3-XS')
    assert row[3] == '3.00M' and published in row
    code, output = recommend('--task', task, '--max-params', '1G')
    assert ('EdgeNeXt-S' in {row[0] for row in table(output)}) == (task == 'det')


def test_anchor_latency(recommend):
    """A machine on which the anchor takes half the time: so do all."""
    code, output = recommend('--max-latency', '4.6ms', '--anchor-latency', '1.5ms')
    assert code == 0 and table(output)[0][5] == '4.50ms' and 'takes 1.5 ms' in output


@pytest.mark.parametrize('flags, fits', [
    (('--max-latency', '9ms'), True), (('--max-latency', '0.009s'), True), (('--max-latency', '8.9 MS'), False),
    (('--max-flops', '0.97G'), True), (('--max-flops', '970m'), True), (('--max-flops', '969999k'), False),
    (('--max-latency', '3ms', '--runtime', 'openvino'), True), (('--max-latency', '2.9ms', '--runtime', 'openvino'), False),
    (('--max-latency', '72ms', '--batch', '8'), True), (('--max-latency', '71ms', '--batch', '8'), False)])
def test_units_runtimes_batches(recommend, flags, fits):
    """EdgeNeXt-S is the most accurate model, where it is within the limit: 970 M, 9 ms, in OpenVINO 3 ms."""
    code, output = recommend(*flags)
    assert code == 0 and (table(output)[0][0] == 'EdgeNeXt-S') == fits


def test_nothing_meets(recommend):
    """The nearest miss, and by how much it misses each limit; the exit code tells a script."""
    code, output = recommend('--max-params', '1M', '--max-latency', '2ms')
    assert code == 1 and 'Nothing meets --max-params 1M --max-latency 2ms: none of 8 models' in output
    assert 'The nearest is EdgeNeXt-XXS' in output
    assert 'parameters 1.30M instead of 1M (30% more), latency 3.00ms instead of 2ms (50% more)' in output
    code, output = recommend('--max-params', '3M', '--max-latency', '2ms')
    assert code == 1 and 'parameters' not in output.partition('nearest')[2]


@pytest.mark.parametrize('flags, wanted', [
    (('--max-params', '6'), "'6' is no number with a unit; for example 6M, 1.5G or 800k"),
    (('--max-params', '6ms'), '6M, 1.5G'), (('--max-params', 'many'), '6M, 1.5G'), (('--max-params', '0M'), '6M, 1.5G'),
    (('--max-params=-6M',), '6M, 1.5G'),
    (('--max-latency', '40'), '40ms or 0.04s'), (('--max-latency', '40 min'), '40ms or 0.04s'),
    (('--runtime', 'tflite'), 'onnxruntime'), (('--task', 'pose'), 'seg')])
def test_bad_words(recommend, flags, wanted):
    """A bad unit is refused with examples, an unknown word with those that there are."""
    code, output = recommend(*flags)
    assert code == 2 and wanted in output


@pytest.mark.parametrize('flags', [('--task', 'det', '--runtime', 'openvino'), ('--batch', '2'), ('--runtime', 'compile')])
def test_not_measured(recommend, flags):
    """What was not measured is said, with what was."""
    code, output = recommend(*flags)
    assert code == 1 and 'error: --task' in output and 'was not measured' in output
    assert 'ONNX Runtime, batch 8; OpenVINO, batch 1; ONNX Runtime, SSDLite, batch 1' in output


@pytest.mark.parametrize('change, wanted', [
    (lambda path: path.unlink(), 'cannot be read'), (lambda path: path.write_text('{'), 'is no json'),
    (lambda path: path.write_text('[]'), "field 'anchor' is missing"),
    (lambda path: path.write_text(json.dumps({**content(), 'models': 3})), 'models or anchor_spread'),
    (lambda path: path.write_text(json.dumps({**content(), 'anchor_spread': {}})), 'models or anchor_spread'),
    (lambda path: path.write_text(path.read_text().replace('"ratio"', '"ratios"')), "KeyError 'ratio'"),
    (lambda path: path.write_text(path.read_text().replace('openvino', 'tensorrt')), 'tensorrt')])
def test_other_files(recommend, file, change, wanted):
    """A file that is missing or something else is named, with what is wanted."""
    change(file)
    code, output = recommend()
    assert code == 1 and output.startswith(f'error: {file}') and wanted in output
    assert 'wanted: a file that mvit3 leaderboard has written' in output


def test_no_model_with_an_accuracy(recommend, file):
    """A file of models that the leaderboard does not list."""
    file.write_text(json.dumps({**content(), 'models': {'timm/resnet50': content()['models']['mvit3_s']}}))
    code, output = recommend()
    assert code == 1 and f'error: {file} has no model with a published top-1' in output


def test_needs_no_torch(file):
    """It answers at once."""
    code = f'''
import sys
from mvit3_bench.cli import main
main.main(['recommend', '--task', 'det', '--measured', {str(file)!r}])
print([name for name in ('torch', 'numpy', 'mmengine', 'matplotlib') if name in sys.modules])
'''
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == '[]', done.stderr


def test_configs_are_those_that_were_measured():
    """The example at the end names the head of which the latency is."""
    assert {HEADS[task]: config for task, config in CONFIGS.items() if HEADS[task]} == networks.HEADS
