"""Backbones by name: ``timm/repvit_m0_9``, ``mmpretrain.ResNet(depth=18)``, ``mvit3_s``."""
import ast
import re
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec

from mmengine.config import ConfigDict

from ..errors import UsageError
from ..models.archs import ARCHS, Arch, get_arch
from ..registry import MODELS, class_path, type_name

FLAG = '--backbone'
_FRAMEWORKS = ('mmpretrain', 'mmdet', 'mmseg')
_OURS = re.compile(r'(?:mvit|mobilevitv?)([123])_(\w[\w.]*)')


@dataclass(frozen=True)
class Named:
    """What a name stands for.

    Args:
        source: ``'ours'``, ``'timm'`` or ``'openmmlab'``.
        type: The class, as a config names it.
        arguments: Of the class.
    """
    source: str
    type: str
    arguments: dict = field(default_factory=dict)


def resolve(name: str, scope: str | None = None, flag: str = FLAG) -> Named:
    """What a name of the command line stands for.

    Args:
        name: ``timm/NAME``; the class of a backbone in a registry of OpenMMLab, with or without its scope; or an arch of
            ours such as ``mobilevitv3_s`` or ``mvit3_s``. Arguments of the network, or fields of the arch, follow in
            brackets.
        scope: Framework whose backbones come first where a name has no scope.
        flag: Of the command line, for the message.

    Raises:
        UsageError: Nothing has this name (the message lists the nearest), timm is not installed, or the arguments cannot be
            read.
    """
    plain, arguments = _parsed(name, flag)
    if plain.startswith('timm/'):
        if not find_spec('timm'):
            raise UsageError(f'{flag} {name} needs timm', flag, 'pip install timm', ': ')
        import timm
        if timm.is_model(plain.removeprefix('timm/')):
            return Named('timm', 'mvit3_bench.TimmBackbone', dict(model_name=plain.removeprefix('timm/'), **arguments))
    elif match := _OURS.fullmatch(plain):
        family, arch = match.groups()
        try:
            get_arch(f'v{family}', arch)
            return Named('ours', f'mvit3_bench.MobileViTv{family}', _of_arch(arch, arguments))
        except ValueError:
            pass
    elif re.fullmatch(r'\w+(\.\w+)?', plain) and (kind := _registered(plain, scope)):
        return Named('openmmlab', kind, arguments)
    whole = re.search('[./]', plain)  # otherwise by what stands behind the scope
    known = {(each if whole else re.split('[./]', each, maxsplit=1)[-1]).lower(): each for each in reversed(_known())}
    near = [known[each] for each in get_close_matches(plain.lower(), known, n=5, cutoff=0.5)]
    raise UsageError(f'{flag} {name}: no backbone has this name', flag, f'the nearest: {", ".join(near)}' if near else
                     'known: timm/NAME, backbones of mmpretrain, mmdet and mmseg, mobilevitv3_s and the other archs')


def _parsed(name: str, flag: str) -> tuple[str, dict]:
    """A name without its arguments, and these: ``mmdet.ResNet(depth=18)`` -> ``'mmdet.ResNet', {'depth': 18}``."""
    plain, bracket, rest = name.partition('(')
    if not bracket:
        return plain, {}
    try:
        call = ast.parse(f'f({rest}', mode='eval').body
        if call.args:
            raise ValueError('an argument without a name')
        return plain, {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError, AttributeError) as error:
        raise UsageError(f'{flag} {name}: the arguments cannot be read: {error}', flag,
                         f"write them like '{plain}(depth=18)', quoted") from error


def _of_arch(arch: str, arguments: dict) -> dict:
    """Arguments of a backbone of ours: fields of the arch, such as those of the ablation, belong to this."""
    changed = {key: arguments[key] for key in arguments if key in {field.name for field in fields(Arch)}}
    others = {key: value for key, value in arguments.items() if key not in changed}
    return dict(arch=dict(name=arch, **changed) if changed else arch, **others)


def _registered(name: str, default_scope: str | None) -> str | None:
    """The scoped name of a class in a registry of OpenMMLab; None if none has it."""
    scope, _, kind = name.rpartition('.')
    for each in [scope] if scope else [default_scope, *_FRAMEWORKS]:
        if each in _FRAMEWORKS and find_spec(each) and kind in _classes(each):
            return f'{each}.{kind}'
    return name if not scope and MODELS.get(name) else None  # of a module of the user's


def _classes(framework: str) -> list[str]:
    """The backbones of a framework."""
    return list(import_module(f'{framework}.models.backbones').__all__)


def _known() -> list[str]:
    """All names."""
    found = [f'mobilevit{family}_{arch}' for family, archs in ARCHS.items() for arch in archs]
    found += [f'{each}.{kind}' for each in _FRAMEWORKS if find_spec(each) for kind in _classes(each)]
    if find_spec('timm'):
        import timm
        found += [f'timm/{each}' for each in timm.list_models()]
    return found


def plain_name(model: str) -> str:
    """The name of a model of ours under which tables have it: ``mvit3_s`` of ``mobilevitv3_s``; others as they are."""
    return _OURS.sub(r'mvit\1_\2', model, count=1) if _OURS.match(model) else model


def is_ours(backbone: ConfigDict) -> bool:
    """Whether the backbone of a config is a MobileViT of this package."""
    return bool(re.fullmatch('MobileViTv[123]', type_name(backbone)))


def name_of(backbone: ConfigDict) -> str:
    """The name of a config's backbone: what :func:`resolve` takes."""
    kind, arguments = class_path(backbone), dict(backbone)
    if kind.startswith('mvit3_bench.') and type_name(backbone) == 'TimmBackbone':
        return f'timm/{arguments["model_name"]}'
    if is_ours(backbone) and 'arch' in arguments:
        arch = arguments['arch'] if isinstance(arguments['arch'], dict) else dict(name=arguments['arch'])
        return _with_arguments(f'mvit{type_name(backbone)[-1]}_{arch["name"]}',
                               {key: arch[key] for key in arch if key != 'name'})
    return _with_arguments(kind, {key: arguments[key] for key in arguments if key != 'type'})


def _with_arguments(name: str, arguments: dict) -> str:
    """A name with those of its arguments that are numbers and words."""
    told = [f'{key}={value!r}' for key, value in arguments.items() if type(value) in (bool, int, float, str)]
    return name + (f'({", ".join(told)})' if told else '')


def slug(name: str) -> str:
    """A name as a part of a file's."""
    return re.sub(r'[^\w.-]+', '_', name).strip('_')
