"""Evaluate every checkpoint in a folder: the command `mvit3 evaluate`."""
from mvit3_bench.cli import evaluate
from mvit3_bench.cli.common import run

if __name__ == '__main__':
    run(evaluate, 'python tools/evaluate_all.py')
