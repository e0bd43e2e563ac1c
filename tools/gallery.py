"""Draw predictions of several models side by side: the command `mvit3 gallery`."""
from mvit3_bench.cli import gallery
from mvit3_bench.cli.common import run

if __name__ == '__main__':
    run(gallery, 'python tools/gallery.py')
