"""The page of the leaderboard: what it says follows from the measurements, its figures are there, and it is not stale."""
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from conftest import ROOT
from measurements import FIGURES, content

from mvit3_bench.leaderboard import figure, page, standing
from mvit3_bench.leaderboard.fronts import COSTS
from mvit3_bench.leaderboard.measured import ours, read, rows
from mvit3_bench.leaderboard.models import models

NAMES = {each.build: each.name for each in models()}


@pytest.fixture(scope='module')
def rendered() -> dict[str, str]:
    """Path below docs/ -> contents, of the small file."""
    return page.render(content())


@pytest.fixture
def text(rendered) -> str:
    """The page, without the spaces by which tables are aligned."""
    return re.sub(' +', ' ', rendered['leaderboard.md'])


def test_not_stale():
    """What is committed is what the measurements and the published figures give; of figures the names."""
    content = page.page(read())
    assert (ROOT / 'docs' / page.PAGE).read_text(encoding='utf-8') == content, 'stale: python tools/reproduce.py'
    committed = {f'{page.FOLDER.as_posix()}/{path.name}' for path in (ROOT / 'docs' / page.FOLDER).iterdir()}
    assert committed == set(re.findall(r'\((results/leaderboard/[^)]+)\)', content))


def test_figures(rendered):
    """Each figure stands on the page and the other way round; it is XML with ours and the front by name, and a legend."""
    figures = set(rendered) - {'leaderboard.md'}
    assert figures == set(re.findall(r'!\[[^]]+\]\(([^)]+)\)', rendered['leaderboard.md'])) and len(figures) == 7
    for path in figures:
        ElementTree.fromstring(rendered[path])
        labels = re.findall(r'<text[^>]*>([^<]*)</text>', rendered[path])
        assert {'MobileViTv3-XXS', 'MobileViTv3-XS', 'MobileViTv3-S', 'Pareto front', 'others'} <= set(labels), path
        assert 'MobileViTv2-0.5' not in labels
    assert 'EdgeNeXt-S' in rendered['results/leaderboard/parameters.svg']
    assert 'latency (ms): ONNX Runtime, DeepLabv3, batch 1' in rendered['results/leaderboard/onnxruntime_deeplabv3_1.svg']


def test_figure_is_the_same_again(rendered):
    assert figure.svg(rows(content(), 'onnxruntime/1'), 'latency_ms', 'latency (ms): ONNX Runtime, batch 1') == rendered[
        'results/leaderboard/onnxruntime_1.svg']


def test_tables(rendered, text):
    """Each model has its row, the most accurate first; rows have as many cells as their heading; a dash for what failed."""
    table = rendered['leaderboard.md'].partition('<div class="sortable">')[2].partition('</div>')[0].strip()
    lines = [re.split(r' *\| *', line.strip('| ')) for line in table.splitlines()]
    assert lines[0][0] == 'model' and {len(line) for line in lines} == {13}
    listed = [line[0] for line in lines[2:]]
    assert sorted(listed) == sorted(NAMES[build] for build in FIGURES)
    scores = [float(line[4]) for line in lines[2:]]
    assert scores == sorted(scores, reverse=True)
    row = dict(zip(lines[0], lines[2 + listed.index('EdgeNeXt-S')], strict=True))
    assert row['ONNX Runtime, batch 1 (ms)'] == '9.0' and row['OpenVINO, batch 1 (ms)'] == '3.0'
    assert row['ONNX Runtime, batch 8 (images/s)'] == '111' and row['ONNX Runtime, DeepLabv3, batch 1 (ms)'] == '-'
    assert '- EdgeNeXt-S, onnxruntime_deeplabv3: it takes no images of 512x512' in text
    for block in re.findall(r'(?:^\|.*\n)+', text, re.MULTILINE):
        assert len({line.replace(r'\|', '').count('|') for line in block.splitlines()}) == 1


def test_provenance(text):
    """Command, date and machine; the anchor and its spread; published detectors of ours and others; what is not built."""
    assert '`mvit3 leaderboard`, 2025-01-01; 7 rounds; A processor, cores: 2' in text
    assert '| ONNX Runtime, batch 1 | 8 | 3.00 | 2.85 | 3.15 | 2.70 | 6.00 |' in text
    published = text.partition('## Published in detection')[2]
    assert '| MobileViTv3-XS | segmentation | voc2012 | deeplabv3 | mIoU 78.77 |' in published
    assert '| MobileNetV2 | detection | coco2017 | ssdlite | bbox_mAP 22.1 |' in published
    unmeasured = text.partition('## Not measured here')[2]
    assert '| EMO-1M |' in unmeasured and '| EdgeNeXt-S |' not in unmeasured


def test_where_ours_leads(text):
    """The sentences, worked out by hand from the small file and the published accuracies."""
    top1 = {each.name: each.top1 for each in models()}
    lead = top1['MobileViTv3-XS'] - max(top1[name] for name in ('EdgeNeXt-XXS', 'MobileViTv2-0.5', 'ShuffleNetV2 1.0x'))
    assert f'**1 to 3 M parameters:** MobileViTv3 leads by {lead:.2f} points. Its best of 2, MobileViTv3-XS (76.70' in text
    assert 'In the median its models need 650 M multiply-adds, the others 190 M: 3.4 times as many.' in text
    behind = top1['EdgeNeXt-S'] - top1['MobileViTv3-S']
    assert f'**5 to 6 M parameters:** MobileViTv3 is {behind:.2f} points behind. Its best of 1' in text
    assert '1,830 M multiply-adds, the others 595 M: 3.1 times as many' in text and '3 to 5 M' not in text
    assert '**Parameters:** 2 of 3 MobileViTv3 are on the front (MobileViTv3-XXS, MobileViTv3-XS). The cheapest' in text
    assert '**Multiply-adds:** none of 3 MobileViTv3 are on the front' in text
    # with DeepLabv3 their rival was not measured
    assert '**Latency:** 2 of 3 MobileViTv3 are on one of the 5 fronts (MobileViTv3-XS, MobileViTv3-S).' in text
    xs = next(line for line in text.splitlines() if line.startswith('| MobileViTv3-XS | 76.7'))
    assert f'EdgeNeXt-XXS: {top1["EdgeNeXt-XXS"] - 76.7:+.2f}' in xs
    assert xs.count('EdgeNeXt-S: 1.00 times') == 1 and 'EdgeNeXt-S: 0.75 times' in xs


def test_better_figures_change_the_sentences():
    """With a better MobileViTv3 the sentences say so, and name no rival where there is none."""
    found = [replace(row, latency_ms=0.1, model=replace(row.model, top1=95.0)) if row.model.name == 'MobileViTv3-S' else row
             for row in rows(content(), 'onnxruntime/1')]
    said = standing.sentences([(found, cost) for cost in COSTS])
    assert any('5 to 6 M parameters:** MobileViTv3 leads by' in each for each in said)
    assert any('**Latency:** 1 of 3 MobileViTv3 are on the front (MobileViTv3-S).' in each for each in said)
    row = next(row for row in standing.comparison(found) if row[0] == 'MobileViTv3-S')
    assert row[-2:] == ('-', '-') and len(standing.shares(found, 'latency_ms')) == sum(map(ours, found)) - 1
