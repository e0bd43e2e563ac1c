"""The store of results measured here: a folder with one json file for each test of a checkpoint."""
import dataclasses
import datetime
import hashlib
import json
import logging
import math
import re
import types
from dataclasses import dataclass
from pathlib import Path

from ..checkpoints.atomic import write_text
from ..errors import ResultError
from ..models.archs import get_arch

FOLDER = Path('docs', 'results', 'runs')
TRAINED, CONVERTED = ORIGINS = ('trained here', 'converted weights')
TASKS = ('classification', 'detection', 'segmentation')
# metric of a published table -> its name in a result, and the factor to percent
METRICS = dict(top1=('accuracy/top1', 1), bbox_mAP=('coco/bbox_mAP', 100), mIoU=('mIoU', 1))


@dataclass(frozen=True)
class Result:
    """What one test of a checkpoint gave, and all that is needed to tell where it is from.

    Args:
        id: Name of the result and of its file, unlike any other in the store.
        config: Path of the config, below ``configs/`` if it is one of ours; behind it ``--backbone NAME`` if there was one.
        model: Family and arch of ours, as in ``'mvit3_s'`` or ``'mvit1_s(pointwise_fusion=True)'``, or the
            name of another backbone, as in ``'timm/repvit_m0_9'``.
        task: ``'classification'``, ``'detection'`` or ``'segmentation'``.
        dataset: Type and root of the data set.
        mini: Whether it is the miniature data set. Such a result shows that the machinery runs, and enters no table.
        images: Number of images tested.
        metrics: Name -> value, as the framework gives it.
        origin: ``'trained here'`` or ``'converted weights'``.
        checkpoint: Name of the file of the weights.
        sha256: Of that file.
        source: Of converted weights the name of the file that was converted; else empty.
        seed: That of the training, None if the checkpoint does not tell.
        commit: Of the code that tested, None outside a checkout.
        hardware: In one line.
        date: Of the test, ``YYYY-MM-DD``.
        command: That of the test.
    """
    id: str
    config: str
    model: str
    task: str
    dataset: str
    mini: bool
    images: int
    metrics: dict
    origin: str
    checkpoint: str
    sha256: str
    source: str
    seed: int | None
    commit: str | None
    hardware: str
    date: str
    command: str

    def percent(self, metric: str) -> float | None:
        """The metric of a published table, in percent; None if this result has none such."""
        name, factor = METRICS[metric]
        return self.metrics[name] * factor if name in self.metrics else None


def _problems(content: dict) -> dict[str, str]:
    """Field -> what is wrong with it."""
    fields = {field.name: field.type for field in dataclasses.fields(Result)}
    found = {name: 'is missing' for name in fields if name not in content}
    found |= {name: f'is not known; known: {", ".join(fields)}' for name in content if name not in fields}
    for name, value in content.items():
        kinds = fields.get(name, object)
        kinds = kinds.__args__ if isinstance(kinds, types.UnionType) else (kinds,)
        if object not in kinds and type(value) not in kinds:  # type(), since True is an int
            names = ' or '.join('null' if kind is types.NoneType else kind.__name__ for kind in kinds)
            found[name] = f'is {value!r}; wanted: {names}'
    return found or {name: f'is {content[name]!r}; wanted: {wanted}' for name, (right, wanted) in _rules(content).items()
                     if not right}


def _rules(content: dict) -> dict[str, tuple[bool, str]]:
    """Field -> whether its value is possible, and what is."""
    return dict(
        id=(bool(re.fullmatch(r'[\w.-]+', content['id'])), 'letters, digits, ".", "-" and "_"'),
        model=_model(content['model']),
        task=(content['task'] in TASKS, ', '.join(TASKS)),
        origin=(content['origin'] in ORIGINS, ', '.join(ORIGINS)),
        images=(content['images'] > 0, '1 or more'),
        metrics=(bool(content['metrics']) and all(map(is_number, content['metrics'].values())), 'names and finite numbers'),
        sha256=(bool(re.fullmatch('[0-9a-f]{64}', content['sha256'])), '64 hexadecimal digits'),
        date=(_is_date(content['date']), 'YYYY-MM-DD'))


def is_number(value) -> bool:
    """Whether a metric is one number, and a finite one."""
    return type(value) in (int, float) and math.isfinite(value)


def _model(model: str) -> tuple[bool, str]:
    family, _, arch = model.partition('_')
    if family not in ('mvit1', 'mvit2', 'mvit3'):
        return bool(re.match(r'timm/\w|(\w+\.)?[A-Z]', model)), 'mvit3_ARCH, timm/NAME or the class of a backbone'
    try:
        get_arch(f'v{family[-1]}', arch.partition('(')[0])
    except ValueError as error:
        return False, f'a known one ({error})'
    return True, ''


def _is_date(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def read_file(path: Path) -> Result:
    """Read a file of the store.

    Raises:
        ResultError: It is no json, or a field is missing, unknown or impossible.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ResultError(f'{path} is no json: {error}', path) from error
    if not isinstance(content, dict):
        raise ResultError(f'{path} holds no result: found {type(content).__name__}, wanted an object', path)
    if problems := _problems(content):
        raise ResultError(f'{path}: ' + '; '.join(f'field {name!r} {problem}' for name, problem in problems.items()), path)
    return Result(**content)


def read(folder: Path) -> list[Result]:
    """Read the whole store, oldest first.

    Raises:
        ResultError: As :func:`read_file`, but a file that is no json is left out, with a warning; or two files have one
            id.
    """
    files = {}
    for path in sorted(Path(folder).glob('*.json')):
        try:
            result = read_file(path)
        except ResultError as error:
            if not isinstance(error.__cause__, ValueError):
                raise
            from mmengine.logging import print_log
            print_log(f'{error}; it is left out', logger='current', level=logging.WARNING)  # half-written: others are whole
            continue
        if result.id in files:
            raise ResultError(
                f'{files[result.id][0]} and {path} have one id, {result.id!r}', path,
                'remove one, or give it another id')
        files[result.id] = path, result
    return sorted((result for _, result in files.values()), key=_time)


def _time(result: Result) -> tuple[str, str, str]:
    """When a test ran, to the second, which stands at the end of the id that it is given."""
    time = re.search(r'-(\d{8}T\d{6})$', result.id)
    return result.date, time[1] if time else '', result.id


def write(folder: Path, result: Result) -> Path:
    """Add a result to the store, and return its file.

    Raises:
        ResultError: A field is impossible, or there is a result of this id.
    """
    path = Path(folder) / f'{result.id}.json'
    check(result)
    if path.exists():
        raise ResultError(f'{path} is there already', path, 'results are added, never replaced')
    write_text(path, json.dumps(dataclasses.asdict(result), indent=1) + '\n')
    return path


def check(result: Result) -> None:
    """Check the fields of a result.

    Raises:
        ResultError: One is impossible.
    """
    if problems := _problems(dataclasses.asdict(result)):
        raise ResultError('not recorded: ' + '; '.join(f'field {name!r} {problem}' for name, problem in problems.items()))


def sha256(path: Path) -> str:
    """Hash of a file."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for block in iter(lambda: file.read(1 << 20), b''):
            digest.update(block)
    return digest.hexdigest()
