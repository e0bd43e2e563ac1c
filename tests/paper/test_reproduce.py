"""tools/reproduce.py: the committed pages are not stale, the checks in them can fail, and nothing foreign enters a table."""
import csv
import dataclasses
import json
import re
from xml.etree import ElementTree

import pytest
from conftest import ROOT
from test_results_store import result

from mvit3_bench.errors import ResultError
from mvit3_bench.paper import counts as counts_module
from mvit3_bench.paper import report, tables
from mvit3_bench.paper.counts import counts
from mvit3_bench.paper.published import published
from mvit3_bench.paper.tables import DATASETS, TABLES, Measured

# arXiv 2209.15159: multiply-adds of the nine models in its convention, to the unit that its code counts in
NINE = dict(s=1841.391, xs=926.975, xxs=289.023, s_l2=1651.959, xs_l2=852.817, xxs_l2=255.968)
NINE |= {'0.5': 481.327, '0.75': 1064.480, '1.0': 1875.960}
NOTHING = Measured([], {})


@pytest.fixture(scope='module')
def rendered():
    """Path below docs/ -> contents, made anew."""
    return report.render(report.load(ROOT))


def cells_of(page: str) -> str:
    """A page without the spaces by which tables are aligned."""
    return re.sub(' +', ' ', page)


def without_figure(text: str) -> str:
    """Another version of matplotlib may draw other paths."""
    return re.sub(r'<svg.*?</svg>', '', text, flags=re.DOTALL)


def test_not_stale(rendered):
    """What is committed is what models, published figures and the store give."""
    for path, content in rendered.items():
        committed = (ROOT / 'docs' / path).read_text(encoding='utf-8')
        assert without_figure(committed) == without_figure(content), f'docs/{path} is stale: python tools/reproduce.py'
    committed = {path.name for path in (ROOT / 'docs' / 'results' / 'paper').iterdir()}
    assert committed == {path.rpartition('/')[2] for path in rendered if path.startswith('results/paper/')}


def test_figure():
    """Every published classifier is labelled in both panels, the series say that they are published, the svg is XML."""
    svg = report.render(NOTHING)['results/paper/figure1.svg']
    labels = re.findall(r'<text[^>]*>([^<]*)</text>', svg)
    models = [row.model.upper().replace('_', '-') for row in published() if row.dataset == 'imagenet1k']
    for model in set(models):
        assert labels.count(model) == 2 * models.count(model), model
    assert sum(label.endswith('(published)') for label in labels) == 5 and 'measured here' not in labels
    ElementTree.fromstring(svg)
    assert svg == report.render(NOTHING)['results/paper/figure1.svg']


def test_parameters_and_their_one_exception():
    """Of 64 published rows 63 have the parameters of the built model; SSDLite with 0.5 has 2.1 M, published are 2.0 M."""
    found = {row.config: tables.check_parameters(row) for row in published()}
    differing = {config: check for config, check in found.items() if check != tables.EQUAL}
    assert len(published()) == 64 and differing == {'det/ssdlite_mvit3_0.5_coco.py': '+0.1'}
    assert len(tables.exceptions(published())) == 1


@pytest.mark.parametrize('arch', NINE)
def test_multiply_adds(arch):
    """In the paper's convention the nine models have the published multiply-adds."""
    assert round(counts()[f'cls/mvit3_{arch}_in1k.py'][''].published / 1e6, 3) == NINE[arch]
    row = next(row for row in published() if row.config == f'cls/mvit3_{arch}_in1k.py')
    assert tables.check_multiply_adds(row) == ('✓ cut off' if arch == 's_l2' else '✓')


def test_a_wrong_model_shows(monkeypatch):
    """A model with other counts has differences in its row, not check marks."""
    config = 'cls/mvit3_s_in1k.py'
    total = counts()[config]['']
    wrong = dataclasses.replace(total, parameters=total.parameters + 300_000, published=total.published + 3_000_000)
    monkeypatch.setattr(tables, 'counts', lambda: counts() | {config: counts()[config] | {'': wrong}})
    table = TABLES['imagenet1k'](NOTHING)
    row = dict(zip(table.columns, next(row for row in table.rows if row[0] == 'MobileViTv3-S'), strict=True))
    assert (row['parameters equal'], row['multiply-adds equal']) == ('+0.3', '+3.391')
    assert '18 of 19' in table.notes[0] and '8 of 9' in table.notes[1]


def test_layers_add_up():
    """The layers of the architecture table add up to each model."""
    for config in {f'cls/mvit3_{arch}_in1k.py' for arch in NINE}:
        total, *layers = counts()[config].values()
        for name in counts_module._FIELDS:
            assert sum(getattr(layer, name) for layer in layers) == getattr(total, name)


