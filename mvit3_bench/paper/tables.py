"""The paper's tables (arXiv 2209.15159), made from the models, the published figures and the results measured here."""
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ..engine.config_files import title_of
from ..models.archs import ARCHS, Arch
from ..models.complexity import Complexity
from ..results.store import Result
from ..utils.environment import line
from ..utils.paths import MIM
from . import fidelity
from .counts import counts
from .published import Published, published

# dataset of a published row -> title, name of the metric, images of the test
DATASETS = dict(
    imagenet1k=('ImageNet-1K', 'top-1', 50_000), coco2017=('COCO 2017, SSDLite at 320x320', 'mAP', 5_000),
    voc2012=('Pascal VOC 2012', 'mIoU', 1_449), ade20k=('ADE20K', 'mIoU', 2_000))
_ARCHITECTURES = ('xxs', 'xs', 's', '0.5', '0.75', '1.0')  # of v3
_NAMES = dict(mvit1='MobileViTv1', mvit2='MobileViTv2', mvit3='MobileViTv3')
_STRIDES = dict(stem=2, layer1=2, layer2=4, layer3=8, layer4=16, layer5=32, expansion=32)
EQUAL, NONE = '✓', '-'


@dataclass(frozen=True)
class Table:
    """A table for any form of output.

    Args:
        name: For the command line, and of the csv.
        title: The heading.
        columns: Their headings.
        rows: Their cells, as text.
        notes: Sentences below it.
    """
    name: str
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Measured:
    """What was measured here.

    Args:
        results: The store of results; miniature ones are passed over.
        benchmarks: Name of a file of ``tools/benchmark.py`` -> what it holds.
        pictures: Names of the pictures of miniature data that are there.
        fidelity: What the tests compared with the published training, see :mod:`mvit3_bench.paper.fidelity`.
    """
    results: list[Result]
    benchmarks: dict[str, dict]
    pictures: tuple[str, ...] = ()
    fidelity: tuple[dict, ...] = ()

    def of(self, config: str, dataset: str, metric: str) -> Result | None:
        """The newest result of a config that has a metric, on the whole test set."""
        found = [result for result in self.results if result.config == config and not result.mini
                 and result.images == DATASETS[dataset][2] and result.percent(metric) is not None]
        return found[-1] if found else None


def millions(number: int, digits: int = 3) -> str:
    return f'{number / 1e6:,.{digits}f}'


def model_name(family: str, arch: str) -> str:
    return f'{_NAMES[family]}-{arch.upper().replace("_", "-")}'


# -------------------------------------------------------------------------------------------------- architecture
def architecture(measured: Measured) -> Table:
    """Table 1: widths, their factors to the counterpart's, and what each layer costs."""
    rows = [row for arch in _ARCHITECTURES for row in _layers(arch)]
    return Table(
        'architecture', 'Table 1: architecture and scaling',
        ('model', 'layer', 'output', 'channels', 'counterpart', 'factor', 'd', 'layers', 'parameters (M)', 'share (%)',
         'multiply-adds (M)', "paper's convention (M)"), rows,
        ['At 256x256. The counterpart has the same name in v1 (XXS, XS, S) or v2 (0.5, 0.75, 1.0); factor: channels of v3 / '
         "channels of the counterpart; d and layers: width and number of a block's transformer layers."])


def _layers(arch: str) -> Iterable[tuple[str, ...]]:
    family = 'v2' if ARCHS['v3'][arch].separable else 'v1'
    ours, other, modules = ARCHS['v3'][arch], ARCHS[family][arch], counts()[f'cls/mvit3_{arch}_in1k.py']
    widths, before = _widths(ours), _widths(other)
    total = modules['']
    for name, stride in _STRIDES.items():
        if name in widths:
            block = int(name[-1]) - 3 if name[-1] in '345' else None
            yield (model_name('mvit3', arch), name, f'{256 // stride}x{256 // stride}', str(widths[name]), str(before[name]),
                   f'{widths[name] / before[name]:.2f}', NONE if block is None else str(ours.dims[block]),
                   NONE if block is None else str(ours.depths[block]), *_cost(modules[f'backbone.{name}'], total))
    empty = (NONE,) * 4
    yield model_name('mvit3', arch), 'classifier', '1x1', '1000', *empty, *_cost(modules['head'], total)
    yield model_name('mvit3', arch), 'all', '', '', *empty, *_cost(total, total)


