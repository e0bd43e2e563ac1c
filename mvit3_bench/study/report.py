"""The study as a page of Markdown with its learning curves."""
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..engine.config_files import title_of
from ..paper.counts import counts
from ..suite.runs import Run, line, train_line
from ..suite.state import find_results
from ..suite.table import mean_and_deviation, score
from ..utils.paths import MIM
from ..utils.text import table
from . import claims, criteria, figure, recipe
from .outcome import Comparison, Outcome, compare
from .statistics import LEVEL, RESAMPLES, Interval

PAGE, FOLDER, PLAN = Path('results', 'study.md'), Path('results', 'study'), Path('study_plan.md')
RERUN = 'rerun'  # in that folder: results of runs that were done twice
NONE = '-'
_TITLE = "The paper's claims on small real data"
_MINI = '**Miniature data: these figures show that everything runs, and compare nothing.**'
_HOW = f'''Every model of a table has the same data and the same recipe, whose rate was chosen on v3 (see the plan); the
scaling of pixels and the random weights that it begins with are each backbone's own. Brackets are {LEVEL:.0%} intervals.
Of one model's top-1 it is Wilson's, over the test images. Of a difference it is the percentile interval of {RESAMPLES}
paired resamples: both models are scored on the same images, drawn with replacement; "over images and seeds" draws the
runs of each model, too, and is what the plan decides by. p is McNemar's exact test on the images of one seed.

**That interval is too narrow**: drawing from two seeds shows half of their variance. In simulations of classifiers it
holds the true difference in about three of four cases, so that of models that are equal every fourth pair is called
decided; and the comparisons are not corrected for their number. The wider interval, which the plan did not have, holds
it in 19 of 20: Student's, by the spread over seeds that all models of a data set have in common and, on CamVid, with
{claims.FRAMES[claims.SEGMENTATION]} frames drawn as one, since neighbouring frames of a drive resemble each other. Where
it decides otherwise, the sentence says so. The first two comparisons are the primary ones. Positive differences favour
the model that is named first.'''
_EXPECTED = '''The plan expected 75 % of the best run. The 85 % that one would like take longer trainings: v3-0.5 had
63.9 % of the validation images after a schedule of 2 epochs (the pilot) and has {:.1f} % after one of {:.0f}.'''
_ABLATION = '''The four changes of v3, one on top of the other, in the order of the paper's table 6, which has them at
the size of S: parameters there are counted on its models as built here. Its accuracies are not among our published
figures, so none are shown. Here they are at the widths of v1-XXS; the last row adds the widths of v3-XXS. Changes 1 and
4 save parameters, which the paper's models and the last row spend on width: a lower score there is that of a smaller
model.'''
_CRITERIA = 'The criteria of the plan, by the intervals over images and seeds; of the widths, by the differences alone.'
_STEPS = 'Step N is v1-XXS with the first N changes of v3, see below.'
_SCHEDULE = '''A cosine of each iteration that begins after the warm-up, against the published trainer's, which is
constant within an epoch and counts from the start of the training; v3-XXS on CIFAR-10, the same warm-up. So two things
differ, and one of them grows as trainings get shorter: an epoch is an eighth of this one, and a three-hundredth of the
published ones.'''
_RUNS = '''Minutes are of the wall clock, training and test, beside other work on the machine: they compare no models.
The commit is that of the test; + marks files that differed from it.'''
_AGAIN = 'Trained and tested anew by their lines, of which the second records in `{}`:'
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
        '## What would count against v3', '', _CRITERIA, '',
        table(criteria.rows(compared), ('criterion', 'met?'), left=2),
        '## How to read it', '', _HOW, '',
        '## The recipe', '', table(recipe.rows(outcome.suite), recipe.COLUMNS),
        '## Classification: CIFAR-10', '', *_best(outcome, classifiers), _classifiers(outcome, classifiers),
        _compared(primary),
        'Against models of other authors:', '', _compared(of(claims.of_others())),
        "## The four changes: the paper's table 6", '', _ABLATION, '', _ablation(outcome, of(claims.of_ablation())),
        'All four changes:', '', _compared(of([claims.of_all_changes()])),
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
    best = f'The highest top-1 of a run is {value:.2f} % ({claims.label(run.backbone)}, seed {run.seed}).'
    curves = [record.arrays for run in runs if run.backbone == 'mvit3_0.5'
              and (record := outcome.records.get(run.name)) and len(record.arrays['epochs'])]
    if not curves or runs[0].mini:
        return [best, '']
    last = np.mean([curve['validation'][-1] for curve in curves])
    return [best, '', _EXPECTED.format(last, curves[0]['epochs'][-1]), '']


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
        lines.append((' against '.join(each.names), '; '.join(alone) or NONE, _cell(each.difference, sign='+'),
                      _cell(each.pooled, sign='+'), _published(each.claim)))
    return table(lines, ('compared', 'difference over images, by seed', 'over images and seeds', 'the wider interval',
                         'published difference'))


def _published(claim: claims.Claim) -> str:
    found = claims.published_difference(claim)
    return f'{found[0]:+.2f} ({found[1]})' if found else NONE


def _ablation(outcome: Outcome, comparisons: list[Comparison]) -> str:
    files = sorted((MIM / 'configs' / 'ablation').glob('*.py'))
    whats = [title_of(file).partition(', ')[2].rstrip('.').partition(';')[0] for file in files]
    whats = ['step 0: v1', *whats[1:], 'the widths of v3-XXS']
    lines, after = [], [(None, None), *((each.difference, each.pooled) for each in comparisons)]
    for number, model in enumerate((*claims.STEPS, 'mvit3_xxs')):
        step, runs = number < len(files), outcome.runs(claims.CLASSIFICATION, model)
        there = f'{counts()[f"ablation/{files[number].name}"][""].parameters / 1e6:.3f}' if step else NONE
        change = f'`{claims.CHANGES[number - 1]}`' if step and number else NONE
        lines.append((whats[number], change, there, _cost(outcome, runs)[0],
                      mean_and_deviation(outcome.values(runs)) or NONE,
                      *(_cell(found, sign='+') for found in after[number])))
    return table(lines, ('step', 'change', 'parameters of S (M)', 'parameters here (M)', 'top-1 (%)',
                         'against the step before', 'the wider interval'))


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
        folder, source = Path('work_dirs', claims.SUITE), outcome.results.get(run.source.name) if run.source else None
        there = replace(run, folder=folder / run.name)
        train = line(there.train(str(folder / run.source.name / source.checkpoint))) if source else train_line(there)
        commands += [train, *([result.command] if result else [])]
    machines = sorted({result.hardware for result in outcome.results.values()})
    return '\n'.join([
        _RUNS, '', table(rows, ('run', 'score (%)', 'minutes', 'sha256', 'commit', 'date')),
        *(f'- {machine}' for machine in machines), *[''] * bool(machines), *_again(outcome),
        'All of them: `mvit3 study --jobs 2`, each on one thread. One by one, training and test:', '',
        '```bash', 'export OMP_NUM_THREADS=1', *commands, '```', ''])


def _again(outcome: Outcome) -> list[str]:
    """The runs that were done twice."""
    folder = outcome.suite.runs[0].results / RERUN
    second = find_results([replace(run, results=folder) for run in outcome.suite.runs])
    lines = [(name, f'{score(outcome.results[name])[1]:.2f}', f'{score(result)[1]:.2f}', result.commit or NONE, result.date)
             for name, result in second.items() if name in outcome.results]
    if not lines:
        return []
    return [_AGAIN.format(FOLDER / RERUN), '', table(lines, ('run', 'score (%)', 'again (%)', 'commit', 'date'))]
