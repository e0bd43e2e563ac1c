"""Time models beside the same models of other packages: the command `mvit3 benchmark`."""
from mvit3_bench.cli import benchmark
from mvit3_bench.cli.common import run

if __name__ == '__main__':
    run(benchmark, 'python tools/benchmark.py')
