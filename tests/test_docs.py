"""The documentation is not stale: its tables of configs are the model index, its links lead somewhere."""
import re

import pytest
import yaml
from conftest import ROOT

from mvit3_bench.paper.published import Published, published

FAMILIES = dict(mvit1='MobileViTv1', mvit2='MobileViTv2', mvit3='MobileViTv3')
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md'))]


def det_row(name: str, model: str, value: float, parameters: int, multiply_adds: int, flops_M: float | None) -> str:
    return f'| `{name}` | {model} | {value} | {parameters / 1e6:.2f} M | {multiply_adds / 1e9:.2f} G |'


def cls_row(name: str, model: str, value: float, parameters: int, multiply_adds: int, flops_M: float | None) -> str:
    return (f'| `{name}` | {model} | {value} | {parameters / 1e6:.2f} M | {multiply_adds / 1e6:.1f} M | '
            + ('-' if flops_M is None else f'{flops_M:.0f} M') + ' |')


def seg_row(name: str, model: str, value: float, parameters: int, multiply_adds: int, flops_M: float | None) -> str:
    return f'| `{name}` | {model} | {value} | {parameters / 1e6:.2f} M | {multiply_adds / 1e9:.1f} G |'


@pytest.mark.parametrize('page, folder, row', [
    ('detection.md', 'det', det_row), ('classification.md', 'cls', cls_row), ('segmentation.md', 'seg', seg_row)])
def test_table_of_configs(page, folder, row):
    """Every model of the metafile has its row, with the figures of the metafile and of the published tables."""
    models = yaml.safe_load((ROOT / 'configs' / folder / 'metafile.yml').read_text(encoding='utf-8'))['Models']
    rows = {f'configs/{row.config}': row for row in published()}
    expected = []
    for model in models:
        source, path, counts = rows[model['Config']], ROOT / model['Config'], model['Metadata']
        value, = model['Results'][0]['Metrics'].values()
        name = f'{FAMILIES[source.family]}-{source.model.upper().replace("_", "-")}'
        expected.append(row(path.name, name, value, counts['Parameters'], counts['FLOPs'], source.flops_M))
    lines = (ROOT / 'docs' / page).read_text(encoding='utf-8').splitlines()
    found = [line for line in lines if re.match(r'\| `\S+\.py` \| MobileViT', line)]
    assert found == expected, f'the table of docs/{page} should be\n' + '\n'.join(expected)


def anchors(text: str) -> set[str]:
    """What GitHub makes of the headings of a page."""
    headings = re.findall(r'^#+ (.*)$', re.sub(r'^```.*?^```', '', text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name if page.parent.name != 'results' else 'results')
def test_links(page):
    """Links to files and headings of the repository lead to them."""
    for link in re.findall(r'\]\(([^)\s]+)\)', page.read_text(encoding='utf-8')):
        if '://' in link:
            continue
        path, _, anchor = link.partition('#')
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text(encoding='utf-8')), link


def test_pages_are_listed():
    """Each page of docs/ has its line in docs/README.md and, in the same order, a place in the contents of the site."""
    docs = ROOT / 'docs'
    index, readme = ((docs / name).read_text(encoding='utf-8') for name in ('index.md', 'README.md'))
    trees = re.findall(r'^```{toctree}\n(?::.*\n)*\n((?:.+\n)*)```$', index, re.MULTILINE)
    places = [re.sub(r'.*<(.*)>', r'\1', line) for tree in trees for line in tree.splitlines()]
    assert places.pop() == 'api/*'
    pages = {page.relative_to(docs).with_suffix('').as_posix() for page in docs.rglob('*.md')} - {'README', 'index'}
    assert sorted(places) == sorted(pages)
    links = re.findall(r'^- \[.*?\]\((\S+)\.md\):', readme, re.MULTILINE)
    assert ['first_steps' if link == '../README' else link for link in links] == places


def weights_row(row: Published) -> str:
    metric = dict(top1='top-1', bbox_mAP='mAP', mIoU='mIoU')[row.metric]
    where = f'`{row.weights}`' if row.family == 'mvit3' else f'[{row.weights.rpartition("/")[2]}](https://{row.weights})'
    return f'| `configs/{row.config}` | {metric} {row.value} | {where} |'


def test_table_of_weights():
    """Every published checkpoint has its row."""
    lines = (ROOT / 'docs' / 'weights.md').read_text(encoding='utf-8').splitlines()
    found = [line for line in lines if line.startswith('| `configs/')]
    expected = [weights_row(row) for row in published()]
    assert found == expected, 'the table of docs/weights.md should be\n' + '\n'.join(expected)
