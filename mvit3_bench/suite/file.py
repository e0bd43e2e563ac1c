"""Reading the file of a suite: names, keys and kinds of values in it are checked before the first run starts."""
import re
from difflib import get_close_matches
from itertools import product
from pathlib import Path

import yaml

from ..engine.config_files import find_config
from ..engine.options import parse_options
from ..engine.run_config import run_name
from ..errors import UsageError
from ..mmlab.backbone_names import resolve
from ..results.provenance import config_name
from ..utils.paths import MIM
from .runs import Run, Suite, line

_FILE = dict(name=str, runs=list, mini=bool, slurm=dict)
_GROUP = dict(configs=list, backbones=list, seeds=list, options=dict, init=str)
_ITEMS = dict(configs=str, backbones=str, seeds=int)
_WORDS = {str: 'text', list: 'a list', bool: 'true or false', dict: 'a mapping', int: 'whole numbers from 0 on'}
_NAME = r'\w[\w.-]*'


class _Loader(yaml.SafeLoader):
    """Reads plain values, and refuses a key that stands twice, of which YAML's own keeps the last."""

    def construct_mapping(self, node, deep=False):
        found = []
        for each, _ in node.value:
            if each.tag == 'tag:yaml.org,2002:merge':  # <<: *group, whose keys give way
                continue
            key = self.construct_object(each, deep)
            if key in found:
                raise yaml.constructor.ConstructorError(None, None, f'key {key!r} stands twice', each.start_mark)
            found.append(key)
        return super().construct_mapping(node, deep)


def find_suite(name: str) -> str:
    """The file of a suite that is given by its path, or by its name in this package.

    Raises:
        UsageError: There is none; the message lists those of this package.
    """
    if Path(name).is_file():
        return name
    ours = {path.stem: path for path in sorted((MIM / 'configs' / 'suite').glob('*.yaml'))}
    stem = name.removeprefix('configs/').removeprefix('suite/').removesuffix('.yaml')
    if stem not in ours:
        raise UsageError(f'suite not found: {name}', name, f'there are: {", ".join(ours)}', '\n  ')
    return str(ours[stem])


def read_suite(file: str, mini: bool = False, folder: Path | None = None, results: Path | None = None) -> Suite:
    """Read the file of a suite and plan its runs.

    Args:
        file: Its path.
        mini: Whether all runs take the miniature data, whatever the file says.
        folder: Of all work dirs; None: ``work_dirs/NAME``, or ``work_dirs/NAME_mini`` if the file alone does not say mini.
        results: The store of results; None: ``results`` in the folder.

    Raises:
        UsageError: The file is no YAML; a key is unknown, or its value impossible; a config or backbone does not exist; two
            runs have one name; or a run begins with the weights of one that no earlier group has.
    """
    content = _parsed(file)
    _check(file, content, _FILE, ('runs',))
    name = content.get('name', Path(file).stem)
    if not re.fullmatch(_NAME, name):
        raise UsageError(f'{file}: name is {name!r}', 'name', 'it names a folder: letters, digits, ".", "-" and "_"')
    small = content.get('mini', False)
    folder = folder or Path('work_dirs', name + '_mini' * (mini and not small))
    results = results or folder / 'results'
    runs, places = {}, {}
    for number, group in enumerate(content['runs']):
        where = f'{file}: runs[{number}]'
        _check(where, group, _GROUP, ('configs',))
        earlier = dict(runs)
        for run in _runs(where, group, mini or small, folder, results, earlier):
            place = f'runs[{number}] ({run.config}{f" with {run.backbone}" if run.backbone else ""}, seed {run.seed})'
            if run.name in runs:
                raise UsageError(f'{file}: two runs are called {run.name}: {places[run.name]} and {place}', run.name,
                                 'leave one out, or give one config another name')
            runs[run.name], places[run.name] = run, place
    ours = Path(file).parent == MIM / 'configs' / 'suite'
    command = line(['suite', Path(file).stem if ours else file, *['--mini'] * mini])
    return Suite(name, command, folder, content.get('slurm', {}), tuple(runs.values()))


def _parsed(file: str):
    try:
        return yaml.load(Path(file).read_text(encoding='utf-8'), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, 'problem_mark', None)
        place = f'line {mark.line + 1}, column {mark.column + 1}: {error.problem}' if mark else str(error)
        raise UsageError(f'{file} is not YAML: {place}', file) from error


