"""The study as a page of Markdown with its learning curves."""
import ast
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..paper.counts import counts
from ..suite.runs import Run, train_line
from ..suite.table import mean_and_deviation
from ..utils.paths import MIM
from ..utils.text import table
from . import claims, figure, recipe
from .outcome import Comparison, Outcome, compare
from .statistics import LEVEL, RESAMPLES, Interval

PAGE, FOLDER, PLAN = Path('results', 'study.md'), Path('results', 'study'), Path('study_plan.md')
NONE = '-'
_TITLE = "The paper's claims on small real data"
_MINI = '**Miniature data: these figures show that everything runs, and compare nothing.**'
_HOW = f'''Every model of a table has the same recipe and data. Brackets are {LEVEL:.0%} intervals. Of one model's top-1 it
is Wilson's, over the test images. Of a difference it is the percentile interval of {RESAMPLES} paired resamples: both
models are scored on the same images, drawn with replacement; "over images and seeds" draws the runs of each model, too.
p is McNemar's exact test on the images of one seed. **Two seeds bound the spread of trainings only loosely**: the
interval reaches about as far as the most unlike pair of runs. The comparisons are not corrected for their number; the
first two are the primary ones. Positive differences favour the model that is named first.'''
_ABLATION = '''The four changes of v3, one on top of the other, in the order of the paper's table 6, which has them at the
size of S: parameters there are counted on its models as built here. Its accuracies are not among our published figures,
so none are shown. Here they are at the widths of v1-XXS; the last row adds the widths of v3-XXS.'''
_STEPS = 'Step N is v1-XXS with the first N changes of v3, see below.'
_SCHEDULE = '''A cosine of each iteration that begins after the warm-up, against the published trainer's, which is constant
within an epoch and counts from the start of the training; v3-XXS on CIFAR-10, the same warm-up.'''
_NO_RECORD = 'Without a record of each image, and therefore in no comparison'


def render(outcome: Outcome) -> dict[str, str]:
    """Path below ``docs/`` -> contents: the page and its figure."""
    return {PAGE.as_posix(): page(outcome), (FOLDER / 'curves.svg').as_posix(): figure.svg(outcome)}


def page(outcome: Outcome) -> str:
    """The page."""
    compared = {claim: compare(outcome, claim) for claim in claims.every_claim()}

    def of(found: Iterable[claims.Claim]) -> list[Comparison]:
        return [compared[claim] for claim in found]
    primary, schedule = of(claims.of_pairs(claims.CLASSIFICATION)), compared[claims.of_schedule()]
    classifiers = [run for run in outcome.suite.runs if run.recorded == claims.CLASSIFICATION]
    return '\n'.join([
        f'# {_TITLE}', '',
        f'Made by `mvit3 study --report` from the results and records in `docs/{FOLDER}`; do not edit. '
        f'[The plan](../{PLAN}) was written before the first run.', '', _status(outcome), '',
        '## What came out', '', *(f'- {each.sentence}.' for each in compared.values()), '', _STEPS, '',
        '## How to read it', '', _HOW, '',
        '## The recipe', '', table(recipe.rows(outcome.suite), recipe.COLUMNS),
        '## Classification: CIFAR-10', '', *_best(outcome, classifiers), _classifiers(outcome, classifiers),
        _compared(primary),
        'Against models of other authors:', '', _compared(of(claims.of_others())),
        "## The four changes: the paper's table 6", '', _ABLATION, '', _ablation(outcome, of(claims.of_ablation())),
        '## Transfer to detection: BCCD', '', _scores(outcome, claims.DETECTION),
        _compared(of(claims.of_pairs(claims.DETECTION))),
        '## Transfer to segmentation: CamVid', '', _scores(outcome, claims.SEGMENTATION),
        _compared(of(claims.of_pairs(claims.SEGMENTATION))),
        '## The schedule', '', _SCHEDULE, '', _scores(outcome, *(config for config, _ in schedule.claim.cells)),
        _compared([schedule]),
        '## Learning curves', '', f'![validation scores over the epochs]({FOLDER.name}/curves.svg)', '',
        '## Every run', '', _runs(outcome)])


def _status(outcome: Outcome) -> str:
    runs, missing, silent = outcome.suite.runs, outcome.missing(), outcome.without_record()
    hours = float(np.nansum([record.arrays['seconds'] for record in outcome.records.values()])) / 3600
    time = f'; added up they took {hours:.1f} hours' if hours else ''
    parts = [f'{len(runs) - len(missing)} of {len(runs)} runs are done{time}.']
    if missing:
        parts.append(f'Missing: {", ".join(run.name for run in missing)}.')
    if silent:
        parts.append(f'{_NO_RECORD}: {", ".join(run.name for run in silent)}.')
    if any(result.mini for result in outcome.results.values()):
        parts.append(_MINI)
    return ' '.join(parts)


def _best(outcome: Outcome, runs: list[Run]) -> list[str]:
    found = [(value, run) for run in runs for value in outcome.values([run])]
    if not found:
        return []
    value, run = max(found, key=lambda each: each[0])
    return [f'The highest top-1 of a run is {value:.2f} % ({claims.label(run.backbone)}, seed {run.seed}).', '']


