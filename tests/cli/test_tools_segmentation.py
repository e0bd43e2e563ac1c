"""The tools on every segmentation config; and what they say to an incomplete VOC2012 and to masks of other classes."""
import json
import math
import shutil

import conftest
import cv2
import numpy as np
import pytest

pytest.importorskip('mmseg', reason='mmsegmentation is not installed')

CONFIGS = conftest.ROOT / 'configs' / 'seg'
VOC = CONFIGS / 'deeplabv3_mvit3_xxs_voc2012.py'
TRIED = [path for path in conftest.CONFIGS if path.parent.name == 'seg' or path.stem == 'camvid']
# one config of each head and data set in `make test` (DeepLabv3 on ADE20K: test_tools.py); all of them take minutes
QUICK = (VOC.stem, 'pspnet_mvit3_0.5_voc2012', 'pspnet_mvit3_0.5_ade20k', 'deeplabv3_mvit3_xxs_camvid')


@pytest.mark.parametrize('config', [
    pytest.param(path, id=path.stem, marks=() if path.stem in QUICK else pytest.mark.slow) for path in TRIED])
def test_train_and_test(run_dir, trained, tool, config):
    """A work dir keeps its best checkpoint, and testing it writes metrics and predictions, and draws."""
    assert (trained(config) / 'best_mIoU_epoch_1.pth').is_file()

    outcome = tool('test', config, 'run', '--mini', '--out', 'out', '--show-dir', 'pictures', '--work-dir', 'test',
                   '--cfg-options', *conftest.short(config), 'test_dataloader.dataset.indices=2')
    assert outcome.code == 0, outcome.output
    assert math.isfinite(json.loads((run_dir / 'out' / 'metrics.json').read_text())['mIoU'])
    assert len(list((run_dir / 'out').glob('*.png'))) == len(list((run_dir / 'pictures').glob('*.png'))) == 2


def test_samples_without_masks():
    """A test set without masks passes the check of labels."""
    from types import SimpleNamespace

    from mmseg.structures import SegDataSample

    from mvit3_bench.engine.hooks.check_labels import CheckLabelsHook
    loader = SimpleNamespace(dataset=SimpleNamespace(metainfo=dict(classes=('road', 'car'))))
    CheckLabelsHook()._before_iter(SimpleNamespace(test_dataloader=loader), 0, dict(data_samples=[SegDataSample()]), 'test')


@pytest.fixture
def voc(run_dir):
    """A copy of the miniature VOC2012, to be damaged."""
    return shutil.copytree((run_dir / 'data' / 'mini' / 'VOCdevkit' / 'VOC2012').resolve(), run_dir / 'VOC2012')


def refusal(outcome) -> str:
    """The message of a tool that refuses its input, without a traceback."""
    assert outcome.code == 1 and 'Traceback' not in outcome.output
    return outcome.output[outcome.output.rindex('error: '):]


def test_missing_data(run_dir, tool):
    """Without VOC2012, the message names its place and layout and the option for another."""
    message = refusal(tool('train', VOC))
    for part in ('data/VOCdevkit/VOC2012', 'SegmentationClass', 'train.txt', '.dataset.datasets.0.data_root'):
        assert part in message


@pytest.mark.parametrize('kind', ['PascalVOCDataset', 'mmseg.PascalVOCDataset'])
def test_missing_mask(voc, tool, kind):
    """A list that names a missing mask is refused before the start; list and mask are named."""
    mask = sorted((voc / 'SegmentationClassAug').iterdir())[-1]
    mask.unlink()
    message = refusal(tool('train', VOC, '--mini', '--cfg-options', f'train_dataloader.dataset.datasets.1.data_root={voc}',
                           f'train_dataloader.dataset.datasets.1.type={kind}'))
    assert str(mask) in message and 'aug.txt' in message


