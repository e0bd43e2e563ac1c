"""The command ``mvit3``: finds the command that is meant, and lists all of them."""
import importlib
import re
import sys
from collections.abc import Sequence
from difflib import get_close_matches

from .. import __version__
from . import common

# group -> commands; the module of a command has its name, with _ for -
GROUPS = {
    'Train and test': ('train', 'test', 'evaluate', 'suite', 'doctor', 'plot'),
    'Configs and data': ('configs', 'prepare', 'mini-data', 'coco-to-voc'),
    'Models and checkpoints': ('convert', 'export', 'device', 'flops', 'benchmark', 'leaderboard', 'recommend', 'targets',
                               'precisions'),
    'Pictures': ('demo', 'gallery'),
    'The paper': ('reproduce', 'study'),
}
COMMANDS = {name: name.replace('-', '_') for group in GROUPS.values() for name in group}


def summary(module: str) -> str:
    """What a command does: the first sentence of its module's docstring, up to a colon or semicolon."""
    return re.split(r'[:;.] |\.?$', importlib.import_module(f'.{module}', __package__).__doc__, flags=re.MULTILINE)[0]


def usage() -> str:
    """The help: all commands in groups."""
    width = max(map(len, COMMANDS))
    lines = ['usage: mvit3 COMMAND [ARGUMENT ...]', '',
             'MobileViTv1, v2 and v3 for classification, detection and segmentation.']
    for title, commands in GROUPS.items():
        lines += ['', f'{title}:', *(f'  {name:{width}}  {summary(COMMANDS[name])}' for name in commands)]
    lines += ['', 'Help on a command: mvit3 COMMAND --help',
              'Configs are given by path or by name: mvit3 configs lists them.', '',
              'example:', '  mvit3 train deeplabv3_mvit3_1.0_ade20k --mini']
    return '\n'.join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Run what the command line says; without a command, or with an unknown one, the exit code is 2."""
    name, *rest = (sys.argv[1:] if argv is None else argv) or ['']
    if name == 'help' and rest:
        name, rest = rest[0], ['--help']
    if name in ('-h', '--help', 'help'):
        try:
            print(usage(), flush=True)
        except BrokenPipeError:
            common.end_unread()
        return
    if name == '--version':
        print(f'mvit3 {__version__}')
        return
    if name not in COMMANDS:
        print(unknown(name), file=sys.stderr)
        sys.exit(2)
    command = importlib.import_module(f'.{COMMANDS[name]}', __package__)
    common.run(command, f'mvit3 {name}', prog=f'mvit3 {name}', argv=rest)


def unknown(name: str) -> str:
    """What to say to a word that is no command."""
    if not name:
        return usage()
    near = get_close_matches(name, COMMANDS, n=3, cutoff=0.5)
    hint = f'did you mean: {", ".join(near)}?' if near else f'commands: {", ".join(COMMANDS)}'
    return f'error: mvit3 has no command {name!r}; {hint}\nAll commands: mvit3 --help'
