"""mvit3 study: the runs it plans, its page with and without them, and what stops it."""
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import ROOT

pytest.importorskip('mmdet', reason='mmdetection is not installed')
pytest.importorskip('mmseg', reason='mmsegmentation is not installed')
pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')
pytest.importorskip('timm', reason='timm is not installed')
pytest.importorskip('submitit', reason='submitit is not installed')

import study_runs  # noqa: E402

from mvit3_bench.cli import main  # noqa: E402
from mvit3_bench.results import store  # noqa: E402
from mvit3_bench.study import claims, criteria, records, report  # noqa: E402
from mvit3_bench.study.outcome import Outcome, compare  # noqa: E402
from mvit3_bench.study.statistics import Interval  # noqa: E402
from mvit3_bench.suite.state import find_results  # noqa: E402

QUALITY = {'mvit3_xxs': 0.86, 'mvit1_xxs': 0.75, 'mvit3_0.5': 0.80, 'mvit2_0.5': 0.80}


def outcome(out: Path) -> Outcome:
    """What is there of the study below a folder."""
    suite = study_runs.suite(out)
    results = find_results(suite.runs)
    return Outcome(suite, results, records.load(suite.runs, results))


def cells_of(page: str) -> str:
    """A page without the spaces by which tables are aligned."""
    return re.sub(' +', ' ', page)


def call(capsys, *words) -> tuple[int | str, str]:
    """Run `mvit3 study`."""
    code = 0
    try:
        main.main(['study', *map(str, words)])
    except SystemExit as error:
        code = error.code
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_every_claim_has_its_runs(tmp_path):
    """Each model of each claim is in the suite with two seeds, and each run of the suite serves a claim."""
    suite = study_runs.suite(tmp_path)
    found = Outcome(suite, {}, {})
    cells = {cell for claim in claims.every_claim() for cell in claim.cells}
    assert all([run.seed for run in found.runs(*cell)] == [0, 1] for cell in cells)
    assert cells == {(run.recorded, run.backbone) for run in suite.runs} and len(suite.runs) == 40
    assert store.STUDY.relative_to('docs') == report.FOLDER and (ROOT / 'docs' / report.PLAN).is_file()


def test_dry_run(tmp_path, monkeypatch, capsys):
    """Every run with its two commands; nothing is started or written."""
    monkeypatch.chdir(tmp_path)
    code, output = call(capsys, '--dry-run', '--out', 'docs')
    assert not code and output.count(': to do: mvit3 train study/') == 40 == output.count('--record docs/results/study')
    assert "--backbone 'mvit1_xxs(pointwise_fusion=True, fuse_local=True)' --seed 1" in output
    assert 'checkpoint=BEST_OF_cifar10-mvit3_0.5-seed1' in output and not [*tmp_path.iterdir()]


def test_nothing_done(tmp_path, monkeypatch, capsys):
    """The page without runs has all its tables, and names what is missing."""
    monkeypatch.chdir(tmp_path)
    code, output = call(capsys, '--report', '--out', 'docs')
    assert not code and output.split() == ['docs/results/study.md', 'docs/results/study/curves.svg']
    page = cells_of(Path('docs/results/study.md').read_text())
    assert '0 of 40 runs are done. Missing: cifar10-mvit3_xxs-seed0, ' in page
    assert '- CIFAR-10, top-1: MobileViTv3-XXS against MobileViTv1-XXS: not yet.' in page and page.count('| missing |') == 40
    assert '+1.98 (imagenet1k)' in page and '-0.60 (coco2017)' in page
    assert '| step 0: v1 | - | 5.579 |' in page
    assert '| step 4: the local 3x3 is depthwise | `depthwise_local` | 4.328 |' in page
    assert '| study/cifar10 | 8 | 64 | 64x64 | AdamW(lr=0.001, weight_decay=0.05), gradients to 10 |' in page


@pytest.fixture(scope='module')
def filled(tmp_path_factory):
    """A folder in which all runs are done, but for one seed of a timm model and one record."""
    out = tmp_path_factory.mktemp('study') / 'docs'
    for run in study_runs.suite(out).runs:
        if run.backbone != claims.OTHERS[1] or run.seed == 0:
            _, path = study_runs.add(run, QUALITY.get(run.backbone, 0.75))
            if run.backbone == claims.OTHERS[0] and run.seed:
                path.unlink()
    return out


