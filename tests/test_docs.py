"""The documentation is not stale: tables of configs are the model index, links lead somewhere, commands are understood."""
import argparse
import itertools
import json
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from conftest import CONFIGS, ROOT
from mmengine.config import Config

from mvit3_bench.cli import common, main
from mvit3_bench.paper import fidelity
from mvit3_bench.paper.published import Published, published

FAMILIES = dict(mvit1='MobileViTv1', mvit2='MobileViTv2', mvit3='MobileViTv3')
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md'))]
# script of tools/ -> the module of its command
SCRIPTS = {path.name: re.search(r'^ *run\((\w+),', path.read_text(), re.MULTILINE)[1]
           for path in (ROOT / 'tools').glob('*.py')}


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


def test_comparisons_are_not_stale():
    """The page of what equals the published training is made of its record, and the record of the comparisons."""
    record = json.loads((ROOT / fidelity.RESULTS).read_text(encoding='utf-8'))
    assert (ROOT / fidelity.PAGE).read_text(encoding='utf-8') == fidelity.page(record), 'make fidelity'


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


def commands(page: Path) -> Iterator[tuple[str, str, list[str]]]:
    """The commands of this package in the blocks of a page: the line, the module of the command, and its words."""
    for block in re.findall(r'^ *```bash\n(.*?)^ *```', page.read_text(encoding='utf-8'), re.DOTALL | re.MULTILINE):
        for line in block.replace('\\\n', ' ').splitlines():
            if not re.search(r'\bmvit3 |\btools/', line):
                continue
            parts = [[]]
            for word in shlex.split(line, comments=True):
                parts.append([]) if word in ('&&', '|', ';', '&') else parts[-1].append(word)
            for part in parts:
                words = list(itertools.dropwhile(lambda word: re.match(r'\w+=', word), part))
                name = Path(words[1]).name if len(words) > 1 else ''
                if words[:1] == ['mvit3'] and name in main.COMMANDS:
                    yield line, main.COMMANDS[name], words[2:]
                elif name in SCRIPTS:
                    yield line, SCRIPTS[name], words[2:]
                elif match := re.fullmatch(r'dist_(train|test)\.sh', name):  # with the number of processes at the end
                    count = 3 if match[1] == 'train' else 4
                    yield line, match[1], [*words[2:count], *words[count + 1:]]


STARTED = [path for path in CONFIGS if 'dist_train.sh' in path.read_text()]  # by several processes


@pytest.mark.parametrize('path', STARTED, ids=lambda path: path.stem)
def test_processes_of_a_recipe(path):
    """The command in the docstring of a config starts as many processes as its batch is meant for."""
    cfg = Config.fromfile(path)
    for line in re.findall(r'dist_train\.sh .*', path.read_text()):
        words = line.split()
        if not {'--auto-scale-lr', '--accumulate'} & {*words}:
            assert int(words[2]) * cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size, line


def test_commands(monkeypatch):
    """Every command line of the documents is one that its parser takes; words in capitals stand for others."""
    def refuse(self, message):
        raise ValueError(message)
    monkeypatch.setattr(argparse.ArgumentParser, 'error', refuse)
    wrong, found = {}, 0
    for page in PAGES:
        for line, module, words in commands(page):
            if '$' in line or '--help' in words or any('...' in word for word in words):  # what a shell fills in
                continue
            found += 1
            words = list(itertools.takewhile(lambda word: word not in ('>', '2>'), words))
            try:
                common.build_parser(import_module(f'mvit3_bench.cli.{module}'), module).parse_args(words)
            except ValueError as error:
                if not re.search(r"'[A-Z_]+'", str(error)):
                    wrong[f'{page.name}: {line.strip()}'] = str(error)
            missing = [word for word in words if word.startswith('configs/') and not [*ROOT.glob(word)]]
            if missing:
                wrong[f'{page.name}: {line.strip()}'] = f'there is no {missing[0]}'
    assert not wrong, '\n'.join(f'{line}: {error}' for line, error in wrong.items())
    assert found > 200
