"""What the tests found equal to the published training and evaluation, and what differs on purpose: ``docs/fidelity.md``.

The tests note what they compare (``tests/conftest.py``, fixture ``fidelity``), pytest writes the notes into its report
(``--junitxml``), and this module makes a page of them and of the values in the configs. Only the reasons are listed by hand.
"""
import json
import re
import xml.etree.ElementTree
from collections.abc import Iterable
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict

from ..utils import environment
from ..utils.paths import MIM
from ..utils.text import table

# recipe -> a config that has it
RECIPES = dict(
    imagenet_v1type='cls/mvit3_s_in1k.py', imagenet_v2type='cls/mvit3_1.0_in1k.py', imagenet_384='cls/mvit3_1.0_384_in1k.py',
    coco_v1type='det/ssdlite_mvit3_s_coco.py', coco_v2type='det/ssdlite_mvit3_1.0_coco.py',
    voc_v1type='seg/deeplabv3_mvit3_s_voc2012.py', voc_v2type='seg/deeplabv3_mvit3_1.0_voc2012.py',
    ade20k='seg/deeplabv3_mvit3_1.0_ade20k.py')
ITEMS = ('network', 'initialisation', 'learning rate', 'parameter groups', 'ten steps', 'average', 'dropout', 'losses',
         'augmentation', 'samplers', 'test preprocessing', 'post-processing', 'metrics', 'best checkpoint')
# key of a difference on purpose -> what differs, and why
DIFFERENCES = dict(
    D13=('losses over several processes', 'The loss is divided by the positives, or labelled pixels, of all processes, and '
         "not by each process's own. The result does not depend on how many processes there are."),
    D14=('images a process', 'The published settings name the images of a process, not the number of processes; the configs '
         'keep one global batch for all models of a type. The statistics of batch norms that are not synchronised, as in '
         'classification, are those of a process.'),
    D16=('best checkpoint', 'The v1-type detectors were chosen by their validation loss; the configs choose by mAP, the '
         'figure that is reported.'),
    D17=('precision', 'The published runs use float16 with a gradient scaler; the configs use float32, and `--amp` '
         'switches.'),
    D29=('last batch on several processes', 'The published sampler fills the last batch of each process with images seen '
         'already, in the validation too, where they count twice. Here the last batch is smaller.'),
    partner=('mixup and cutmix', 'The published batch is mixed with itself, rolled by one image; mmpretrain draws the '
             'partners.'),
    start=('initial weights and data', 'Published detectors and segmentors start from ImageNet weights of the backbone, and '
           'VOC2012 has images of COCO besides; the configs do so where options name them (docs/detection.md, '
           'docs/segmentation.md). Which images of COCO is our reading.'),
    boxes=('boxes in training', 'The published training leaves out crowds and empty boxes; mmdet also those that are '
           'narrower or lower than a pixel. In an image that is not cropped, the published v1 type does not clip boxes.'),
    NaN=('nothing to average', 'A batch without positives, or without labelled pixels, has a loss of 0, and a class without '
         'a pixel is left out of the mean IoU. The published figures are NaN.'),
    squares=('validation during the training', 'The published validation of segmentation resizes images and masks to '
             'squares and adds up batches; the configs validate as they test.'))
NOT_PROVED = (
    'batch norms of the v1-type detectors and segmentors: that the published ones were synchronised, as ours are, is known '
    'of the v2 type alone',
    'pictures with an EXIF orientation, which ours are turned by: all pictures compared have none',
    'random erasing of a patch that does not fit, which mmpretrain clips: the published way is not known',
    'mixed precision: every comparison runs in float32 or float64 on a CPU',
    'several machines: processes were compared on one machine only',
    'the order of the data: generators of other libraries draw other numbers, so distributions are compared, not draws',
    'accuracy: nothing here is a training of the paper from its first to its last epoch')
PAGE, RESULTS = Path('docs', 'fidelity.md'), Path('docs', 'results', 'fidelity.json')


def recipe_of(config: str) -> str | None:
    """The recipe of a config by its path, ``det/ssdlite_mvit1_s_coco.py`` -> ``coco_v1type``; None if it has another."""
    found = re.fullmatch(r'.*mvit\d_(?P<arch>.+?)_(?P<data>384_in1k|in1k|coco|voc2012|ade20k)\.py', config)
    if found is None:
        return None
    names = {'384_in1k': 'imagenet_384', 'ade20k': 'ade20k'}
    task = dict(in1k='imagenet', coco='coco', voc2012='voc')
    kind = 'v2type' if found['arch'][0].isdigit() else 'v1type'
    return names.get(found['data']) or f'{task[found["data"]]}_{kind}'


def collect(report: Path) -> list[dict]:
    """The notes in a report of pytest, each with the test that made it.

    Args:
        report: A file of ``pytest --junitxml``.

    Raises:
        ValueError: A test failed, or the report has no notes.
    """
    notes, failed = [], []
    for case in xml.etree.ElementTree.parse(report).iter('testcase'):
        name = f'{case.get("classname")}.{case.get("name")}'
        if case.find('failure') is not None or case.find('error') is not None:
            failed.append(name)
        notes += [json.loads(entry.get('value')) | dict(test=name) for entry in case.iter('property')
                  if entry.get('name') == 'fidelity']
    if failed or not notes:
        raise ValueError(f'{report}: ' + (f'failed: {", ".join(failed)}' if failed else 'no test noted a comparison'))
    return notes


