"""Draw the miniature data sets: the command `mvit3 mini-data`."""
from mvit3_bench.cli import mini_data
from mvit3_bench.cli.common import run

if __name__ == '__main__':
    run(mini_data, 'python tools/make_mini_data.py')
