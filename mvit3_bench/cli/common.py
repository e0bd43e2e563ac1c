"""What the commands share: OpenMMLab's flags, and errors that speak to the user."""
import argparse
import logging
import os
import select
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from ..engine.config_files import find_config
from ..errors import BenchError, UsageError, message_of, space_needed
from ..utils.text import printable

# what the extra brings, and the packages of others, by the names of their modules
_OPENMMLAB = ('mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmpretrain', 'pycocotools', 'pkg_resources', 'yaml', 'cv2',
              'matplotlib', 'PIL')
_OTHERS = ('tabulate', 'timm', 'submitit', 'safetensors', 'onnx', 'onnxruntime', 'openvino')
INTERRUPTED = 130  # the exit code after Ctrl-C, as of other commands
ROOT = Path(__file__).resolve().parents[2]  # of a checkout
RESULTS = 'docs/results/runs'  # the store of results, of a checkout


def build_parser(command: ModuleType, call: str, prog: str | None = None) -> argparse.ArgumentParser:
    """The parser of a command.

    Args:
        command: Its module: the docstring says what it does, ``EXAMPLE`` are arguments for it, ``add_arguments`` adds the
            flags.
        call: How it is called, for the example: ``'mvit3 train'``.
        prog: The same for the line of usage; None: the name of the script.
    """
    parser = argparse.ArgumentParser(
        prog=prog, description=command.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f'example:\n  {call} {command.EXAMPLE}')
    command.add_arguments(parser)
    return parser


