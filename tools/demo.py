"""Draw predictions for images, folders and videos: the command `mvit3 demo`."""
from mvit3_bench.cli import demo
from mvit3_bench.cli.common import run

if __name__ == '__main__':
    run(demo, 'python tools/demo.py')
