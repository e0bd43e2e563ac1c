"""Corrupted inputs: each kind through the real pipelines of its task, and the judge of what came of it."""
import json

import numpy as np
import pytest
from PIL import Image

import mvit3_bench.compat  # noqa: F401  before mmseg

for framework in ('mmdet', 'mmseg', 'mmpretrain'):
    pytest.importorskip(framework, reason=f'{framework} is not installed')

from faults import inputs  # noqa: E402
from faults.isolated import Isolated  # noqa: E402

from mvit3_bench.errors import UnreadableSample  # noqa: E402

KINDS = inputs.kinds()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder in which one input after the other is damaged, the intact ones drawn once."""
    return tmp_path_factory.mktemp('damaged')


@pytest.mark.parametrize('task, table, damage', KINDS, ids=[f'{task}-{damage}' for task, _, damage in KINDS])
def test_kind(folder, monkeypatch, task, table, damage):
    """Right labels, or a refusal that names the file."""
    monkeypatch.delenv('MVIT3_REAL_DATA', raising=False)
    right, seen = inputs.examine(inputs.Case(task, table, damage, seed=1, workers=0), folder)
    assert right, seen


@pytest.mark.parametrize('kind', [('classification', 'images', 'truncated JPEG'), ('segmentation', 'masks', 'RGB mask'),
                                  ('detection', 'jsons', 'wrong size of the image'),
                                  ('segmentation', 'images', 'EXIF orientation 6')])
def test_kind_in_workers(folder, monkeypatch, kind):
    """The same from worker processes."""
    monkeypatch.delenv('MVIT3_REAL_DATA', raising=False)
    right, seen = inputs.examine(inputs.Case(*kind, seed=2, workers=2), folder)
    assert right, seen


def test_wrong_labels_are_noticed(folder, monkeypatch):
    """The judge is no rubber stamp: without the checks of loaded samples, and with a turned image, inputs are lost."""
    from mvit3_bench.datasets.transforms import loading
    monkeypatch.delenv('MVIT3_REAL_DATA', raising=False)
    turned = dict(inputs.IMAGES, turned=lambda image, rng: inputs.Corrupted(
        inputs.encode(image.transpose(Image.Transpose.ROTATE_180)), image))
    monkeypatch.setattr(inputs, 'IMAGES', turned)
    for task in inputs.TASKS:
        right, seen = inputs.examine(inputs.Case(task, 'images', 'turned', seed=1, workers=0), folder)
        assert not right and 'pixels differ' in seen
    monkeypatch.setattr(loading, 'check_sample', lambda *args: None)
    for kind in [('segmentation', 'masks', 'mask of 4 bits'), ('segmentation', 'masks', 'mask of 16 bits out of range'),
                 ('detection', 'jsons', 'wrong size of the image'),
                 ('detection', 'frames', 'labels of the image as stored')]:
        right, seen = inputs.examine(inputs.Case(*kind, seed=1, workers=0), folder)
        assert not right and 'was not refused' in seen, kind


def test_faults(tmp_path, monkeypatch):
    """They are recorded one by one, from a process of their own."""
    monkeypatch.delenv('MVIT3_REAL_DATA', raising=False)
    monkeypatch.setattr(inputs, 'kinds', lambda: KINDS[:2])
    found = list(inputs.faults(tmp_path, count=3, seed=0))
    assert [fault.kind for fault in found] == [
        'mask out of range, segmentation', 'mask of 16 bits out of range, segmentation', 'mask out of range, segmentation']
    assert all(fault.outcome == 'survived' and 'refused' in fault.detail for fault in found), found


def test_isolated():
    """A crash, a hang and a glutton are told apart, and the next call finds a new process."""
    with Isolated(eval, timeout=30, memory=2**27) as isolated:
        for code, expected in [('__import__("os").abort()', 'exit code -6'),
                               ('len(bytes(2**28).replace(bytes(1), b"x"))', 'memory: '),
                               ('1 / 0', 'ZeroDivisionError')]:
            done, seen = isolated(code)
            assert not done and expected in seen
        assert isolated('6 * 7') == (True, 42)
        isolated.timeout = 1
        done, seen = isolated('__import__("time").sleep(60)')
        assert not done and 'hang' in seen


# ---- checks before the start ------------------------------------------------------------------------------------------

@pytest.mark.parametrize('line', ['a.JPEG', 'a.JPEG one', 'a.JPEG 1000', 'a.JPEG -1', '7'])
def test_list_of_images(folder, tmp_path, line):
    """A line that is not a file and a class is refused with its number, before the start."""
    from faults.tasks import Classification, config_of

    from mvit3_bench.datasets.checks.data import check_data
    from mvit3_bench.errors import UsageError
    (tmp_path / 'train').mkdir()
    (tmp_path / 'meta').mkdir()
    (tmp_path / 'meta' / 'train.txt').write_text(f'b.JPEG 0\n{line}\n')
    with pytest.raises(UsageError, match='train.txt, line 2'):
        check_data(config_of(Classification.configs[0], tmp_path, 0), ('train_dataloader',))


def test_json_of_real_coco_layout(run_dir):
    """The miniature COCO, whose crowds have run-length codes, passes the stricter check."""
    from mvit3_bench.datasets.checks.coco import _read
    file = run_dir / 'data' / 'mini' / 'coco' / 'annotations' / 'instances_train2017.json'
    assert _read(file) == json.loads(file.read_text())


def test_each_file_is_read_once(tmp_path):
    """By the loading transform, with its own backend: the check takes the bytes that were read."""
    from mmcv.transforms import LoadImageFromFile
    from mmengine.fileio import BaseStorageBackend, register_backend

    from mvit3_bench.datasets.transforms.loading import Load
    from mvit3_bench.engine.hooks.check_samples import LoadOrStop
    read = []

    @register_backend('somewhere_else', force=True)
    class Elsewhere(BaseStorageBackend):
        def get(self, filepath):
            read.append(filepath)
            return (tmp_path / filepath.rpartition('/')[2]).read_bytes()

        def get_text(self, filepath, encoding='utf-8'):
            raise NotImplementedError
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / 'x.png')
    (tmp_path / 'broken.png').write_bytes((tmp_path / 'x.png').read_bytes()[:-20])
    step = dict(type='LoadImageFromFile', backend_args=dict(backend='somewhere_else'))
    for load in (Load([step]), LoadOrStop([LoadImageFromFile(backend_args=dict(backend='somewhere_else'))])):
        assert load(dict(img_path='bucket/x.png'))['img'].shape == (8, 8, 3) and read == ['bucket/x.png']
        with pytest.raises(UnreadableSample, match='bucket/broken.png'):
            load(dict(img_path='bucket/broken.png'))
        read.clear()


@pytest.mark.parametrize('image, switch', [
    (Image.fromarray(np.full((8, 8), 1000, np.uint16)), dict(any_depth=True)),
    (Image.fromarray(np.zeros((1, 200), np.uint8)), dict(longest=None))], ids=['16 bits', 'long'])
def test_switches(tmp_path, image, switch):
    """Medical and satellite images are taken where the config says so."""
    from mvit3_bench.datasets.transforms.loading import Load
    image.save(tmp_path / 'x.png')
    step = dict(type='LoadImageFromFile', color_type='unchanged', imdecode_backend='cv2')
    with pytest.raises(UnreadableSample, match=next(iter(switch))):
        Load([step])(dict(img_path=str(tmp_path / 'x.png')))
    found = Load([step], **switch)(dict(img_path=str(tmp_path / 'x.png')))['img']
    assert (found == np.asarray(image)).all()
