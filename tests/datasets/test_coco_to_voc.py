"""COCO's images as training images of VOC2012."""
import importlib
import json
import shutil
from pathlib import Path

import conftest
import cv2
import numpy as np
import pytest

pytest.importorskip('pycocotools', reason='pycocotools is not installed')
pytest.importorskip('mmengine', reason='mmengine is not installed')

from mvit3_bench.datasets.coco_to_voc import CLASSES, ORIGIN, VOID, convert, voc_mask  # noqa: E402
from mvit3_bench.datasets.mini.voc2012 import LABELS  # noqa: E402

SPLIT = 'val2017'  # of the miniature: 30 images


@pytest.fixture
def folders(mini_data, tmp_path):
    """COCO, VOC2012 and the folder to make."""
    return mini_data / 'coco', mini_data / 'VOCdevkit' / 'VOC2012', tmp_path / 'VOC2012_COCO'


def members(folder):
    return (folder / 'ImageSets' / 'Segmentation' / 'aug.txt').read_text().split()


def test_classes_are_those_of_voc():
    """The names are COCO's, in VOC's order."""
    pytest.importorskip('mmseg', reason='mmsegmentation is not installed')
    importlib.import_module('mvit3_bench.compat')  # first: mmcv-lite lacks operators mmseg imports
    from mmseg.datasets import PascalVOCDataset
    others = dict(airplane='aeroplane', motorcycle='motorbike', couch='sofa', tv='tvmonitor')
    assert ['background', *(others.get(name, name.replace(' ', '')) for name in CLASSES)] == list(
        PascalVOCDataset.METAINFO['classes'])


def test_convert(folders):
    """The list has VOC's extra images and COCO's, each with image and mask; what shows too little is left out."""
    coco, voc, out = folders
    extra, taken, left_out = convert(coco, voc, out, SPLIT, min_pixels=3000)
    assert members(out)[:extra] == members(voc) and len(members(out)) == extra + taken
    assert taken > 10 and left_out > 0 and taken + left_out <= 30
    for stem in members(out):
        mask = cv2.imread(str(out / 'SegmentationClassAug' / f'{stem}.png'), cv2.IMREAD_UNCHANGED)
        assert mask.shape == cv2.imread(str(out / 'JPEGImages' / f'{stem}.jpg')).shape[:2]
        assert set(np.unique(mask)) <= {0, VOID, *LABELS.values()}
        if stem not in members(voc):
            assert np.isin(mask, list(LABELS.values())).sum() >= 3000


def test_without_links(folders, monkeypatch):
    """Where the file system has no links, images and masks are copied."""
    def refuse(*args):
        raise OSError('no links here')
    monkeypatch.setattr('pathlib.Path.symlink_to', refuse)
    coco, voc, out = folders
    convert(coco, voc, out, SPLIT)
    images = list((out / 'JPEGImages').iterdir())
    assert {path.stem for path in images} == set(members(out)) and not any(path.is_symlink() for path in images)


def test_stopped_and_called_again(folders, monkeypatch):
    """Interrupted, it leaves no list; called again, it draws only what is not there, and ends as it would have."""
    coco, voc, out = folders
    convert(coco, voc, out.with_name('whole'), SPLIT)
    drawn = []

    def counted(content, image_id, labels):
        if len(drawn) == 5:
            raise KeyboardInterrupt
        drawn.append(image_id)
        return voc_mask(content, image_id, labels)

    with monkeypatch.context() as patch:
        patch.setattr('mvit3_bench.datasets.coco_to_voc.voc_mask', counted)
        with pytest.raises(KeyboardInterrupt):
            convert(coco, voc, out, SPLIT)
    assert not list((out / 'ImageSets' / 'Segmentation').iterdir())
    before = {path: path.stat().st_mtime_ns for path in (out / 'SegmentationClassAug').iterdir()}
    convert(coco, voc, out, SPLIT)
    assert members(out) == members(out.with_name('whole'))
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())


