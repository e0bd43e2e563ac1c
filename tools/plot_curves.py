"""Plot the learning curve of a training: the command `mvit3 plot`."""
from mvit3_bench.cli import plot
from mvit3_bench.cli.common import run

if __name__ == '__main__':
    run(plot, 'python tools/plot_curves.py')