def _widths(arch: Arch) -> dict[str, int]:
    """Name of a layer -> its output channels."""
    widths = dict(stem=arch.stem, **{f'layer{number}': width for number, width in enumerate(arch.widths, 1)})
    return widths | (dict(expansion=arch.expansion) if arch.expansion else {})


def _cost(value: Complexity, total: Complexity) -> tuple[str, ...]:
    return (millions(value.parameters), f'{100 * value.parameters / total.parameters:.1f}',
            millions(value.multiply_adds), millions(value.published))


# -------------------------------------------------------------------------------------------------- accuracy
def counterpart(row: Published) -> Published | None:
    """The published row of v1 or v2 that a row of v3 is compared with: same dataset, head and size."""
    if row.family != 'mvit3':
        return None
    return next((other for other in published() if other.family != 'mvit3' and (other.dataset, other.head, other.model) == (
        row.dataset, row.head, row.model.removesuffix('_l2'))), None)


def check_parameters(row: Published) -> str:
    """``✓`` if the built model has the published parameters at the published precision, one decimal; else the difference."""
    difference = round(counts()[row.config][''].parameters / 1e6, 1) - row.params_M
    return EQUAL if abs(difference) < 0.05 else f'{difference:+.1f}'


def check_multiply_adds(row: Published) -> str:
    """The same for multiply-adds, published in whole millions; whether these were rounded or cut off, is said."""
    if row.flops_M is None:
        return NONE
    found = counts()[row.config][''].published / 1e6
    if round(found) == row.flops_M:
        return EQUAL
    return f'{EQUAL} cut off' if int(found) == row.flops_M else f'{found - row.flops_M:+.3f}'


def accuracy(dataset: str) -> Callable[[Measured], Table]:
    """The table of a data set: size, cost, published metric, gain over the counterpart, and what was measured here."""
    title, metric, _ = DATASETS[dataset]

    def make(measured: Measured) -> Table:
        rows = [row for row in published() if row.dataset == dataset]
        rows.sort(key=lambda row: (row.head, row.family))
        several_heads = len({row.head for row in rows}) > 1
        return Table(
            dataset, title,
            ('model', *['head'] * several_heads, 'parameters (M)', 'parameters, published (M)', 'parameters equal',
             'multiply-adds (M)', "paper's convention (M)", 'multiply-adds, published (M)', 'multiply-adds equal',
             f'{metric} (%), published', 'gain', 'origin of the metric', f'{metric} (%), measured here',
             'origin of the measurement', 'recipe equal'),
            [_accuracy(row, measured, several_heads) for row in rows],
            _notes(rows))
    return make


def _accuracy(row: Published, measured: Measured, several_heads: bool) -> tuple[str, ...]:
    total, other, result = counts()[row.config][''], counterpart(row), measured.of(row.config, row.dataset, row.metric)
    return (
        model_name(row.family, row.model), *[row.head] * several_heads,
        millions(total.parameters), f'{row.params_M:.1f}', check_parameters(row),
        millions(total.multiply_adds), millions(total.published), NONE if row.flops_M is None else f'{row.flops_M:,.0f}',
        check_multiply_adds(row), str(row.value), f'{row.value - other.value:+.2f}' if other else NONE,
        f'published: {row.source}', NONE if result is None else f'{result.percent(row.metric):.2f}',
        NONE if result is None else f'{result.origin}: {result.id}', fidelity.state(row.config, measured.fidelity))


def exceptions(rows: Iterable[Published]) -> list[str]:
    """Rows whose built model has not the published parameters."""
    return [f'{model_name(row.family, row.model)} ({row.config}): the model has '
            f'{counts()[row.config][""].parameters:,} parameters, published are {row.params_M:.1f} M'
            for row in rows if check_parameters(row) != EQUAL]