def test_page(filled):
    """Verdicts, intervals and what is missing; the same results give the same page."""
    found = outcome(filled)
    pages = report.render(found)
    page = pages['results/study.md']
    assert re.search(r'- CIFAR-10, top-1: MobileViTv3-XXS is better than MobileViTv1-XXS: \+\d+\.\d\d points \[\+', page)
    assert '- CIFAR-10, top-1: the spread does not decide between MobileViTv3-0.5 and MobileViTv2-0.5: ' in page
    assert '39 of 40 runs are done; added up they took 15.8 hours. Missing: cifar10-timm_edgenext_xx_small-seed1.' in page
    assert 'in no comparison: cifar10-timm_mobilenetv4_conv_small-seed1.' in page
    assert 'MobileViTv3-XXS against timm/edgenext_xx_small: not yet (1 of 2 seeds).' in page
    assert 'mvit3 test study/bccd work_dirs/study/bccd-mvit3_xxs-seed0' in page and '- two cores' in page
    assert re.search(r'The highest top-1 of a run is \d\d\.\d\d % \(', page)
    again = report.render(outcome(filled))
    assert again == pages
    labels = re.findall(r'<text[^>]*>([^<]*)</text>', pages['results/study/curves.svg'])
    assert labels.count('MobileViTv3-XXS') == 3 and labels.count('step 4') == 1
    assert 'MobileViTv3-XXS, cifar10_published_cosine' in labels
    best = 'work_dirs/study/cifar10-mvit3_xxs-seed1/best.pth'
    assert f'init_cfg.checkpoint={best} ' in page and 'BEST_OF' not in page and 'anew' not in page
    ElementTree.fromstring(pages['results/study/curves.svg'])


def test_comparison(filled):
    """A comparison has each seed, with McNemar's p of classifiers alone."""
    found = outcome(filled)
    first = compare(found, claims.of_pairs(claims.CLASSIFICATION)[0])
    assert [seed for seed, _, _ in first.seeds] == [0, 1] and all(p < 0.05 for _, _, p in first.seeds)
    assert first.difference.value == pytest.approx(sum(each.value for _, each, _ in first.seeds) / 2)
    detection = compare(found, claims.of_pairs(claims.DETECTION)[0])
    assert all(p is None for _, _, p in detection.seeds) and detection.difference.low < detection.difference.value


def test_seeds_in_common(tmp_path):
    """A comparison takes the seeds that both models have, and a run without a time counts none."""
    out, (claim, *_) = tmp_path / 'docs', claims.of_pairs(claims.CLASSIFICATION)
    runs = {(run.backbone, run.seed): run for run in study_runs.suite(out).runs if run.recorded == claims.CLASSIFICATION}
    (_, ours), (_, theirs) = claim.cells
    study_runs.add(runs[ours, 0], 0.8, seconds=np.array(np.nan))
    study_runs.add(runs[theirs, 1], 0.5)
    found = compare(outcome(out), claim)
    assert found.difference is None and found.sentence.endswith('not yet')
    study_runs.add(runs[theirs, 0], 0.8)
    found = compare(outcome(out), claim)  # of one training each nothing is decided
    assert found.difference is None and len(found.seeds) == 1 and found.sentence.endswith('not yet (1 of 2 seeds)')
    page = cells_of(report.page(outcome(out)))
    assert 'added up they took 0.8 hours' in page
    assert re.search(rf'\| {runs[ours, 0].name} \| [\d.]+ \| - ', page)


def test_criteria(filled):
    """What the plan would count against v3, met or not by the comparisons."""
    found = outcome(filled)
    compared = {claim: compare(found, claim) for claim in claims.every_claim()}

    def said(claim, value, low, high) -> list[str]:
        changed = replace(compared[claim], difference=Interval(value, low, high))
        return [verdict for _, verdict in criteria.rows(compared | {claim: changed})]
    first = claims.of_pairs(claims.CLASSIFICATION)[0]  # the authors have 1.98
    assert said(first, 1, 0.5, 1.5)[0] == 'not met: better; the published +1.98 lies above the interval'
    assert said(first, -1, -1.5, -0.5)[0].startswith('met: worse; ')
    assert said(first, 0.5, -0.4, 1.4)[0].startswith('met: undecided, by an interval 1.80 wide; ')
    assert said(first, 1, -1, 3)[0] == ('not met: undecided, by an interval 4.00 wide; the published +1.98 lies within '
                                         'the interval')
    step = claims.of_ablation()[0]
    assert 'step 1 against MobileViTv1-XXS (CIFAR-10, -2.00)' in said(step, -2, -3, -1)[2]
    widths, together = (compared[claim].difference.value for claim in (claims.of_ablation()[-1], first))
    assert said(claims.of_all_changes(), -1, -2, 0)[3].endswith(
        f'give -1.00 points, the widths {widths:+.2f}, both together {together:+.2f}')
    other = claims.of_pairs(claims.SEGMENTATION)[1]
    assert 'MobileViTv3-0.5 against MobileViTv2-0.5 (CamVid, -2.00)' in said(other, -2, -3, -1)[4]
    nothing = {claim: replace(each, difference=None) for claim, each in compared.items()}
    assert all(verdict == criteria.OPEN for _, verdict in criteria.rows(nothing))


