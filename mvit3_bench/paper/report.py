"""The tables, the figure and pictures as a page of Markdown and as csv files."""
import csv
import io
import json
from pathlib import Path

from ..errors import ResultError
from ..results import store
from ..utils import text
from . import fidelity, figure
from .published import published
from .tables import TABLES, Measured, Table, exceptions

PAGE, FOLDER, BENCHMARKS = Path('results', 'paper.md'), Path('results', 'paper'), Path('docs', 'results', 'benchmarks')
# name of the file below PICTURES -> what it shows; a picture that is not there is left out
PICTURES = Path('docs', 'results', 'pictures')
_CAPTIONS = dict(
    classification='Classification: MobileViTv1-XXS and MobileViTv3-XXS',
    detection='Detection: SSDLite with MobileViTv1-XXS and MobileViTv3-XXS',
    segmentation='Segmentation: DeepLabv3 with MobileViTv2-0.5 and MobileViTv3-0.5',
    maps='Features and attention in layer3 of MobileViTv3-XXS, the classifier')
_PICTURES_NOTE = ('Models trained with `--mini` on drawn images: what they can tell is that everything runs, and nothing of '
                  "the paper's data. Made by `tools/gallery.py` and `tools/demo.py --maps`, see docs/pictures.md.")
_TITLE = "The paper's tables and figures"
_INTRODUCTION = (
    'Made by `python tools/reproduce.py` from the models, the published figures and the store of results; do not edit.',
    'Every figure has an origin. **Parameters and multiply-adds** are counted here on the built models, without auxiliary '
    'heads: true multiply-adds, and those in the convention of the papers. **Accuracies** are published unless a column '
    'says "measured here"; that is either "converted weights" (published weights, evaluated here) or "trained here".')


def load(root: Path) -> Measured:
    """What was measured: the stores of results and of benchmarks in a checkout.

    Raises:
        ResultError: A file is wrong.
    """
    benchmarks = {}
    for path in sorted((root / BENCHMARKS).glob('*.json')):
        try:
            benchmarks[path.stem] = json.loads(path.read_text(encoding='utf-8'))
        except ValueError as error:
            raise ResultError(f'{path} is no json: {error}', path) from error
        if missing := {'machine', 'command', 'date', 'contenders'} - set(benchmarks[path.stem]):
            raise ResultError(
                f'{path}: field {min(missing)!r} is missing', path, 'wanted: a benchmark.json of tools/benchmark.py')
    pictures = tuple(name for name in _CAPTIONS if (root / PICTURES / f'{name}.jpg').exists())
    results = [result for folder in (store.FOLDER, store.STUDY) for result in store.read(root / folder)]
    return Measured(results, benchmarks, pictures, tuple(fidelity.read(root)))


def render(measured: Measured) -> dict[str, str]:
    """Path below ``docs/`` -> contents: the page, csv files, the figure."""
    tables = [make(measured) for make in TABLES.values()]
    return {
        PAGE.as_posix(): _page(tables, measured.pictures),
        (FOLDER / 'figure1.svg').as_posix(): figure.svg(measured),
        **{(FOLDER / f'{table.name}.csv').as_posix(): _csv(table) for table in tables}}


def markdown(table: Table) -> str:
    """A table with its heading and notes."""
    rows = text.table(table.rows, table.columns) if table.rows else ''
    notes = '\n' + ''.join(f'- {note}\n' for note in table.notes) if table.notes else ''
    return f'## {table.title}\n\n{rows}{notes}'


def _summary() -> str:
    found = exceptions(published())
    return (f'Of {len(published())} published rows, {len(published()) - len(found)} have the parameters of the built model '
            'at the published precision' + (f'. The exceptions: {"; ".join(found)}.' if found else '.'))


def _page(tables: list[Table], pictures: tuple[str, ...]) -> str:
    links = ', '.join(f'[{table.name}.csv]({FOLDER.name}/{table.name}.csv)' for table in tables)
    return '\n'.join([
        f'# {_TITLE}', '', *(f'{paragraph}\n' for paragraph in (*_INTRODUCTION, _summary())),
        f'The same as data: {links}.', '',
        *(markdown(table) for table in tables),
        f'## {figure.TITLE}', '', f'![published top-1 against parameters and multiply-adds]({FOLDER.name}/figure1.svg)', '',
        *(f'- {note}' for note in figure.NOTES), '', '## Pictures', '', _PICTURES_NOTE, '',
        *(f'{_CAPTIONS[name]}:\n\n![{_CAPTIONS[name]}]({PICTURES.name}/{name}.jpg)\n' for name in pictures)])


def _csv(table: Table) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator='\n').writerows([table.columns, *table.rows])
    return file.getvalue()