@pytest.mark.parametrize('damage', [b'', b'\x89PNG\r\n\x1a\n', None])
def test_damaged_mask_is_drawn_again(folders, damage):
    """Empty, of its first bytes or truncated at half."""
    coco, voc, out = folders
    convert(coco, voc, out, SPLIT)
    mask = out / 'SegmentationClassAug' / f'{members(out)[-1]}.png'
    whole = mask.read_bytes()
    mask.write_bytes(whole[:len(whole) // 2] if damage is None else damage)
    convert(coco, voc, out, SPLIT)
    assert mask.read_bytes() == whole


def test_moved_folder(folders):
    """Links that lead nowhere since the folder has moved are made again."""
    coco, voc, out = folders
    convert(coco, voc, out, SPLIT)
    moved = out.rename(out.parent.parent / out.name)
    assert not all(path.exists() for path in (moved / 'JPEGImages').iterdir())
    convert(coco, voc, moved, SPLIT)
    assert all(path.exists() for part in ('JPEGImages', 'SegmentationClassAug') for path in (moved / part).iterdir())


def test_repeated_names(folders, tmp_path):
    """A name is once in the new list, however often it is in the old one."""
    coco, voc, out = folders
    voc = shutil.copytree(voc, tmp_path / 'voc')
    file = voc / 'ImageSets' / 'Segmentation' / 'aug.txt'
    file.write_text(file.read_text() * 2)
    convert(coco, voc, out, SPLIT)
    assert len(members(out)) == len(set(members(out)))


def test_another_json(folders, tmp_path):
    """A folder made from one json takes no masks of another."""
    coco, voc, out = folders
    convert(coco, voc, out, SPLIT)
    with pytest.raises(ValueError, match='was made from another instances_val2017.json than instances_train2017.json'):
        convert(coco, voc, out, 'train2017')
    changed = shutil.copytree(coco, tmp_path / 'changed')
    file = changed / 'annotations' / f'instances_{SPLIT}.json'
    file.write_text(file.read_text() + ' ')
    with pytest.raises(ValueError, match='remove it, or name another folder'):
        convert(changed, voc, out, SPLIT)
    (out / ORIGIN).unlink()
    with pytest.raises(ValueError, match=f'has masks, but no {ORIGIN}'):
        convert(coco, voc, out, SPLIT)


@pytest.mark.parametrize('wrong, part', [
    (lambda coco, voc, out: voc, 'is VOC2012 itself'),
    (lambda coco, voc, out: out.write_text(''), 'is a file'),
    (lambda coco, voc, out: (coco / 'annotations' / f'instances_{SPLIT}.json').write_text('{"images": ['),
     f"instances_{SPLIT}.json is not a json of things in COCO's format: JSONDecodeError"),
    (lambda coco, voc, out: (coco / 'annotations' / f'instances_{SPLIT}.json').write_text('{}'),
     f"instances_{SPLIT}.json is not a json of things in COCO's format: KeyError"),
    (lambda coco, voc, out: (voc / 'ImageSets' / 'Segmentation' / 'aug.txt').write_text('a\n', encoding='utf-16'),
     'aug.txt is not UTF-8 text without BOM')])
def test_impossible_folders(folders, tmp_path, tool, wrong, part):
    """An error that names the file, without a traceback; nothing is changed."""
    coco, voc, out = folders
    coco, voc = shutil.copytree(coco, tmp_path / 'coco'), shutil.copytree(voc, tmp_path / 'voc')
    before = sorted(tmp_path.rglob('*'))
    made = wrong(coco, voc, out)
    out = made if isinstance(made, Path) else out
    outcome = tool('convert_coco_to_voc', '--coco', coco, '--voc', voc, '--out', out, '--split', SPLIT)
    assert outcome.code == 1 and 'Traceback' not in outcome.output
    assert part in outcome.output[outcome.output.rindex('error: '):]
    assert {*tmp_path.rglob('*')} - {*before} <= {out}


def test_things_without_outlines(folders, tmp_path):
    """A json of boxes alone is refused."""
    coco, voc, out = folders
    coco = shutil.copytree(coco, tmp_path / 'coco')
    file = coco / 'annotations' / f'instances_{SPLIT}.json'
    content = json.loads(file.read_text())
    for thing in content['annotations']:
        del thing['segmentation']
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="KeyError: 'segmentation'"):
        convert(coco, voc, out, SPLIT)


def test_overlaps_and_crowds(tmp_path):
    """Where two classes meet is void, two things of one class are not; a crowd is void where nothing else is."""
    from pycocotools.coco import COCO

    def box(number, category, x, crowd=0):
        outline = [x, 0, x + 4, 0, x + 4, 2, x, 2]
        full = dict(size=[2, 12], counts=[2 * x, 8, 24 - 2 * x - 8])
        return dict(id=number, image_id=1, category_id=category, iscrowd=crowd, area=8,
                    segmentation=full if crowd else [outline])

    file = tmp_path / 'instances.json'
    file.write_text(json.dumps(dict(
        images=[dict(id=1, height=2, width=12, file_name='1.jpg')], categories=[],
        annotations=[box(1, 1, 0), box(2, 1, 2), box(3, 3, 4), box(4, 3, 7, crowd=1), box(5, 99, 0)])))
    assert voc_mask(COCO(file), 1, {1: 15, 3: 7})[0].tolist() == [15] * 4 + [VOID] * 2 + [7] * 2 + [VOID] * 3 + [0]


def test_tool_and_training(run_dir, tool):
    """The tool makes the folder, and a config trains on it by one option."""
    mini = run_dir / 'data' / 'mini'
    outcome = tool('convert_coco_to_voc', '--coco', mini / 'coco', '--voc', mini / 'VOCdevkit' / 'VOC2012', '--out', 'both',
                   '--split', SPLIT)
    assert outcome.code == 0 and '30 images of VOC' in outcome.output
    pytest.importorskip('mmseg', reason='mmsegmentation is not installed')
    outcome = tool('train', conftest.ROOT / 'configs' / 'seg' / 'deeplabv3_mvit3_xxs_voc2012.py', '--mini', '--cfg-options',
                   'train_dataloader.dataset.datasets.0.indices=2', 'train_dataloader.dataset.datasets.1.data_root=both',
                   'train_dataloader.dataset.datasets.1.indices=[0,-1]', 'train_dataloader.batch_size=4',
                   'val_dataloader.dataset.indices=2', 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1')
    assert outcome.code == 0, outcome.output


def test_bad_input(run_dir, tool):
    """A missing folder, a missing image and a json of other categories are named, without a traceback."""
    coco = shutil.copytree((run_dir / 'data' / 'mini' / 'coco').resolve(), run_dir / 'coco')
    flags = '--voc', run_dir / 'data' / 'mini' / 'VOCdevkit' / 'VOC2012', '--out', 'both', '--split', SPLIT

    def message(*args):
        outcome = tool('convert_coco_to_voc', *args)
        assert outcome.code == 1 and 'Traceback' not in outcome.output
        return outcome.output[outcome.output.rindex('error: '):]

    assert 'absent' in message('--coco', 'absent', *flags)
    assert 'aug.txt' in message('--coco', coco, '--voc', 'absent')
    image = sorted((coco / SPLIT).iterdir())[-1]
    image.unlink()
    assert f'{image} is missing' in message('--coco', coco, *flags)
    file = coco / 'annotations' / f'instances_{SPLIT}.json'
    file.write_text(json.dumps(json.loads(file.read_text()) | dict(categories=[dict(id=1, name='parrot')])))
    assert 'none of the categories' in message('--coco', coco, *flags)


@pytest.mark.parametrize('outline, part', [
    ([], None), ([[]], None), ([[1, 2, 3, 4]], None), (dict(size=[1, 1], counts=[1]), 'annotation .* run-length code of')])
def test_degenerate_outlines(folders, tmp_path, outline, part):
    """Outlines without a pixel draw none; a code of another image's size is refused with its number."""
    coco, voc, out = folders
    coco = shutil.copytree(coco, tmp_path / 'coco')
    file = coco / 'annotations' / f'instances_{SPLIT}.json'
    content = json.loads(file.read_text())
    content['annotations'][0]['segmentation'] = outline
    file.write_text(json.dumps(content))
    if part is None:
        assert convert(coco, voc, out, SPLIT)[1] > 10
    else:
        with pytest.raises(ValueError, match=part):
            convert(coco, voc, out, SPLIT)