def test_wider_interval(filled):
    """Where the wider interval decides otherwise, the sentence says so."""
    found = compare(outcome(filled), claims.of_pairs(claims.CLASSIFICATION)[0])
    assert found.pooled.value == pytest.approx(found.difference.value) and 'wider' not in found.sentence
    narrow, wide = Interval(1, 0.5, 1.5), Interval(1, -1, 3)
    assert replace(found, difference=narrow, pooled=wide).sentence.endswith(
        '+1.00 points [+0.50, +1.50]; the wider interval [-1.00, +3.00] does not decide')


def test_again(tmp_path):
    """A run that was done twice stands with both figures."""
    out = tmp_path / 'docs'
    run = study_runs.suite(out).runs[0]
    study_runs.add(run, 0.8)
    study_runs.add(replace(run, results=run.results / report.RERUN), 0.79)
    page = cells_of(report.page(outcome(out)))
    assert re.search(rf'anew by their lines.*rerun`:\n\n.*\n.*\n\| {run.name} \| [\d.]+ \| [\d.]+ \| abc1234 \|', page)
    assert '1 of 40 runs are done' in page


def test_record_is_kept_first(tmp_path, monkeypatch, capsys):
    """The record of a run that ended without this command is taken before others start; a damaged one stops none."""
    monkeypatch.chdir(tmp_path)
    runs = study_runs.suite(Path('docs')).runs
    for run, damaged in zip(runs, (False, True), strict=False):
        _, path = study_runs.add(run, 0.8)
        path.unlink()
        there = Path('work_dirs', 'study', run.name, records.PER_IMAGE)
        there.parent.mkdir(parents=True)
        np.savez_compressed(there, **study_runs.outcomes(run, 0.8))
        if damaged:
            there.write_bytes(b'PK')
    code, output = call(capsys, '--out', 'docs')  # without data, so that nothing starts
    assert 'the study needs the data' in code and Path('docs', report.FOLDER, f'{runs[0].name}.npz').is_file()
    assert f'{runs[1].name}: no record: ' in output


def test_data_not_prepared(tmp_path, monkeypatch, capsys):
    """What is missing is named with the command that makes it, before anything starts."""
    monkeypatch.chdir(tmp_path)
    code, _ = call(capsys, '--out', 'docs')
    assert re.match(r'error: the study needs the data in data/cifar10, data/bccd, .*mvit3 prepare cifar10, mvit3', code)
    code, _ = call(capsys, '--jobs', '0')
    assert '--jobs 0 is not possible' in code and not [*tmp_path.iterdir()]


def test_wrong_record_is_named(tmp_path, monkeypatch, capsys):
    """The command ends with the file and the fix, without a traceback."""
    monkeypatch.chdir(tmp_path)
    run = study_runs.suite(Path('docs')).runs[0]
    _, path = study_runs.add(run, 0.8)
    path.write_bytes(b'PK')
    code, _ = call(capsys, '--report', '--out', 'docs')
    assert re.match(rf'error: docs/results/study/{run.name}.npz is no record of a test: .*test this run again', code)


def test_not_stale():
    """What is committed of the study is what its results and records give; without results there is no page."""
    docs = ROOT / 'docs'
    if not (docs / report.PAGE).is_file():
        assert not store.read(ROOT / store.STUDY), 'mvit3 study --report writes the page'
        return
    found = outcome(docs)
    pages = report.render(found)
    assert (docs / report.PAGE).read_text(encoding='utf-8') == pages[report.PAGE.as_posix()], 'mvit3 study --report'
    assert (docs / report.FOLDER / 'curves.svg').is_file()
