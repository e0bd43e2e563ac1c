"""Ten training steps in double precision: losses, gradients, weights and their averages are those of the published trainer.

``data/training/steps`` has what it computed, on weights drawn from their names and on images and targets drawn from seeds.
"""
import json
from types import SimpleNamespace

import conftest
import golden
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import HOOKS, PARAM_SCHEDULERS, init_default_scope
from mmengine.structures import InstanceData, PixelData
from torch import nn

from mvit3_bench.checkpoints import from_published, to_published
from mvit3_bench.registry import MODELS

TRAINING = golden.DATA / 'training'
# name of the trace -> config, recipe, iterations in an epoch
TRACES = {
    'cls_v3_xxs_hard': ('cls/mvit3_xxs_in1k', 'imagenet_v1type', 3337),
    'cls_v3_0.5_hard': ('cls/mvit3_0.5_in1k', 'imagenet_v2type', 1257),
    'cls_v3_0.5_soft': ('cls/mvit3_0.5_in1k', 'imagenet_v2type', 1257),
    'det_v3_xxs_det': ('det/ssdlite_mvit3_xxs_coco', 'coco_v1type', 917),
    'det_v3_0.5_det': ('det/ssdlite_mvit3_0.5_coco', 'coco_v2type', 917),
    'seg_deeplabv3_v3_xxs_voc_seg': ('seg/deeplabv3_mvit3_xxs_voc2012', 'voc_v1type', 221),
    'seg_deeplabv3_v3_0.5_ade20k_seg': ('seg/deeplabv3_mvit3_0.5_ade20k', 'ade20k', 1264),
}
TASKS = dict(cls='classification', det='detection', seg='segmentation')


def read(name: str) -> dict:
    """The settings and figures of a trace."""
    return json.loads((TRAINING / 'steps' / f'{name}.json').read_text())


def build(cfg: Config, task: str) -> nn.Module:
    """The model of a config in double precision and without dropout, on weights drawn from their published names."""
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    for layer in model.modules():
        if isinstance(layer, (nn.Dropout, nn.Dropout2d)):
            layer.p = 0.0
    published = {key: golden.draw(key, list(value.shape)) for key, value in to_published(model.state_dict(), task).items()}
    model.load_state_dict(from_published(published, task))
    return model.double().train()


def classification_samples(step: int, trace: dict) -> list:
    from mmpretrain.structures import DataSample
    rng = np.random.RandomState(2000 + step)
    labels = rng.randint(0, 1000, 4)
    share = rng.uniform()
    if not trace['soft_targets']:
        return [DataSample().set_gt_label(int(label)) for label in labels]
    one_hot = torch.eye(1000, dtype=torch.float64)[torch.from_numpy(labels)]
    scores = share * one_hot + (1 - share) * one_hot.roll(1, 0)
    return [DataSample().set_gt_score(score) for score in scores]


def detection_samples(step: int, trace: dict) -> list:
    from mmdet.structures import DetDataSample
    size, samples = trace['size'], []
    for image in json.loads((TRAINING / 'det_boxes.json').read_text())[step]:
        sample = DetDataSample(metainfo=dict(img_shape=(size, size), pad_shape=(size, size), batch_input_shape=(size, size)))
        sample.gt_instances = InstanceData(bboxes=torch.tensor(image['boxes_relative_xyxy'], dtype=torch.float64) * size,
                                           labels=torch.tensor(image['labels_from_1']) - 1)
        samples.append(sample)
    return samples


def segmentation_samples(step: int, trace: dict) -> list:
    from mmseg.structures import SegDataSample
    rng, side = np.random.RandomState(2000 + step), trace['size'] // 16
    labels = rng.randint(0, trace['n_classes'], (4, side, side))
    labels[rng.rand(4, side, side) < 0.1] = 255
    labels = torch.from_numpy(labels.repeat(16, axis=1).repeat(16, axis=2))
    return [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]


SAMPLES = dict(cls=classification_samples, det=detection_samples, seg=segmentation_samples)


def predictors(model: nn.Module) -> list[nn.Module]:
    """The last layers: of a classifier and of a segmentor one, of a detector one a level."""
    if hasattr(model, 'decode_head'):
        return [model.decode_head.conv_seg]
    return list(model.bbox_head.cls_convs) if hasattr(model, 'bbox_head') else [model.head.fc]


def published_output(model: nn.Module, raw: list[torch.Tensor], size: int) -> torch.Tensor:
    """What the trace has sampled: logits (B, K), segmentation upsampled (B, K, H, W), detection (B, anchors, 1 + K)."""
    if hasattr(model, 'decode_head'):
        return F.interpolate(raw[0], (size, size), mode='bilinear', align_corners=model.decode_head.align_corners)
    if hasattr(model, 'bbox_head'):
        classes = model.bbox_head.cls_out_channels
        levels = [level.permute(0, 2, 3, 1).reshape(len(level), -1, classes) for level in raw]
        return torch.cat(levels, dim=1).roll(1, -1)  # the published background is the first class
    return raw[0]


def relative(ours: float, published: float) -> float:
    return abs(ours - published) / abs(published)


def of_tensor(ours: torch.Tensor, mean: float, norm: float) -> float:
    """Deviation of a tensor's mean and 2-norm from the published ones, in units of its root mean square."""
    scale = max(norm / ours.numel()**0.5, 1e-9)
    return golden.worst(abs(ours.mean().item() - mean), abs(ours.norm().item() - norm) / ours.numel()**0.5) / scale