def test_scaling():
    """The factors of table 1: XXS widens layer3 .. layer5 of v1, 0.5 nothing of v2."""
    table = TABLES['architecture'](NOTHING)
    factors = {(row[0], row[1]): row[5] for row in table.rows}
    widened = [factors['MobileViTv3-XXS', f'layer{number}'] for number in range(1, 6)]
    assert widened == ['1.00', '1.00', '1.33', '1.25', '1.60']
    assert {factor for (model, _), factor in factors.items() if model == 'MobileViTv3-0.5'} == {'1.00', '-'}


def cells(results, dataset='imagenet1k', model='MobileViTv3-S') -> dict[str, str]:
    table = TABLES[dataset](Measured(results, {}))
    return dict(zip(table.columns, next(row for row in table.rows if row[0] == model), strict=True))


def test_measured_and_its_origin():
    """The newest result on the whole test set stands beside the published figure, with its origin; in the figure too."""
    older, newer = result(id='old', metrics={'accuracy/top1': 10.0}), result(id='new', origin='trained here', seed=1)
    row = cells([older, newer])
    assert row['top-1 (%), published'] == '79.3' and row['top-1 (%), measured here'] == '79.25'
    assert row['origin of the measurement'] == 'trained here: new' and row['gain'] == '+1.00'
    pages = report.render(Measured([older, newer], {}))
    assert 'measured here</text>' in pages['results/paper/figure1.svg']
    assert all(f'| {each.id} |' in cells_of(pages['results/paper.md']) for each in (older, newer))


def test_detection_is_in_percent():
    row = cells([result(config='det/ssdlite_mvit3_s_coco.py', images=5_000, metrics={'coco/bbox_mAP': 0.271})], 'coco2017')
    assert row['mAP (%), measured here'] == '27.10' and row['gain'] == '-0.60'


@pytest.mark.parametrize('changes', [dict(mini=True), dict(images=49_999), dict(config='cls/mvit3_s_384_in1k.py'),
                                     dict(metrics={'mIoU': 3.0})], ids=str)
def test_what_enters_no_table(changes):
    """Miniature data, a part of the images, another config or metric enter no table; miniatures are not listed."""
    row = cells([result(**changes)])
    assert row['top-1 (%), measured here'] == row['origin of the measurement'] == '-'
    page = cells_of(report.render(Measured([result(**changes)], {}))['results/paper.md'])
    assert ('| run |' in page.replace('| run | config', '')) == ('mini' not in changes)
    assert ('tested 49999 of 50000 images' in page) == ('images' in changes)


def test_tool(tool, tmp_path):
    """It writes all files below --out, with the rows of the tables in the csv; with --table it prints and writes nothing."""
    outcome = tool('reproduce', '--out', tmp_path / 'docs')
    assert not outcome.code and 'paper.md' in outcome.output
    with open(tmp_path / 'docs' / 'results' / 'paper' / 'ade20k.csv', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(row.dataset == 'ade20k' for row in published()) and len(rows[0]) == 15
    outcome = tool('reproduce', '--table', 6, 'coco2017', '--out', tmp_path / 'absent')
    assert not outcome.code and 'Table 6' in outcome.output and DATASETS['coco2017'][0] in outcome.output
    assert 'Table 1' not in outcome.output and not (tmp_path / 'absent').exists()
    outcome = tool('reproduce', '--table', 2)
    assert outcome.code == 2 and 'architecture' in outcome.output


@pytest.mark.parametrize('content, wanted', [('{', 'is no json'), ('{"machine": {}}', "field 'command' is missing")])
def test_damaged_benchmark(tmp_path, content, wanted):
    """A wrong file of benchmarks is named."""
    folder = tmp_path / report.BENCHMARKS
    folder.mkdir(parents=True)
    (folder / 'x.json').write_text(content)
    with pytest.raises(ResultError, match='x.json') as error:
        report.load(tmp_path)
    assert wanted in str(error.value)


def test_latency_has_its_machine(rendered):
    """Latencies come from the recorded benchmarks, each with command and machine."""
    content = json.loads((ROOT / report.BENCHMARKS / 'paper.json').read_text())
    page = cells_of(rendered['results/paper.md'])
    assert f'`{content["command"]}`' in page and content['machine']['commit'] in page
    for each in content['contenders']:
        assert f'| {each["model"]} | eager | fp32 | {each["batch"]} | {each["median_ms"]:.2f} |' in page
