"""``--cfg-options``: parsed, merged into a config, and refused where nothing would take them."""
import argparse
import inspect
from collections.abc import Sequence
from difflib import get_close_matches

from mmengine import registry as registries
from mmengine.config import Config, DictAction
from mmengine.runner import Runner, set_random_seed
from torch.utils.data import DataLoader

from ..datasets.configs import LOADERS, data_sets
from ..errors import UsageError

_FLAG = '--cfg-options'
TOP = (*inspect.signature(Runner.__init__).parameters, 'auto_scale_lr', 'compile', 'efficient_conv_bn_eval',
       'activation_checkpointing', 'model_wrapper_cfg', 'sync_bn', 'find_unused_parameters',
       'data_preprocessor', 'runner_type', 'strategy')  # what the Runner, the frameworks and our tools read
# what those who build take before the class is called, or the merging itself
_BUILDERS = {'type', '_scope_', '_delete_', 'priority', 'constructor', 'paramwise_cfg', 'convert_to_iter_based',
             'requires_grad', 'override', 'layer'}
_REGISTRIES = ('MODELS', 'DATASETS', 'TRANSFORMS', 'HOOKS', 'LOOPS', 'METRICS', 'OPTIMIZERS', 'OPTIM_WRAPPERS',
               'PARAM_SCHEDULERS', 'DATA_SAMPLERS', 'TASK_UTILS', 'VISUALIZERS', 'VISBACKENDS', 'LOG_PROCESSORS',
               'WEIGHT_INITIALIZERS')
_FIXED = dict(dict.fromkeys(LOADERS, {*inspect.signature(DataLoader).parameters, 'num_batch_per_epoch'}),
              randomness={*inspect.signature(set_random_seed).parameters})


def parse_options(words: Sequence[str] | None) -> dict:
    """``--cfg-options KEY=VALUE ...`` as MMEngine parses it: key -> value; of None, nothing.

    Raises:
        UsageError: A bracket is not closed.
    """
    found = argparse.Namespace()
    for word in words or []:
        value = word.partition('=')[2].strip('\'" ')
        if value[:1] in ('[', '(') and any(value.count(one) != value.count(other) for one, other in ('[]', '()')):
            raise UsageError(f'{_FLAG} {word}: the brackets are not balanced', _FLAG, 'quote lists: a.b="[1,2]"')
    try:
        DictAction([_FLAG], 'cfg_options')(None, found, words or [])
    except AssertionError as error:
        raise UsageError(f'{_FLAG} {" ".join(words)}: {error}', _FLAG) from error
    for word in words or []:
        key, _, value = word.partition('=')
        if isinstance(found.cfg_options[key], str):  # of which MMEngine drops the blanks, such as those of a path
            found.cfg_options[key] = value.strip('\'" ')
    return found.cfg_options


def merge_options(cfg: Config, words: Sequence[str] | None, check: bool = True) -> dict:
    """Merge ``--cfg-options`` into a config, in place; returns them as :func:`parse_options`.

    Args:
        cfg: The config.
        words: As the command line has them.
        check: Whether keys that nothing takes are refused.

    Raises:
        UsageError: The words cannot be parsed or merged, or a key is new and nothing would take it.
    """
    if not (options := parse_options(words)):
        return options
    before = cfg._cfg_dict  # merging puts another in its place, with copies of what it changes
    for key, value in options.items():
        if value == '' and type(_value(before, key)) in (bool, int, float):
            raise UsageError(f'{_FLAG} {key}= has no value', _FLAG, 'leave no white space between = and the value')
    try:
        cfg.merge_from_dict(options)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        reason = str(error.args[0] if error.args else error)[:200]
        raise UsageError(f'{_FLAG} {" ".join(words)} does not fit the config: {reason}', _FLAG) from error
    for key in options if check else ():
        if problem := misspelt(before, cfg, key):
            raise UsageError(f'{_FLAG} {key}: {problem[0]}', key, problem[1])
    return options


def _value(node: dict, key: str):
    for part in key.split('.'):
        if part not in _keys(node):
            return None
        node = _child(node, part)
    return node


