"""The tables, the figure and pictures as a page of Markdown, as csv files and as one self-contained HTML page."""
import base64
import csv
import html
import io
import json
from pathlib import Path

from . import figure, results
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

_STYLE = '''
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 75rem; padding: 0 1rem 3rem }
h1, h2 { line-height: 1.2 }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums }
th, td { border-bottom: 1px solid #8885; padding: .25rem .5rem; text-align: right; white-space: nowrap }
th:first-child, td:first-child { background: Canvas; left: 0; position: sticky; text-align: left }
td:first-child { min-width: 8rem; overflow-wrap: anywhere; white-space: normal }
p, li { overflow-wrap: anywhere }
figure { background: #fff; color: #000; margin: 0 0 1rem; overflow-x: auto }
figcaption { padding: .25rem .5rem }
svg, img { display: block; height: auto; min-width: 50rem; width: 100% }
'''


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
            raise results.ResultError(f'{path} is no json: {error}') from error
        if missing := {'machine', 'command', 'date', 'contenders'} - set(benchmarks[path.stem]):
            raise results.ResultError(
                f'{path}: field {min(missing)!r} is missing; wanted: a benchmark.json of tools/benchmark.py')
    pictures = {name: (root / PICTURES / f'{name}.jpg').read_bytes() for name in _CAPTIONS
                if (root / PICTURES / f'{name}.jpg').exists()}
    return Measured(results.read(root / results.FOLDER), benchmarks, pictures)


def render(measured: Measured) -> dict[str, str]:
    """Path below ``docs/`` -> contents: the page, csv files, the figure, the HTML page."""
    tables, picture = [make(measured) for make in TABLES.values()], figure.svg(measured)
    return {
        PAGE.as_posix(): _page(tables, measured.pictures),
        PAGE.with_suffix('.html').as_posix(): _html(tables, picture, measured.pictures),
        (FOLDER / 'figure1.svg').as_posix(): picture,
        **{(FOLDER / f'{table.name}.csv').as_posix(): _csv(table) for table in tables}}


def markdown(table: Table) -> str:
    """A table with its heading and notes."""
    lines = [_row(table.columns), _row(['---'] * len(table.columns)), *map(_row, table.rows)] if table.rows else []
    notes = ['', *(f'- {note}' for note in table.notes)] if table.notes else []
    return '\n'.join([f'## {table.title}', '', *lines, *notes]) + '\n'


def _row(cells) -> str:
    return '| ' + ' | '.join(cell.replace('|', r'\|') for cell in cells) + ' |'


def _summary() -> str:
    found = exceptions(published())
    return (f'Of {len(published())} published rows, {len(published()) - len(found)} have the parameters of the built model '
            'at the published precision' + (f'. The exceptions: {"; ".join(found)}.' if found else '.'))


def _page(tables: list[Table], pictures: dict[str, bytes]) -> str:
    links = ', '.join(f'[{table.name}.csv]({FOLDER.name}/{table.name}.csv)' for table in tables)
    return '\n'.join([
        f'# {_TITLE}', '', *(f'{text}\n' for text in (*_INTRODUCTION, _summary())),
        f'The same as data: {links}; as one page for a browser: [{PAGE.stem}.html]({PAGE.stem}.html).', '',
        *(markdown(table) for table in tables),
        f'## {figure.TITLE}', '', f'![published top-1 against parameters and multiply-adds]({FOLDER.name}/figure1.svg)', '',
        *(f'- {note}' for note in figure.NOTES), '', '## Pictures', '', _PICTURES_NOTE, '',
        *(f'{_CAPTIONS[name]}:\n\n![{_CAPTIONS[name]}]({PICTURES.name}/{name}.jpg)\n' for name in pictures)])


def _csv(table: Table) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows([table.columns, *table.rows])
    return text.getvalue()


def _html(tables: list[Table], picture: str, pictures: dict[str, bytes]) -> str:
    parts = [f'<h2>{html.escape(figure.TITLE)}</h2>', f'<figure>{picture[picture.index("<svg"):].strip()}</figure>',
             _list(figure.NOTES)]
    for table in tables:
        head = ''.join(f'<th>{html.escape(cell)}</th>' for cell in table.columns)
        body = '\n'.join('<tr>' + ''.join(f'<td>{html.escape(cell)}</td>' for cell in row) + '</tr>' for row in table.rows)
        parts += [f'<h2>{html.escape(table.title)}</h2>', _list(table.notes)]
        if table.rows:
            parts.insert(-1, f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n'
                             f'<tbody>\n{body}\n</tbody></table></div>')
    parts += ['<h2>Pictures</h2>', f'<p>{_inline(_PICTURES_NOTE)}</p>']
    parts += [f'<figure><figcaption>{_CAPTIONS[name]}</figcaption><img alt="{_CAPTIONS[name]}" '
              f'src="data:image/jpeg;base64,{base64.b64encode(content).decode()}"></figure>'
              for name, content in pictures.items()]
    return '\n'.join([
        '<!DOCTYPE html>', '<html lang="en">', '<head>', '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<link rel="icon" href="data:,">',  # else a browser asks a server for one, and reports that there is none
        f'<title>{html.escape(_TITLE)}</title>', f'<style>{_STYLE}</style>', '</head>', '<body>',
        f'<h1>{html.escape(_TITLE)}</h1>', *(f'<p>{_inline(text)}</p>' for text in (*_INTRODUCTION, _summary())),
        *parts, '</body>', '</html>']) + '\n'


def _list(notes) -> str:
    return '<ul>' + ''.join(f'<li>{_inline(note)}</li>' for note in notes) + '</ul>'


def _inline(text: str) -> str:
    """Markdown's code and bold, as HTML."""
    for mark, tag in (('`', 'code'), ('**', 'b')):
        parts = (html.escape(text) if mark == '`' else text).split(mark)
        text = ''.join(part if number % 2 == 0 else f'<{tag}>{part}</{tag}>' for number, part in enumerate(parts))
    return text
