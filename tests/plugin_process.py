"""What the processes of tests/mmlab/test_plugin.py run: one function a case, and the server that starts them.

The text of this file goes to ``python -c``, so that those processes can import nothing of the tests or the repository.
"""
import contextlib
import json
import os
import signal
import sys
import traceback


def read(path):
    """The config and the model of a config file, as a Runner builds it; without a process group SyncBN is a BN."""
    from mmengine.config import Config
    from mmengine.registry import MODELS, init_default_scope
    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    cfg.model.setdefault('data_preprocessor', cfg.get('data_preprocessor'))
    if cfg.model.data_preprocessor.get('size'):
        cfg.model.data_preprocessor.size = (64, 64)  # else mmseg pads our small images to the crop of the recipe
    model = MODELS.build(cfg.model)
    if hasattr(model, 'roi_head'):
        model.roi_head.bbox_sampler.num = 32  # regions an image, instead of 512
    return cfg, model


def samples(scope):
    """Two images of 64 x 64 with labels, in the structures of the framework."""
    import numpy as np
    import torch
    from mmengine.structures import InstanceData, PixelData
    size = dict(img_shape=(64, 64), ori_shape=(64, 64), pad_shape=(64, 64))
    if scope == 'mmdet':
        from mmdet.structures import DetDataSample
        from mmdet.structures.mask import BitmapMasks
        boxes = torch.tensor([[4., 4., 40., 44.], [20., 10., 60., 60.]])
        masks = np.zeros((2, 64, 64), np.uint8)
        for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist(), strict=True):
            mask[y1:y2, x1:x2] = 1
        sample = DetDataSample(metainfo=dict(size, img_id=0, scale_factor=(1.0, 1.0)))
        sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.tensor([1, 7]), masks=BitmapMasks(masks, 64, 64))
    elif scope == 'mmseg':
        from mmseg.structures import SegDataSample
        sample = SegDataSample(metainfo=size, gt_sem_seg=PixelData(data=torch.randint(19, (1, 64, 64))))
    else:
        from mmpretrain.structures import DataSample
        sample = DataSample(metainfo=size).set_gt_label(3)
    images = [torch.randint(256, (3, 64, 64), dtype=torch.uint8) for _ in range(2)]
    if scope == 'mmpretrain':
        return dict(inputs=torch.stack(images), data_samples=[sample, sample.clone()])
    return dict(inputs=images, data_samples=[sample, sample.clone()])


def train(model, data):
    """A step of training: finite losses, and a gradient everywhere in the backbone, up to the stem, which changes."""
    import torch
    from mmengine.optim import OptimWrapper
    model.init_weights()
    optim_wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.01))
    optim_wrapper.zero_grad = lambda **_: None  # leave the gradients of the step to be looked at
    stem = model.backbone.stem.conv.weight
    before = stem.detach().clone()
    losses = model.train().train_step(data, optim_wrapper)
    assert 'loss' in losses and all(torch.as_tensor(loss).isfinite().all() for loss in losses.values()), losses
    without = [name for name, parameter in model.backbone.named_parameters() if parameter.grad is None]
    assert not without, f'no gradient: {without}'
    assert all(parameter.grad.isfinite().all() for parameter in model.backbone.parameters())
    assert stem.grad.abs().max() > 0 and not torch.equal(stem, before)


def predict(scope, model, data):
    """A test step: a data sample of the framework for each image, with finite results of the right shapes."""
    import torch
    if scope == 'mmdet':  # keep boxes of an untrained model, whose scores are low; but not thousands
        for name in ('bbox_head', 'rpn_head', 'roi_head'):
            if hasattr(model, name):
                getattr(model, name).test_cfg.update(score_thr=0.0, max_per_img=20)
    with torch.no_grad():
        results = model.eval().test_step(data)
    assert len(results) == 2
    for result in results:
        if scope == 'mmdet':
            assert type(result).__name__ == 'DetDataSample'
            found = result.pred_instances
            assert len(found) > 0 and found.bboxes.shape == (len(found), 4) and found.labels.shape == (len(found),)
            assert found.bboxes.isfinite().all() and found.scores.isfinite().all()
            assert ('masks' in found) == getattr(model, 'with_mask', False)
            if 'masks' in found:
                assert found.masks.shape == (len(found), 64, 64)
        elif scope == 'mmseg':
            assert type(result).__name__ == 'SegDataSample'
            assert result.pred_sem_seg.data.shape == (1, 64, 64)
            assert result.seg_logits.data.shape == (model.num_classes, 64, 64)
            assert result.seg_logits.data.isfinite().all()
        else:
            assert type(result).__name__ == 'DataSample'
            assert result.pred_score.shape == (model.head.num_classes,) and 0 <= result.pred_label < model.head.num_classes
            assert abs(result.pred_score.sum().item() - 1) < 1e-4