def _keys(node) -> list[str]:
    keys = node.keys() if isinstance(node, dict) else range(len(node)) if isinstance(node, (list, tuple)) else ()
    return list(map(str, keys))


def _child(node, part: str):
    return node[part] if isinstance(node, dict) else node[int(part)]


def misspelt(before: dict, after: Config, key: str) -> tuple[str, str] | None:
    """What is wrong with a key that nothing takes, and the fix; None if something does, or if it belongs to what is there.

    Args:
        before: What is in the config without the options.
        after: The config with them, whose types say who takes a new argument.
        key: The key, with dots.
    """
    first, _, rest = key.partition('.')
    if first in before and first not in TOP and (places := _places_of(after, first, rest)):
        return (f'{first} is a variable of the config file, which has used it already; nothing reads it now',
                f'set {" and ".join(places[:3])}')
    old, new, path = before, after._cfg_dict, []
    for part in key.split('.'):
        if part not in _keys(new):  # deleted by another option
            return None
        if part not in _keys(old) and (problem := _unknown(new, path, part, _keys(old), after.get('default_scope'))):
            return problem
        old, new, path = _child(old, part) if part in _keys(old) else {}, _child(new, part), [*path, part]
    return None


def _places_of(cfg: Config, name: str, rest: str) -> list[str]:
    """Where the value of a variable of the config file is now. Without such a place it may be for a hook of one's own."""
    loader = name.replace('pipeline', 'dataloader')
    if loader in LOADERS and cfg.get(loader):
        return [f'{loader}.{place}.pipeline' + f'.{rest}' * bool(rest) for place in data_sets(cfg[loader])]
    return [f'{place}.{rest}'.rstrip('.') for place in _places({key: cfg[key] for key in TOP if key in cfg}, name)]


def _places(node, name: str) -> list[str]:
    """Where a name stands as a key below a part of a config."""
    found = [name] if isinstance(node, dict) and name in node else []
    return found + [f'{part}.{below}' for part in _keys(node) for below in _places(_child(node, part), name)]


def _unknown(node, path: list[str], part: str, known: list[str], scope: str | None) -> tuple[str, str] | None:
    if part in _BUILDERS or 'custom_keys' in path or (isinstance(node[part], dict) and 'type' in node[part] and path):
        return None
    taken = set(TOP) if not path else _FIXED.get('.'.join(path)) or _arguments(node, scope)
    # where nobody can say what is read, such as in test_cfg, a new key is refused only if it is nearly one that is there
    near = get_close_matches(part, [*known, *(taken or ())], n=1, cutoff=0.85 if taken is None else 0.6)
    if part in taken if taken is not None else not near:
        return None
    fix = (f'meant, perhaps: {".".join([*path, *near])}' if near else
           f'possible: {", ".join(sorted(taken - {"self"}))}' if path else 'take it away')
    return f'{".".join(path) or "the config"} has no {part}, and nothing reads it', fix


def _arguments(node: dict, scope: str | None) -> set[str] | None:
    """The arguments of the class that a part of a config is for; None: any, or it is not known."""
    kinds = [node['type']] if isinstance(node.get('type'), type) else _classes(node.get('type'), scope)
    found = [_parameters(kind) for kind in kinds]
    return None if not found or None in found else set().union(*found)


def _classes(name: str | None, scope: str | None) -> list:
    """What a name is registered for, in whichever registry."""
    found = []
    for registry in (vars(registries)[each] for each in _REGISTRIES if isinstance(name, str)):
        try:
            with registry.switch_scope_and_registry(scope) as inner:
                found.append(inner.get(name))
        except Exception:  # a framework that is not installed: who builds it says so
            continue
    return [*filter(None, found)]


def _parameters(kind) -> set[str] | None:
    """Names of the arguments of a class or a function; None: any."""
    names = set()
    for base in inspect.getmro(kind) if isinstance(kind, type) else [kind]:
        call = vars(base).get('__init__') if isinstance(kind, type) else base
        if base is object:
            return None  # its keywords go where nobody can see
        if call is None:
            continue
        parameters = inspect.signature(call).parameters.values()
        names |= {each.name for each in parameters}
        if not any(each.kind == each.VAR_KEYWORD for each in parameters):
            return names
    return None
