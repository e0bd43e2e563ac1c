"""Train and test many runs: the command `mvit3 suite`."""
from mvit3_bench.cli import suite
from mvit3_bench.cli.common import run

if __name__ == '__main__':
    run(suite, 'python tools/suite.py')
