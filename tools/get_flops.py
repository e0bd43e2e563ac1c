"""Count parameters and multiply-adds of a model: the command `mvit3 flops`."""
from mvit3_bench.cli import flops
from mvit3_bench.cli.common import run

if __name__ == '__main__':
    run(flops, 'python tools/get_flops.py')
