"""One image through a model of any task: what it predicts, as the framework's sample, as a picture and in words."""
import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import Compose, LoadAnnotations, LoadImageFromFile
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import TRANSFORMS, VISUALIZERS
from mmengine.runner import load_checkpoint
from mmengine.structures import BaseDataElement

from ..checkpoints.io import check_fits
from ..datasets.configs import data_sets, meta_of_classes, short_names
from ..datasets.transforms.loading import as_loaded
from ..engine.hooks.check_samples import LoadOrStop, limits_of
from ..engine.run_config import build_model, check_device, check_parts, find_checkpoint, load_config
from ..errors import user_errors
from .drawing import KeepBackend, complete_palette, enlarged

# framework -> what draws predictions
VISUALIZER_OF = dict(mmpretrain='mmpretrain.UniversalVisualizer', mmdet='mmdet.DetLocalVisualizer',
                     mmseg='mvit3_bench.SideBySideVisualizer')
_TOP = 5  # classes in words


class Predictor:
    """A model with its weights and the test pipeline of its config.

    Args:
        cfg: Config of one of the three tasks.
        checkpoint: Weights of this very model.
        device: Where it runs.
        score_thr: Detections with a lower score are neither drawn nor told.

    Attributes:
        model: The model, in evaluation mode.
        meta: Names (``classes``) and, for masks, colours (``palette``) of the classes: those that the checkpoint was trained
            with, otherwise those of the config's test set.

    Raises:
        FileNotFoundError, CheckpointError: As :func:`mvit3_bench.checkpoints.io.check_fits`.
    """

    def __init__(self, cfg: Config, checkpoint: str | Path, device: str | torch.device = 'cpu', score_thr: float = 0.3):
        self.scope, self.score_thr = cfg.default_scope, score_thr
        self.model = build_model(cfg)
        check_fits(self.model, checkpoint)
        loaded = load_checkpoint(self.model, str(checkpoint), map_location='cpu')
        self.model.to(device).eval()
        dataset = next(iter(data_sets(cfg.test_dataloader).values()))
        # labels are numbers, which have the names that they were trained with, whatever the config calls them
        self.meta = complete_palette(meta_of_classes(cfg, loaded))
        self.names = short_names(self.meta, self.scope == 'mmseg')
        steps = [TRANSFORMS.build(step) for step in dataset.pipeline]
        self._load = LoadOrStop([step for step in steps if isinstance(step, LoadImageFromFile)], **limits_of(cfg))
        self._transform = Compose([step for step in steps if not isinstance(step, (LoadImageFromFile, LoadAnnotations))])
        self._kept = KeepBackend()
        visualizer = VISUALIZERS.get(VISUALIZER_OF[self.scope])
        self._visualizer = visualizer(name=f'predictor_{id(self)}', vis_backends=[self._kept])
        self._visualizer.dataset_meta = self.meta

    def read(self, path: str | Path) -> np.ndarray:
        """Read an image as the test pipeline does, (H, W, 3) BGR.

        Raises:
            UnreadableSample: It cannot be read; the message names it.
        """
        return self._load(dict(img_path=str(path)))['img']

    def prepare(self, image: np.ndarray, path: str | Path = '') -> dict:
        """The test pipeline without its loading: (H, W, 3) BGR -> ``inputs`` and ``data_samples``, as a data set gives."""
        return self._transform(as_loaded(image, path))

    @torch.inference_mode()
    def __call__(self, data: Mapping) -> BaseDataElement:
        """Predict for one element of a data set; the sample that comes back has the truth, too, if the element has it."""
        sample, = self.model.test_step(pseudo_collate([data]))
        return sample.cpu()

    def draw(self, image: np.ndarray, sample: BaseDataElement, truth: bool = False) -> np.ndarray:
        """Draw a prediction or the truth into an image, (H, W, 3) RGB -> (H', W', 3) RGB: small images are enlarged."""
        image, sample = enlarged(image, sample)
        wanted = dict(draw_gt=truth, draw_pred=not truth)
        if self.scope == 'mmpretrain':
            self._visualizer.visualize_cls(image, sample, self.names, **wanted)
        else:
            wanted |= dict(pred_score_thr=self.score_thr) if self.scope == 'mmdet' else {}
            self._visualizer.add_datasample('', image, sample, **wanted)
        return self._kept.image[:, -image.shape[1]:]  # what stands beside it is the image itself

    def describe(self, sample: BaseDataElement) -> str:
        """A prediction in words: the best classes and their scores, how many there are of each thing, or shares of area."""
        classes = self.names
        if self.scope == 'mmpretrain':
            scores, labels = sample.pred_score.topk(min(_TOP, len(classes)))
            parts = [f'{classes[label]} {score:.2f}' for score, label in zip(scores.tolist(), labels.tolist(), strict=True)]
        elif self.scope == 'mmdet':
            labels = sample.pred_instances.labels[sample.pred_instances.scores > self.score_thr]
            counts = torch.bincount(labels)
            parts = [f'{classes[label]} {counts[label]}' for label in counts.argsort(descending=True).tolist()
                     if counts[label]]
        else:
            shares = torch.bincount(sample.pred_sem_seg.data.flatten().long()) / sample.pred_sem_seg.data.numel()
            parts = [f'{classes[label]} {shares[label]:.0%}' for label in shares.argsort(descending=True).tolist()[:_TOP]
                     if shares[label] >= 0.005]
        return ', '.join(parts) or f'nothing with a score above {self.score_thr}'


def load(args: argparse.Namespace, config: str, checkpoint: str) -> tuple[Config, Predictor]:
    """The config and the model that a command line means; a work dir as the checkpoint stands for the best in it.

    Raises:
        UsageError, FileNotFoundError, CheckpointError: As :func:`.run_config.load_config` and :class:`Predictor`; or torch
            has no such device.
    """
    cfg = load_config(argparse.Namespace(config=config, mini=args.mini, backbone=args.backbone, cfg_options=args.cfg_options,
                                         work_dir=None, launcher='none', local_rank=0))
    check_parts(cfg, ('default_scope', 'test_dataloader'))
    device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    check_device(device)
    with user_errors(RuntimeError, ValueError, KeyError, TypeError):
        return cfg, Predictor(cfg, find_checkpoint(checkpoint), device, args.score_thr)