def _classifiers(outcome: Outcome, runs: list[Run]) -> str:
    seeds, lines = sorted({run.seed for run in runs}), []
    for model in dict.fromkeys(run.backbone for run in runs):
        mine = {run.seed: run for run in outcome.runs(claims.CLASSIFICATION, model)}
        tops = {run.seed: _cell(each) for run, each in zip(mine.values(), outcome.intervals(mine.values()), strict=True)}
        losses = [outcome.records[run.name].log_loss for run in mine.values() if run.name in outcome.records]
        lines.append((claims.label(model), f'`{model}`', *_cost(outcome, mine.values()),
                      *(tops.get(seed, NONE) for seed in seeds), mean_and_deviation(outcome.values(mine.values())) or NONE,
                      f'{sum(losses) / len(losses):.3f}' if losses else NONE))
    return table(lines, ('model', 'name here', 'parameters (M)', 'multiply-adds (M)',
                         *(f'top-1 (%), seed {seed}' for seed in seeds), 'mean over seeds', 'log loss'), left=2)


def _cost(outcome: Outcome, runs: Iterable[Run]) -> tuple[str, str]:
    costs = [outcome.records[run.name].arrays['cost'] for run in runs if run.name in outcome.records]
    found = next((each for each in costs if len(each)), None)
    return (NONE, NONE) if found is None else tuple(f'{number / 1e6:.2f}' for number in found)


def _cell(interval: Interval | None, digits: int = 2, sign: str = '') -> str:
    if interval is None:
        return NONE
    return ' '.join([f'{interval.value:{sign}.{digits}f}',
                     f'[{interval.low:{sign}.{digits}f}, {interval.high:{sign}.{digits}f}]'])


def _compared(comparisons: list[Comparison]) -> str:
    lines = []
    for each in comparisons:
        alone = [f'{seed}: {_cell(found, sign="+")}' + ('' if p is None else f', p {p:.2g}')
                 for seed, found, p in each.seeds]
        lines.append((' against '.join(_names(each)), '; '.join(alone) or NONE, _cell(each.difference, sign='+'),
                      each.published or NONE))
    return table(lines, ('compared', 'difference over images, by seed', 'over images and seeds', 'published difference'))


def _names(comparison: Comparison) -> list[str]:
    claim = comparison.claim
    return [Path(config).stem if claim.other_config else claims.label(model) for config, model in claim.cells]


def _ablation(outcome: Outcome, comparisons: list[Comparison]) -> str:
    files = sorted((MIM / 'configs' / 'ablation').glob('*.py'))
    titles = [ast.get_docstring(ast.parse(file.read_text(encoding='utf-8'))).splitlines()[0] for file in files]
    whats = [title.partition(', ')[2].rstrip('.').partition(';')[0] for title in titles]
    whats = ['step 0: v1', *whats[1:], 'the widths of v3-XXS']
    lines, after = [], [None, *comparisons]
    for number, model in enumerate((*claims.STEPS, 'mvit3_xxs')):
        step, runs = number < len(files), outcome.runs(claims.CLASSIFICATION, model)
        there = f'{counts()[f"ablation/{files[number].name}"][""].parameters / 1e6:.3f}' if step else NONE
        change = f'`{claims.CHANGES[number - 1]}`' if step and number else NONE
        lines.append((whats[number], change, there, _cost(outcome, runs)[0],
                      mean_and_deviation(outcome.values(runs)) or NONE,
                      _cell(after[number] and after[number].difference, sign='+')))
    return table(lines, ('step', 'change', 'parameters of S (M)', 'parameters here (M)', 'top-1 (%)',
                         'against the step before'))


def _scores(outcome: Outcome, *configs: str) -> str:
    runs = [run for run in outcome.suite.runs if run.recorded in configs]
    seeds, lines = sorted({run.seed for run in runs}), []
    for config, model in dict.fromkeys((run.recorded, run.backbone) for run in runs):
        mine = outcome.runs(config, model)
        values = {run.seed: f'{value:.2f}' for run in mine for value in outcome.values([run])}
        lines.append((Path(config).stem, claims.label(model), *_cost(outcome, mine),
                      *(values.get(seed, NONE) for seed in seeds), mean_and_deviation(outcome.values(mine)) or NONE))
    _, metric = claims.DATA[configs[0]]
    return table(lines, ('config', 'model', 'parameters (M)', 'multiply-adds (M)',
                         *(f'{metric} (%), seed {seed}' for seed in seeds), 'mean over seeds'), left=2)


def _runs(outcome: Outcome) -> str:
    rows, commands = [], []
    for run in outcome.suite.runs:
        result, record = outcome.results.get(run.name), outcome.records.get(run.name)
        seconds = float(record.arrays['seconds']) if record else np.nan  # nan: trained by its line, without the suite
        minutes = NONE if np.isnan(seconds) else f'{seconds / 60:.0f}'
        rows.append((run.name, f'{outcome.values([run])[0]:.2f}' if result else 'missing', minutes,
                     *([result.sha256[:12], result.commit or NONE, result.date] if result else [NONE] * 3)))
        # where the suite keeps it, whatever folder this call was given
        there = replace(run, folder=Path('work_dirs', claims.SUITE, run.name))
        commands += [train_line(there), *([result.command] if result else [])]
    machines = sorted({result.hardware for result in outcome.results.values()})
    return '\n'.join([
        table(rows, ('run', 'score (%)', 'minutes', 'sha256', 'commit', 'date')),
        *(f'- {machine}' for machine in machines), *[''] * bool(machines),
        'All of them: `mvit3 study`. One by one, training and test:', '', '```bash', *commands, '```', ''])