class Run:
    """A training of a config's own model, optimiser, schedule and average, step by step."""

    def __init__(self, cfg: Config, model: nn.Module, iterations: int):
        self.model = model
        self.optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
        optimizer = self.optim_wrapper.optimizer
        self.schedulers = [PARAM_SCHEDULERS.build(scheduler, default_args=dict(optimizer=optimizer, epoch_length=iterations))
                           for scheduler in cfg.param_scheduler]
        hook, = (hook for hook in cfg.custom_hooks if hook.type.endswith('EMAHook'))
        self.average = HOOKS.build(hook)
        self.runner = SimpleNamespace(model=model, iter=0, epoch=0, max_iters=10, max_epochs=1)
        self.raw = []  # outputs of the last forward pass, of each predictor
        for layer in predictors(model):
            layer.register_forward_hook(lambda layer, args, out: self.raw.append(out.detach()))
        self.average.before_run(self.runner)
        self.average.before_train(self.runner)

    def step(self, image: torch.Tensor, samples: list) -> dict:
        """One step; its learning rates, parts of the loss and gradient norm before clipping."""
        optimizer = self.optim_wrapper.optimizer
        self.raw.clear()
        found = dict(lr=sorted({group['lr'] for group in optimizer.param_groups}))
        loss, parts = self.model.parse_losses(self.model(image, samples, mode='loss'))
        self.optim_wrapper.backward(loss)
        norms = [parameter.grad.norm() for parameter in self.model.parameters()]
        found.update({key: float(part) for key, part in parts.items()}, grad_norm=float(torch.stack(norms).norm()))
        self.optim_wrapper.step()
        self.optim_wrapper.zero_grad()
        self.average.after_train_iter(self.runner, self.runner.iter)
        self.runner.iter += 1
        for scheduler in self.schedulers:
            if not scheduler.by_epoch:
                scheduler.step()
        return found


# (our part of the loss, the published one, factor)
PARTS = dict(cls=[], det=[('loss_cls', 'loss_cls', 1), ('loss_bbox', 'loss_box', 1)],
             seg=[('decode.loss_ce', 'loss_main', 1), ('aux.loss_ce', 'loss_aux_unweighted', 0.4)])


@pytest.mark.parametrize('name', TRACES)
def test_ten_steps(name, fidelity):
    """Rates, loss, its parts, gradient norm of each step; weights and averages of after the tenth."""
    config, recipe, iterations = TRACES[name]
    kind, trace = name.partition('_')[0], read(name)
    cfg = Config.fromfile(conftest.ROOT / 'configs' / f'{config}.py')
    in_losses, in_weights = (1e-5, 1e-4) if kind == 'det' else (1e-6, 1e-6)  # the published anchors are float32
    run = Run(cfg, build(cfg, TASKS[kind]), iterations)
    worst_loss = worst_norm = worst_output = 0.0
    samples = np.load(TRAINING / 'steps' / f'{name}.npz')
    for step, published in enumerate(trace['steps']):
        image = torch.from_numpy(np.random.RandomState(1000 + step).rand(trace['batch'], 3, trace['size'], trace['size']))
        ours = run.step(image, SAMPLES[kind](step, trace))
        assert ours['lr'] == pytest.approx(sorted(set(published['lr'])), abs=5.1e-9)
        deviations = [relative(ours['loss'], published['loss'])]
        deviations += [relative(ours[key], factor * published[other]) for key, other, factor in PARTS[kind]
                       if other in published]
        worst_loss = golden.worst(worst_loss, *deviations)
        worst_norm = golden.worst(worst_norm, relative(ours['grad_norm'], published['grad_norm']))
        if step in (0, 9):
            output = published_output(run.model, run.raw, trace['size'])
            assert tuple(output.shape) == tuple(samples[f'output_step{step}/shape'])
            ours, value = output.flatten()[samples[f'output_step{step}/index']].numpy(), samples[f'output_step{step}/value']
            worst_output = golden.worst(worst_output, np.abs(ours - value).max() / value.std())
    assert worst_loss < in_losses and worst_norm < in_weights and worst_output < in_weights
    weights = to_published(run.model.state_dict(), TASKS[kind])
    averages = to_published(run.average.ema_model.module.state_dict(), TASKS[kind])
    figures = trace['tensors_mean_norm_emamean_emanorm']
    assert set(figures) == {key for key, value in weights.items() if value.is_floating_point()}
    worst_weight = worst_average = 0.0
    for key, (mean, norm, average_mean, average_norm) in figures.items():
        worst_weight = golden.worst(worst_weight, of_tensor(weights[key], mean, norm))
        worst_average = golden.worst(worst_average, of_tensor(averages[key], average_mean, average_norm))
        if f'{key}/index' in samples:
            index, scale = samples[f'{key}/index'], norm / weights[key].numel()**0.5
            for ours, part in ((weights[key], 'weight'), (averages[key], 'ema')):
                deviation = np.abs(ours.flatten()[index].numpy() - samples[f'{key}/{part}']).max() / scale
                if part == 'weight':
                    worst_weight = golden.worst(worst_weight, deviation)
                else:
                    worst_average = golden.worst(worst_average, deviation)
    assert worst_weight < in_weights and worst_average < in_weights
    fidelity('ten steps', recipe, measured=f'loss {worst_loss:.0e}, gradient norm {worst_norm:.0e}, '
                                           f'outputs {worst_output:.0e}, weights {worst_weight:.0e}')
    fidelity('average', recipe, measured=f'{worst_average:.0e}')