def _notes(rows: list[Published]) -> list[str]:
    found = exceptions(rows)
    notes = [f'Parameters: {len(rows) - len(found)} of {len(rows)} rows equal the published figure'
             + (f'; all but {"; ".join(found)}.' if found else '.')]
    if with_cost := [row for row in rows if row.flops_M is not None]:
        equal = sum(check_multiply_adds(row).startswith(EQUAL) for row in with_cost)
        notes.append(f"Multiply-adds in the paper's convention: {equal} of {len(with_cost)} equal the published figure, "
                     'whole millions; "cut off": equal before rounding.')
    if any(counterpart(row) for row in rows):
        notes.append("Gain: over the counterpart's published figure in this table. The paper's own baselines may differ "
                     'from those of the zoo.')
    notes.append('Recipe equal: how many items of the training and of the evaluation equal the published ones, and the '
                 'differences on purpose, by the keys of [fidelity.md](../fidelity.md).')
    return notes


# -------------------------------------------------------------------------------------------------- the rest
def ablation(measured: Measured) -> Table:
    """Table 6: the four changes of v3, one on top of the other, on MobileViT-S."""
    rows, before = [], None
    for path in sorted((MIM / 'configs' / 'ablation').glob('*.py')):
        config = f'ablation/{path.name}'
        total, result = counts()[config][''], measured.of(config, 'imagenet1k', 'top1')
        what = title_of(path).partition(', ')[2].rstrip('.')
        rows.append((what, config, millions(total.parameters), NONE if before is None else
                     f'{(total.parameters - before) / 1e6:+.3f}', millions(total.multiply_adds), millions(total.published),
                     NONE if result is None else f'{result.percent("top1"):.2f}',
                     NONE if result is None else f'{result.origin}: {result.id}'))
        before = total.parameters
    return Table(
        'ablation', 'Table 6: ablation',
        ('step', 'config', 'parameters (M)', 'change', 'multiply-adds (M)', "paper's convention (M)",
         'top-1 (%), measured here', 'origin of the measurement'), rows,
        ['The published accuracies of this table are not among our published figures, so none is shown.'])


def latency(measured: Measured) -> Table:
    """Latency and throughput of our models, as ``tools/benchmark.py`` measured them."""
    rows = [(each['model'], each['mode'], each['dtype'], str(each['batch']), f'{each["median_ms"]:.2f}',
             f'{each["p90_ms"]:.2f}', f'{each["images_per_s"]:.1f}', f'measured here: {name}')
            for name, content in measured.benchmarks.items() for each in content['contenders']
            if each['owner'] == 'ours' and each['mode'] not in ('train', 'kernels')]
    return Table(
        'latency', 'Latency and throughput',
        ('config', 'mode', 'type', 'batch', 'median (ms)', '90th percentile (ms)', 'images/s', 'origin'), rows,
        [f'{name}: `{content["command"]}`, {content["date"]}; {line(content["machine"])}.'
         for name, content in measured.benchmarks.items()])


def runs(measured: Measured) -> Table:
    """Every result of the store but the miniature ones, with all that its origin says."""
    sizes = {row.config: DATASETS[row.dataset][2] for row in published()}
    rows, notes = [], []
    for result in (result for result in measured.results if not result.mini):
        name = next((name for name in ('top1', 'bbox_mAP', 'mIoU') if result.percent(name) is not None), None)
        rows.append((result.id, result.config, result.dataset, str(result.images),
                     NONE if name is None else f'{name} {result.percent(name):.2f}', result.origin,
                     result.source or NONE, NONE if result.seed is None else str(result.seed), result.sha256[:12],
                     result.commit or NONE, result.date, result.hardware))
        notes.append(f'{result.id}: `{result.command}`')
        if result.images != sizes.get(result.config, result.images):
            notes.append(f'{result.id} tested {result.images} of {sizes[result.config]} images and is in no table above.')
    return Table(
        'runs', 'Results measured here',
        ('run', 'config', 'data', 'images', 'metric (%)', 'origin', 'converted from', 'seed', 'sha256', 'commit', 'date',
         'hardware'), rows,
        notes or ['The store has no result yet.'])


TABLES = dict(architecture=architecture, **{name: accuracy(name) for name in DATASETS}, ablation=ablation, latency=latency,
              runs=runs)
NUMBERS = {'1': 'architecture', '6': 'ablation'}  # of the paper
