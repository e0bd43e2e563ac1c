"""What a test writes of each image: one file an image, in subfolders as the images are."""
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.visualization import LocalVisBackend
from PIL import Image

from ..apis.drawing import complete_palette
from ..errors import UsageError


class Pictures(LocalVisBackend):
    """Writes the pictures of a visualizer into a folder, in the subfolders that ``parents`` names, in this order.

    Attributes:
        files: What was written.
    """

    def __init__(self, save_dir: str):
        super().__init__(save_dir, img_save_dir='.')
        self.parents: Sequence[str] = ()
        self.files: list[Path] = []

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs) -> None:
        """Write a picture, (H, W, 3) RGB."""
        parent, *self.parents = self.parents or ['']
        file = Path(self._save_dir, parent, f'{name}_{step}.png')
        file.parent.mkdir(parents=True, exist_ok=True)
        self.files.append(file)
        file.write_bytes(cv2.imencode('.png', cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes())


class OutputsHook(Hook):
    """Names what a test writes after the images, and writes the masks that a segmentor predicts.

    Args:
        masks: Folder of the masks; None: none are written.
        pictures: Where pictures are drawn to; None: nowhere.
    """
    priority = 'HIGH'  # before the hook that draws

    def __init__(self, masks: str | None, pictures: Pictures | None):
        self.masks, self.pictures, self.root, self.stems = masks, pictures, '', True

    def before_test(self, runner) -> None:
        """Find the folder that all images are in.

        Raises:
            UsageError: A mask would take the place of one of the data set.
        """
        dataset = runner.test_dataloader.dataset
        infos = [dataset.get_data_info(index) for index in range(len(dataset))]
        # absolute: of several data sets, some may be named by relative paths
        paths = sorted({os.path.abspath(info['img_path']) for info in infos if info.get('img_path')})
        self.root = os.path.commonpath(map(os.path.dirname, paths)) if paths else ''
        self.stems = len({os.path.splitext(path)[0] for path in paths}) == len(paths)
        own = {os.path.realpath(info.get(key) or '.') for info in infos[:1] for key in ('img_path', 'seg_map_path')}
        if self.masks and paths and os.path.realpath(self.mask_file(infos[0]['img_path'])) in own:
            raise UsageError(f'--out {self.masks} is a folder of the data set, whose files would be replaced', '--out',
                             'name another folder')
        runner.visualizer.dataset_meta = complete_palette(runner.visualizer.dataset_meta or dataset.metainfo)

    def mask_file(self, path: str) -> Path:
        """The file of a mask: the image's name, with its suffix where two images differ in nothing else."""
        below = os.path.relpath(path, self.root)
        return Path(self.masks, (os.path.splitext(below)[0] if self.stems else below) + '.png')

    def after_test_iter(self, runner, batch_idx: int, data_batch=None, outputs: Sequence = ()) -> None:
        paths = [sample.get('img_path') or '' for sample in outputs]
        if self.pictures and is_main_process():
            self.pictures.parents = [os.path.dirname(os.path.relpath(path, self.root)) if path else '' for path in paths]
        for path, sample in zip(paths, outputs, strict=True) if self.masks else ():
            file = self.mask_file(path)
            file.parent.mkdir(parents=True, exist_ok=True)
            # in the numbers of the data set's files, as mmsegmentation writes them
            labels = sample.pred_sem_seg.data.squeeze(0).cpu().numpy() + bool(sample.get('reduce_zero_label', False))
            Image.fromarray(labels.astype(np.uint8)).save(file)
