"""Export a model to any of the formats, or to a web page: the command `mvit3 export`."""
from mvit3_bench.cli import export
from mvit3_bench.cli.common import run

if __name__ == '__main__':
    run(export, 'python tools/export.py')