@pytest.mark.parametrize('action, part', [('train', 'dataset.datasets.1'), ('test', 'dataset')])
def test_foreign_labels(voc, tool, action, part):
    """A mask with a value above the number of classes stops training and test; mask and value are named."""
    folder = voc / ('SegmentationClassAug' if action == 'train' else 'SegmentationClass')
    for mask in folder.iterdir():
        cv2.imwrite(str(mask), np.full_like(cv2.imread(str(mask), cv2.IMREAD_UNCHANGED), 99))
    outcome = tool(action, VOC, *(['none'] if action == 'test' else []), '--mini', '--cfg-options', *conftest.short(VOC),
                   f'{action}_dataloader.{part}.data_root={voc}')
    message = refusal(outcome)
    for expected in (str(folder), '99', '0 to 20', '255', 'fix the mask', 'set num_classes and metainfo'):
        assert expected in message


def test_labels_as_in_the_file():
    """With reduce_zero_label the numbers are those of the file, which begin with 1."""
    import torch
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    from mvit3_bench.engine.hooks.check_labels import check_labels
    from mvit3_bench.errors import UnreadableSample
    for reduced, expected in ((True, 'labels 151; possible are 1 to 150, and 0 and 255'),
                              (False, 'labels 150; possible are 0 to 149, and 255')):
        sample = SegDataSample(metainfo=dict(reduce_zero_label=reduced, seg_map_path='mask.png'),
                               gt_sem_seg=PixelData(data=torch.tensor([[[0, 255, 150]]])))
        with pytest.raises(UnreadableSample, match=expected):
            check_labels([sample], 150)


def test_inference_as_in_the_test(run_dir, tool, weights):
    """mmseg's own inference with the config of a miniature run predicts what tools/test.py writes, with options too."""
    import mvit3_bench.compat  # noqa: F401, I001  before mmseg
    import torch
    from mmseg.apis import inference_model, init_model
    from mmseg.datasets import ADE20KDataset
    config, file = weights['segmentation']
    checkpoint = run_dir / 'checkpoint.pth'
    torch.save(dict(torch.load(file), meta=dict(dataset_meta=ADE20KDataset.METAINFO)), checkpoint)
    for work_dir, options in (('first', []), ('second', ['test_dataloader.dataset.pipeline.1.scale=64'])):
        outcome = tool('test', config, checkpoint, '--mini', '--out', f'{work_dir}/out', '--work-dir', work_dir,
                       '--cfg-options', 'test_dataloader.dataset.indices=3', *options)
        assert outcome.code == 0, outcome.output
        model = init_model(str(run_dir / work_dir / config.name), str(checkpoint), device='cpu')
        written = sorted((run_dir / work_dir / 'out').glob('*.png'))
        assert len(written) == 3
        for file in written:
            image = next((run_dir / 'data' / 'mini' / 'ade').rglob(f'validation/{file.stem}.jpg'))
            found = inference_model(model, str(image)).pred_sem_seg.data[0].numpy()
            assert (found + 1 == cv2.imread(str(file), cv2.IMREAD_UNCHANGED)).all()


def test_masks_of_0_and_255():
    """255 is ignored: masks of nothing else leave a class without a pixel, which is said in the first iteration."""
    import torch
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    from mvit3_bench.engine.hooks import check_labels
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(check_labels, 'print_log', lambda text, **kwargs: found.append(text))
        for labels in ([0, 255, 255, 0], [0, 1, 255, 0], [0, 0, 0, 0]):
            sample = SegDataSample(gt_sem_seg=PixelData(data=torch.tensor([[labels]])))
            check_labels.warn_of_binary_masks([sample], ('background', 'cell'))
    assert len(found) == 1 and '50% of the pixels' in found[0] and 'no pixel is cell' in found[0]


def test_classes_without_a_pixel(run_dir, tool, weights):
    """They are named after the test, since the mean leaves them out."""
    config, checkpoint = weights['segmentation']
    outcome = tool('test', config, checkpoint, '--mini', '--work-dir', 'run', '--cfg-options',
                   'test_dataloader.dataset.indices=1')
    assert outcome.code == 0 and 'of 150 classes have no pixel in the masks' in outcome.output, outcome.output