def _check(where: str, node, kinds: dict[str, type], needed: tuple[str, ...]) -> None:
    """Check keys and values of a mapping."""
    if not isinstance(node, dict):
        raise UsageError(f'{where} is no mapping, but {type(node).__name__}', where, f'its keys: {", ".join(kinds)}')
    for key, value in node.items():
        if key not in kinds:
            raise unknown(where, key, kinds)
        items = _ITEMS.get(key)
        if type(value) is not kinds[key] or value in ([], ''):
            raise UsageError(f'{where}.{key} is {value!r}', key, f'wanted: {_WORDS[kinds[key]]}')
        for item in value if items else ():
            if type(item) is not items or (items is int and item < 0):
                raise UsageError(f'{where}.{key} has {item!r}', key, f'wanted: a list of {_WORDS[items]}')
    for key in needed:
        if key not in node:
            raise UsageError(f'{where} has no {key}', key, f'its keys: {", ".join(kinds)}')


def unknown(where: str, key, known) -> UsageError:
    """The error of a key that nothing reads: its fix names the nearest one, or all."""
    near = get_close_matches(str(key), known, n=1, cutoff=0.5)
    return UsageError(f'{where} has no key {key!r}', str(key),
                      f'meant, perhaps: {near[0]}' if near else f'known: {", ".join(sorted(known))}')


def _runs(where: str, group: dict, mini: bool, folder: Path, results: Path, earlier: dict[str, Run]) -> list[Run]:
    """The runs of a group."""
    options, found = _options(where, group.get('options', {})), []
    for config, backbone, seed in product(group['configs'], group.get('backbones', [None]), group.get('seeds', [0])):
        path = find_config(config)
        if backbone:
            resolve(backbone)
        name = f'{run_name(path, backbone)}-seed{seed}'
        if not re.fullmatch(_NAME, name):
            raise UsageError(f'{where}: {config} makes a run called {name!r}, after which files are named', config,
                             'name the config with letters, digits, ".", "-" and "_"')
        source = _source(where, group['init'], backbone, seed, earlier) if 'init' in group else None
        found.append(Run(name, config, config_name(path), backbone, seed, options, mini, folder / name, results, source))
    return found


def _source(where: str, init: str, backbone: str | None, seed: int, earlier: dict[str, Run]) -> Run:
    """The run of an earlier group whose weights a run begins with."""
    recorded = config_name(find_config(init))
    same = [run for run in earlier.values() if run.recorded == recorded]
    for run in same:
        if (run.backbone, run.seed) == (backbone, seed):
            return run
    what = ' and '.join([*([f'backbone {backbone}'] if backbone else ['its own backbone']), f'seed {seed}'])
    raise UsageError(f'{where}.init: no group before it runs {init}' + (f' with {what}' if same else ''), 'init',
                     f'there are: {", ".join(run.name for run in same or earlier.values()) or "none"}')


def _options(where: str, options: dict) -> tuple[str, ...]:
    """``--cfg-options`` of the options of a group."""
    words = []
    for key, value in options.items():
        if not isinstance(key, str) or not re.fullmatch(r'[^\s=-][^\s=]*', key):
            raise UsageError(f'{where}.options has the key {key!r}', 'options', 'write them as --cfg-options: a.b: 1')
        if isinstance(value, dict):
            raise UsageError(f'{where}.options.{key} is a mapping', 'options', f'write {key}.KEY: VALUE for each')
        word = f'{key}={re.sub(", ", ",", str(value)) if isinstance(value, list) else value}'
        if not _same(value, parse_options([word])[key]):
            raise UsageError(f'{where}.options.{key} is {value!r}, which no word of --cfg-options says', 'options',
                             'write a list as [1, 2], name the parts of mappings, a.0.b: 1, or write a separate config')
        words.append(word)
    return tuple(words)


def _same(value, parsed) -> bool:
    """Whether an option is what its word is parsed to. Texts of numbers are, such as 1e-3 in YAML, and those of lists."""
    if isinstance(value, list):
        return isinstance(parsed, list) and len(value) == len(parsed) and all(map(_same, value, parsed))
    return value == parsed or isinstance(value, str) and (value[:1] in ('[', '(') or not isinstance(parsed, (str, list)))
