"""Turn COCO into more training images for VOC2012: the command `mvit3 coco-to-voc`."""
from mvit3_bench.cli import coco_to_voc
from mvit3_bench.cli.common import run

if __name__ == '__main__':
    run(coco_to_voc, 'python tools/convert_coco_to_voc.py')
