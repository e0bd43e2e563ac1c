"""Run a command or a script of another package with our names registered: ``python -m mvit3_bench.integrations yolo ...``.

Or a Python file: ``python -m mvit3_bench.integrations train.py --model mobilevitv3_s ...``. The package registers the names.
"""
import runpy
import sys
from importlib.metadata import entry_points
from pathlib import Path


def main() -> None:
    """Run the command that the line names, as if it had been called without us."""
    del sys.argv[0]
    name = sys.argv[0] if sys.argv else ''
    if name.endswith('.py'):
        if not Path(name).is_file():
            sys.exit(f'error: {name} does not exist')
        sys.path[0] = str(Path(name).resolve().parent)  # where Python finds the modules beside a script
        runpy.run_path(name, run_name='__main__')
        return
    commands = entry_points(group='console_scripts', name=name)
    if not commands:
        sys.exit(f'error: {name!r} is no command of an installed package, and no Python file; '
                 'usage: python -m mvit3_bench.integrations COMMAND|FILE.py [ARGUMENT ...]')
    sys.exit(next(iter(commands)).load()())


if __name__ == '__main__':
    main()
