"""Test a checkpoint with any config of the suite: the command `mvit3 test`."""
from mvit3_bench.cli import test
from mvit3_bench.cli.common import run

if __name__ == '__main__':
    run(test, 'python tools/test.py')