def swap(*paths):
    """Train and test a step with the model of each config."""
    import torch
    for path in paths:
        torch.manual_seed(0)
        cfg, model = read(path)
        scope = cfg.default_scope
        assert type(model).__module__.startswith(f'{scope}.models.')
        assert type(model.backbone).__module__ == 'mvit3_bench.mmlab.backbones'
        data = samples(scope)
        train(model, data)
        predict(scope, model, data)


def after_compat(*paths):
    """The same with ours imported beforehand."""
    import mvit3_bench.compat  # noqa: F401
    swap(*paths)


def swap_with_compiled_mmcv(path):
    """The same, and ours is imported by the registry alone and leaves mmcv's operators as they are."""
    from importlib.util import find_spec

    from mmengine.config import Config
    ext = find_spec('mmcv._ext').origin
    scope = Config.fromfile(path).default_scope
    __import__(f'{scope}.models')
    assert 'mvit3_bench' not in sys.modules
    swap(path)
    assert sys.modules['mmcv._ext'].__file__ == ext


def modules(*names):
    """Print which of these can be imported."""
    from importlib.util import find_spec
    print(*(name for name in names if find_spec(name)))


def root_registry():
    """MMEngine's own registry builds each family by its prefix, without an import of ours; and loads no data set."""
    from mmengine.registry import MODELS
    for version, arch in ((1, 'xxs'), (2, '0.5'), (3, 'xxs')):
        for name in ('mvit3_bench.MobileViTv', 'mvit3_bench.mmlab.MobileViTv'):
            model = MODELS.build(dict(type=f'{name}{version}', arch=arch))
            assert type(model).__name__ == f'MobileViTv{version}'
            assert type(model).__module__ == 'mvit3_bench.mmlab.backbones'
    assert 'mvit3_bench.datasets' not in sys.modules


def import_models():
    """The package imports; print what its models say."""
    import mvit3_bench
    print(mvit3_bench.__version__)
    try:
        import mvit3_bench.mmlab  # noqa: F401
    except ImportError as error:
        print(error)


def extract_features(path, checkpoint):
    """mmpretrain's FeatureExtractor, from a config file and from a Config, gives the maps and the pooled features."""
    import numpy as np
    import torch
    from mmengine.config import Config
    from mmpretrain import FeatureExtractor
    stem = torch.load(checkpoint, weights_only=True)['backbone.stem.conv.weight']
    image = np.random.default_rng(0).integers(256, size=(80, 96, 3), dtype=np.uint8)
    for model in (path, Config.fromfile(path)):
        extractor = FeatureExtractor(model, pretrained=checkpoint)
        assert torch.equal(extractor.model.backbone.stem.conv.weight, stem)
        for maps in extractor([image, image], batch_size=2, stage='backbone'):
            assert [tuple(x.shape) for x in maps] == [
                (c, 224 // stride, 224 // stride)
                for c, stride in zip(extractor.model.backbone.out_channels, (4, 8, 16, 32), strict=True)]
            assert all(x.isfinite().all() for x in maps)
        pooled, = extractor(image)
        assert pooled[-1].shape == (extractor.model.backbone.out_channels[-1],)


def hub():
    """mmpretrain's own functions list our classifiers, and build one that classifies and one that gives its maps."""
    import torch
    from mmpretrain import get_model, list_models

    import mvit3_bench.mmlab  # noqa: F401
    names = list_models('mvit3_')
    assert len(names) == 9 and list_models('mvit3_', task='Image Classification') == names
    assert {'mvit1_xxs_in1k', 'mvit2_2.0_in1k', 'mvit3_s_l2_in1k'} <= set(list_models())
    assert 'resnet50_8xb32_in1k' in list_models()
    model = get_model('mvit3_0.5_in1k')
    assert len(model._dataset_meta['classes']) == 1000
    predict('mmpretrain', model, samples('mmpretrain'))
    maps = get_model('mvit3_xxs_in1k', backbone=dict(out_indices=(1, 2, 3, 4))).backbone(torch.rand(1, 3, 64, 64))
    assert [x.shape[1] for x in maps] == [24, 64, 80, 128]


def serve():
    """Read one request a line, run each in a process forked from this one, answer with its exit code and output.

    Only third parties are imported beforehand, so for OpenMMLab and for us a forked process is as good as a fresh one.
    """
    for name in ('torch', 'torchvision', 'cv2', 'matplotlib.pyplot', 'pycocotools.coco', 'scipy.optimize'):
        with contextlib.suppress(ImportError):
            __import__(name)
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            run(**request)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(json.dumps(code), flush=True)


def run(site, cwd, output, case, args):
    """Run one case in this process, which has ``site`` on its path, and end the process."""
    code = 1
    try:
        signal.alarm(120)
        file = os.open(output, os.O_CREAT | os.O_WRONLY)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.chdir(cwd)
        sys.path.insert(1, site)
        globals()[case](*args)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


serve()