def run(command: ModuleType, call: str, prog: str | None = None, argv: Sequence[str] | None = None) -> None:
    """Run a command; an expected error becomes its message and exit code 1. Arguments as :func:`build_parser`.

    Args:
        argv: The words behind the command; None: those of this process.
    """
    args = build_parser(command, call, prog).parse_args(argv)
    if hasattr(sys.stdout, 'reconfigure'):
        sys.stdout.reconfigure(errors='backslashreplace')  # names of files need not be text
    logging.setLogRecordFactory(SafeRecord)
    sys.excepthook = _print_error
    try:
        with space_needed():
            if getattr(args, 'config', None):
                args.config = find_config(args.config)
            command.main(args)
        sys.stdout.flush()
    except BrokenPipeError:
        end_unread()
    except ModuleNotFoundError as error:
        sys.exit(lines(f'error: {_not_installed(error)}'))
    except (BenchError, FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        sys.exit(lines(f'error: {message_of(error)}'))


def end_unread() -> None:
    """End after an error of the pipe that output goes to; if that is not who reads it, the error is raised on."""
    if not _reader_is_gone():
        raise
    sys.exit(1)


def _not_installed(error: ModuleNotFoundError) -> str:
    """What to say of a package that is not there; that a module of the user's is not, or breaks off, is raised on."""
    package = str(error.name).partition('.')[0]
    if package not in (*_OPENMMLAB, *_OTHERS) or find_spec(package):
        raise error
    extra = "pip install -e '.[openmmlab]'" if package in _OPENMMLAB else f'pip install {package}'
    return f'this command needs {package}, which is not installed: {extra}'


def _reader_is_gone() -> bool:
    """Whether who reads the output has enough, such as head; what is left of it is dropped, then."""
    with suppress(OSError):  # an output that is no file of the system
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        if poll.poll(0):  # an error
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return True
    return False


def _print_error(kind: type, error: BaseException, trace) -> None:
    """A traceback as text that does not steer a terminal; of Ctrl-C, of which Python ends the process, none."""
    if kind is not KeyboardInterrupt:
        print(lines(''.join(traceback.format_exception(kind, error, trace))), file=sys.stderr, end='')


def check_place(flag: str, folder: str | Path) -> None:
    """Make a folder that results go to, before the work is done for them.

    Raises:
        UsageError: It cannot be made, or written to.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f'{flag} {folder} cannot be written to: {error.strerror or error}', flag, 'name another') from error


def check_least(flag: str, *values: int, lowest: int = 1) -> None:
    """Check numbers of a flag.

    Raises:
        UsageError: One is below the lowest.
    """
    if min(values) < lowest:
        raise UsageError(f'{flag} {" ".join(map(str, values))} is not possible', flag,
                         f'allowed: whole numbers from {lowest}')


def check_checkout(fix: str) -> None:
    """Check that this package is a checkout's, which has the results.

    Raises:
        UsageError: It is not.
    """
    if not (ROOT / 'docs' / 'results').is_dir():
        raise UsageError(f'{ROOT} is not the repository of mvit3_bench, where the results are', ROOT, fix)


def end_interrupted(what: str) -> None:
    """End after Ctrl-C or SIGTERM, and say what is kept."""
    print(f'\ninterrupted: {what}, and the same command goes on from there', file=sys.stderr)
    sys.exit(INTERRUPTED)


def log(text: str) -> None:
    """Print a line at once, in a file, too."""
    print(text, flush=True)


def lines(text: str) -> str:
    """Lines of text that may have names of others in it, of files and classes, safe to be printed."""
    return printable(text, keep='\n\t')


class SafeRecord(logging.LogRecord):
    """A line of a log, such as one that a framework writes, with names of others in it."""

    def getMessage(self) -> str:
        return lines(super().getMessage())


def add_run_flags(parser: argparse.ArgumentParser, needs_config: bool = True) -> None:
    """Add the flags that training, testing and the doctor have in common."""
    parser.add_argument('config', nargs=None if needs_config else '?',
                        help='config file, for instance of configs/seg/; or the name of one of this package')
    parser.add_argument('--work-dir', help='folder of logs, checkpoints and results (default: work_dirs/NAME_OF_CONFIG)')
    parser.add_argument('--mini', action='store_true',
                        help='run on the miniature data set, drawn if it is not there: small images, a short schedule, '
                             'the same model and recipe')
    add_backbone(parser)
    add_cfg_options(parser)
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher')
    # torchrun sets LOCAL_RANK, torch.distributed.launch passes the flag
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def key_value(word: str) -> str:
    """A word of ``--cfg-options``, which MMEngine parses when the command runs.

    Raises:
        argparse.ArgumentTypeError: It is not KEY=VALUE.
    """
    if word.find('=') < 1:
        raise argparse.ArgumentTypeError(f'{word!r} is not KEY=VALUE')
    return word


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add OpenMMLab's flag to override parts of a config; the words stay as they are until the command runs."""
    parser.add_argument('--cfg-options', nargs='+', action='extend', type=key_value, metavar='KEY=VALUE',
                        help='override parts of the config: a.b=1, a.b="[1,2]", a.b="[(1,2),(3,4)]" (lists without blanks)')


def add_backbone(parser: argparse.ArgumentParser, **kwargs) -> None:
    """Add the flag for another backbone in the model of a config."""
    parser.add_argument('--backbone', metavar='NAME', **kwargs,
                        help="another backbone in the config's model: timm/NAME, a class of OpenMMLab's such as "
                             "'mmpretrain.ResNet(depth=18)', or an arch of ours such as mobilevitv3_s")


def add_shape(parser: argparse.ArgumentParser) -> None:
    """Add the flag for the size of the images."""
    parser.add_argument('--shape', type=int, nargs='+', metavar='N',
                        help='height and width of the images, or one number for both (default: that of the test pipeline)')


def add_predict_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of predicting: those that :func:`mvit3_bench.apis.predict.load` takes."""
    parser.add_argument('--score-thr', type=float, default=0.3, help='lowest score of a detection (default: %(default)s)')
    parser.add_argument('--device', help='where to run (default: cuda if torch finds a GPU, otherwise cpu)')
    parser.add_argument('--mini', action='store_true', help='for checkpoints of a training with --mini')
    add_backbone(parser)
    add_cfg_options(parser)
