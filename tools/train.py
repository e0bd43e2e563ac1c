"""Train any config of the suite: the command `mvit3 train`."""
from mvit3_bench.cli import train
from mvit3_bench.cli.common import run

if __name__ == '__main__':
    run(train, 'python tools/train.py')
