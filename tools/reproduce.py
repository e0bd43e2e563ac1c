"""Reproduce the tables and the figure of the paper: the command `mvit3 reproduce`."""
from mvit3_bench.cli import reproduce
from mvit3_bench.cli.common import run

if __name__ == '__main__':
    run(reproduce, 'python tools/reproduce.py')