def make_record(report: Path) -> dict:
    """What :func:`page` takes: the notes in a report of pytest, and what they were made on.

    Raises:
        ValueError: A test failed, or the report has no notes.
    """
    notes = collect(report)
    return dict(tests=len({note['test'] for note in notes}), command="python -m pytest tests -k 'fidelity or parity'",
                machine=environment.line(environment.describe(torch.device('cpu'))), notes=notes)


def read(root: Path) -> list[dict]:
    """The notes kept in a checkout; none if it has none."""
    path = root / RESULTS
    return json.loads(path.read_text(encoding='utf-8'))['notes'] if path.exists() else []


def state(config: str, notes: Iterable[dict]) -> str:
    """What is known of the recipe of a config: ``12 of 14, D17``; ``-`` for a config with a separate recipe."""
    recipe = recipe_of(config)
    mine = [note for note in notes if note['recipe'] == recipe]
    if not mine:
        return '-'
    equal = {note['item'] for note in mine if not note['differs']}
    different = sorted({note['differs'] for note in mine if note['differs']})
    return ', '.join([f'{len(equal)} of {len(ITEMS)}', *different])


def _cell(recipe: str, item: str, notes: list[dict]) -> str:
    mine = [note for note in notes if note['recipe'] == recipe and note['item'] == item]
    marks = sorted({note['differs'] for note in mine if note['differs']})
    equal = ['equal'] if any(not note['differs'] for note in mine) else []
    return ', '.join([*equal, *(f'[{mark}](#{mark.lower()})' for mark in marks)]) or '-'


def _settings(cfg: Config) -> dict[str, str]:
    """What a recipe sets, in words."""
    optimizer, wrapper = cfg.optim_wrapper.optimizer, cfg.optim_wrapper
    average = next(hook for hook in cfg.custom_hooks if hook.type == 'mvit3_bench.EMAHook')
    schedule: ConfigDict = cfg.param_scheduler[0] if cfg.param_scheduler else ConfigDict()
    rate = optimizer.lr
    bare = (wrapper.get('paramwise_cfg') or {}).get('bias_decay_mult') == 0
    return {
        'epochs': str(cfg.train_cfg.max_epochs), 'batch': str(cfg.auto_scale_lr.base_batch_size),
        'optimiser': optimizer.type, 'rate': f'{rate:g}',
        'last rate': f'{rate * schedule.eta_min_ratio:g}' if schedule else f'{rate:g}',
        'warm-up': f'{schedule.warmup_iters} from {rate * schedule.warmup_start_factor:g}'
                   if schedule.get('warmup_iters') else '-',
        'decay': f'{optimizer.weight_decay:g}' + (', none on norms and biases' if bare else ''),
        'clipping': str((wrapper.get('clip_grad') or {}).get('max_norm', '-')), 'average': f'{average.momentum:g}',
        'best by': cfg.default_hooks.checkpoint.save_best}


def page(record: dict) -> str:
    """The page: what was compared for each recipe, the differences with their size, and the recipes themselves.

    Args:
        record: Of :func:`make_record`.
    """
    notes = record['notes']
    matrix = [[item, *(_cell(recipe, item, notes) for recipe in RECIPES)] for item in ITEMS]
    figures = [[item, recipe, note, count] for item in ITEMS for recipe in RECIPES
               for note, count in _measured(item, recipe, notes)]
    recipes = {recipe: _settings(Config.fromfile(MIM / 'configs' / path)) for recipe, path in RECIPES.items()}
    names = list(next(iter(recipes.values())))
    differences = [part for key, (title, reason) in DIFFERENCES.items() for part in _difference(key, title, reason, notes)]
    return '\n'.join([
        '# Equal to the published training, item by item', '',
        'Made by `make fidelity` from the tests that compare this suite with traces and figures of the published trainer '
        'and evaluator, and from the configs; do not edit. The figures of the published code are in `tests/data/training`; '
        'no code of it is here.', '',
        f'{len(notes)} comparisons in {record["tests"]} tests, all passed: '
        f'`{record["command"]}` on {record["machine"]}.', '',
        '"equal" means within the tolerance of the test; the figures stand further below. "-" means that there is nothing '
        'to compare: the recipe has no such part, or no trace of it was taken.', '',
        table(matrix, ['', *RECIPES]), '## Differences on purpose', '', *differences,
        '## Not proved', '', *(f'- {sentence}' for sentence in NOT_PROVED), '',
        '## The recipes in the configs', '',
        table([[name, *(recipes[recipe][name] for recipe in RECIPES)] for name in names], ['', *RECIPES]),
        '## Figures', '', 'What each comparison measured; deviations are relative unless they say of what.', '',
        table(figures, ['item', 'recipe', 'measured', 'tests'])])


def _measured(item: str, recipe: str, notes: list[dict]) -> list[tuple[str, int]]:
    """Each distinct figure of an item of a recipe, and how many comparisons had it."""
    found = [note['measured'] for note in notes if (note['item'], note['recipe']) == (item, recipe) and not note['differs']]
    return [(figure, found.count(figure)) for figure in dict.fromkeys(found)]


def _difference(key: str, title: str, reason: str, notes: list[dict]) -> list[str]:
    mine = [note for note in notes if note['differs'] == key]
    sizes = {}
    for note in mine:
        sizes.setdefault(note['measured'], []).append(note['recipe'])
    lines = [f'- {measured} ({", ".join(dict.fromkeys(recipes))})' for measured, recipes in sizes.items()]
    return [f'### {key}', '', f'**{title[0].upper()}{title[1:]}.** {reason}', '',
            *(lines or ['- its size was not measured']), '']
