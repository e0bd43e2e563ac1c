"""Convert published checkpoints, or timm's, to ours: the command `mvit3 convert`."""
from mvit3_bench.cli import convert
from mvit3_bench.cli.common import run

if __name__ == '__main__':
    run(convert, 'python tools/convert_checkpoint.py')
