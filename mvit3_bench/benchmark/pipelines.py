"""Images a second that one core loads: the training pipelines of the recipes, beside the frameworks' own transforms.

    python -m mvit3_bench.benchmark.pipelines --images data/bccd/images
"""
import argparse
import copy
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmengine.runner import set_random_seed

from ..engine.run_config import read_config
from ..registry import type_name
from ..utils.environment import describe, line
from ..utils.text import table

CONFIGS = ('cls/mvit3_s_in1k', 'cls/mvit3_1.0_in1k', 'det/ssdlite_mvit3_s_coco', 'det/ssdlite_mvit3_1.0_coco',
           'seg/deeplabv3_mvit3_1.0_ade20k', 'seg/deeplabv3_mvit3_s_voc2012')
OBJECTS, CLASSES, SEED = 7, 20, 0
# what mmpretrain's configs have where the published recipe has torchvision's RandAugment; each of its operations is applied
# with probability 0.5, so four are as many as the two of the recipe
_RAND_AUGMENT = dict(type='RandAugment', policies='timm_increasing', num_policies=4, total_level=10, magnitude_level=9,
                     magnitude_std=0.5, hparams=dict(pad_val=[104, 116, 124], interpolation='bicubic'))


def counterpart(step: ConfigDict) -> list[dict]:
    """The transforms of the frameworks that do what a transform of a recipe does, or nearly; itself if it is one."""
    kind = type_name(step)
    if kind in ('Load', 'MultiScale'):
        return [each for inner in step.transforms for each in counterpart(inner)]
    if kind == 'ResizeShortSide':
        short = (step.scale, step.scale) if isinstance(step.scale, int) else step.scale
        longest = step.get('max_size') or 4 * max(short)
        how = {key: step[key] for key in ('backend', 'interpolation') if key in step}
        if step.get('enlarge_only'):  # which is there so that a crop fits
            return [dict(type='Pad', size=short, pad_val=dict(img=0, seg=255))]
        return [dict(type='RandomResize', scale=[(longest, each) for each in short], keep_ratio=True, **how)]
    swaps = {'PhotometricDistortionV1': [dict(type='PhotoMetricDistortion')],
             'PhotometricDistortionV2': [dict(type='PhotoMetricDistortion')], 'SSDCrop': [dict(type='MinIoURandomCrop')],
             'NumpyToPIL': [], 'PILToNumpy': [], 'torchvision/RandAugment': [_RAND_AUGMENT]}
    return swaps.get(kind, [step])


def samples(images: list[Path], folder: Path, draw: np.random.Generator) -> Iterator[dict]:
    """What a data set of any task gives for each image: a class, boxes, a mask. They are drawn, the mask into a folder."""
    for number, file in enumerate(images):
        height, width = cv2.imread(str(file)).shape[:2]
        sides, centres = draw.uniform(0.1, 0.5, (OBJECTS, 2)), draw.uniform(0.25, 0.75, (OBJECTS, 2))
        boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1) * [width, height, width, height]
        coarse = draw.integers(CLASSES, size=(height // 32 + 1, width // 32 + 1), dtype=np.uint8)
        mask = folder / f'{number}.png'
        cv2.imwrite(str(mask), cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST))
        yield dict(
            img_path=str(file), img_id=number, sample_idx=number, height=height, width=width, gt_label=0,
            seg_map_path=str(mask), seg_fields=[], label_map=None, reduce_zero_label=False,
            instances=[dict(bbox=box.tolist(), bbox_label=0, ignore_flag=0) for box in boxes])


def rate(pipeline: Callable, data: list[dict], seconds: float) -> float:
    """Images a second."""
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds or done < len(data):
        pipeline(copy.deepcopy(data[done % len(data)]))
        done += 1
    return done / (time.perf_counter() - start)


def measure(config: str, data: list[dict], rounds: int, seconds: float) -> list[str]:
    """Time a recipe's pipeline and its counterpart in turns -> a row of the table."""
    cfg = read_config(config)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        ours = Compose(cfg.train_pipeline)
        steps = [each for step in cfg.train_pipeline for each in counterpart(step)]
        if cfg.default_scope == 'mmdet':  # its distortion makes floats, which Pillow does not resize: it comes last there
            steps.sort(key=lambda step: (step['type'] == 'PackDetInputs', step['type'] == 'PhotoMetricDistortion'))
        theirs = Compose(steps)
    found = []
    for pipeline in (ours, theirs):
        rate(pipeline, data, 0)  # reads the files
    for _ in range(rounds):
        found.append([rate(pipeline, data, seconds) for pipeline in (ours, theirs)])
    mine, other = np.median(found, axis=0)
    low, ratio, high = np.quantile([one / two for one, two in found], (0.25, 0.5, 0.75))
    return [Path(config).name, cfg.default_scope, f'{mine:.1f}', f'{other:.1f}', f'{ratio:.2f} [{low:.2f}..{high:.2f}]']


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='*', default=CONFIGS, metavar='CONFIG',
                        help='configs whose train_pipeline is timed (default: one for each recipe of augmentation)')
    parser.add_argument('--images', type=Path, required=True, metavar='DIR',
                        help='folder of JPEG images as large as those to train on; labels are drawn')
    parser.add_argument('--rounds', type=int, default=5, help='how often each is timed (default: %(default)s)')
    parser.add_argument('--seconds', type=float, default=2, help='of one timing (default: %(default)s)')
    args = parser.parse_args()
    files = sorted(file for file in args.images.rglob('*') if file.suffix.lower() in ('.jpg', '.jpeg'))[:32]
    if not files:
        parser.error(f'no JPEG images in {args.images}: name a folder that has some with --images')
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    set_random_seed(SEED)
    with tempfile.TemporaryDirectory() as folder:
        data = list(samples(files, Path(folder), np.random.default_rng(SEED)))
        rows = [measure(config, data, args.rounds, args.seconds) for config in args.configs]
    columns = 'recipe', 'framework', 'ours, images/s', "framework's, images/s", 'ours / its [quartiles]'
    print(line(describe(torch.device('cpu'))), '', table(rows, columns, left=2), sep='\n')


if __name__ == '__main__':
    main()
