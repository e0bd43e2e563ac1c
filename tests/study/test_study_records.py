"""The record of each image: the metrics that write it, the figures it gives again, and files that do not belong."""
import json

import numpy as np
import pytest
from conftest import ROOT

pytest.importorskip('mmdet', reason='mmdetection is not installed')
pytest.importorskip('mmseg', reason='mmsegmentation is not installed')
pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')

import study_runs  # noqa: E402
import torch  # noqa: E402

from mvit3_bench.errors import ResultError  # noqa: E402
from mvit3_bench.registry import METRICS  # noqa: E402
from mvit3_bench.study import claims, records  # noqa: E402
from mvit3_bench.study.records import Record  # noqa: E402

CONFIGS = ROOT / 'configs' / 'study'
FIGURES = dict(cifar10='accuracy/top1', bccd='coco/bbox_mAP', camvid='mIoU')


@pytest.mark.parametrize('name, images', [('cifar10', 8), ('bccd', None), ('camvid', 4)])
def test_of_a_test(run_dir, tool, name, images):
    """`mvit3 test` with a config of the study leaves a record in its work dir, which gives the metric again."""
    limit = ['--cfg-options', f'test_dataloader.dataset.indices={images}'] if images else []
    outcome = tool('test', CONFIGS / f'{name}.py', 'none', '--mini', '--work-dir', 'test', '--out', 'out', *limit)
    assert outcome.code == 0, outcome.output
    with np.load('test/per_image.npz', allow_pickle=False) as file:
        record = Record(run_dir / 'test' / 'per_image.npz', dict(file))
    assert record.images == images or not images
    value = json.loads((run_dir / 'out' / 'metrics.json').read_text())[FIGURES[name]] * (100 if name == 'bccd' else 1)
    assert record.scores(np.ones((1, record.images)))[0] == pytest.approx(value, abs=0.06 if name == 'bccd' else 0.011)


def sample(image: int, boxes, scores, labels) -> dict:
    """What a detector gives for an image."""
    return dict(img_id=image, img_path=f'images/{image}.jpg', pred_instances=dict(
        bboxes=torch.tensor(boxes).reshape(-1, 4), scores=torch.tensor(scores),
        labels=torch.tensor(labels, dtype=torch.long)))


def drawn(images: int):
    """Truth in COCO's format and detections near it, of which some miss, some are double and some truths are crowds."""
    noise, truth, found = np.random.default_rng(0), [], {image: ([], [], []) for image in range(1, images + 1)}
    for image in found:
        for _ in range(noise.integers(5)):
            x, y, width, height = noise.integers(10, 60, 4).tolist()
            label = int(noise.integers(2))
            truth.append(dict(id=len(truth) + 1, image_id=image, category_id=label + 3, bbox=[x, y, width, height],
                              area=width * height, iscrowd=int(noise.random() < 0.1)))
            for _ in range(noise.integers(3)):
                moved = (np.array([x, y, x + width, y + height]) + noise.normal(0, 3, 4)).tolist()
                for part, value in zip(found[image], (moved, float(noise.random()), label), strict=True):
                    part.append(value)
    return truth, found


def coco_ap(truth: list[dict], found: dict, path) -> tuple[float, Record]:
    """AP by pycocotools, and the record."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
    file = path / 'truth.json'
    file.write_text(json.dumps(dict(images=[dict(id=image, file_name=f'{image}.jpg') for image in found], annotations=truth,
                                    categories=[dict(id=3, name='a'), dict(id=4, name='b')])))
    metric = METRICS.build(dict(type='mvit3_bench.PerImageAP', ann_file=str(file), out_file=str(path / 'record.npz')))
    metric.dataset_meta = dict(classes=('a', 'b'))
    metric.process(None, [sample(image, *parts) for image, parts in found.items()])
    assert metric.evaluate(len(found)) == {}
    coco = COCO(str(file))
    rows = [dict(image_id=image, category_id=label + 3, score=float(np.float32(score)),
                 bbox=[box[0], box[1], box[2] - box[0], box[3] - box[1]])
            for image, parts in found.items() for box, score, label in zip(*parts, strict=True)]
    evaluation = COCOeval(coco, coco.loadRes(rows), 'bbox')
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    with np.load(path / 'record.npz') as arrays:
        return evaluation.stats[0], Record(path / 'record.npz', dict(arrays))


def test_average_precision(tmp_path):
    """AP out of the record is pycocotools', and so is that of images drawn twice or never."""
    truth, found = drawn(30)
    value, record = coco_ap(truth, found, tmp_path)
    assert 0.2 < value < 0.9 and record.scores(np.ones((1, 30)))[0] == pytest.approx(100 * value, abs=1e-4)
    times = np.random.default_rng(1).integers(0, 3, 30)
    images = [image for image, count in zip(found, times, strict=True) for _ in range(count)]
    copies = {number: found[image] for number, image in enumerate(images, 1)}
    again = [each | dict(image_id=number) for number, image in enumerate(images, 1) for each in truth
             if each['image_id'] == image]
    value, _ = coco_ap([each | dict(id=number) for number, each in enumerate(again, 1)], copies, tmp_path)
    assert record.scores(times[None].astype(np.float32))[0] == pytest.approx(100 * value, abs=0.3)


def test_nothing_detected(tmp_path):
    """Without detections AP is 0, and NaN where images without boxes alone are drawn."""
    (tmp_path / 'truth.json').write_text(json.dumps(dict(
        images=[dict(id=1), dict(id=2)], categories=[dict(id=1, name='a')],
        annotations=[dict(id=1, image_id=1, category_id=1, bbox=[0, 0, 9, 9], area=81, iscrowd=0)])))
    metric = METRICS.build(dict(type='mvit3_bench.PerImageAP', ann_file=str(tmp_path / 'truth.json'),
                                out_file=str(tmp_path / 'record.npz')))
    metric.dataset_meta = dict(classes=('a',))
    metric.process(None, [sample(image, [], [], np.zeros(0, int)) for image in (2, 1)])
    metric.evaluate(2)
    with np.load(tmp_path / 'record.npz') as file:
        record = Record(tmp_path, dict(file))
    assert np.array_equal(record.scores(np.array([[1., 1.], [0., 2.]])), [0, np.nan], equal_nan=True)


def test_segmentation_resampled():
    """mIoU of images drawn twice is that of all their pixels; a class that no drawn image has does not count."""
    record = Record(None, dict(intersection=np.array([[10, 0], [0, 5]]), union=np.array([[20, 0], [10, 5]])))
    found = record.scores(np.array([[1., 1.], [2., 0.], [1., 2.]]))
    assert found == pytest.approx([100 * (10 / 30 + 1) / 2, 50, 100 * (10 / 40 + 1) / 2])


@pytest.fixture
def stored(tmp_path):
    """Two classifiers of the study with results and records."""
    suite = study_runs.suite(tmp_path)
    runs = [next(run for run in suite.runs if (run.recorded, run.backbone) == (claims.CLASSIFICATION, model))
            for model in ('mvit3_xxs', 'mvit1_xxs')]
    found = {run.name: study_runs.add(run, 0.8) for run in runs}
    return suite, runs, {name: result for name, (result, _) in found.items()}, [path for _, path in found.values()]


def changed(path, **changes) -> None:
    """Change arrays of a record."""
    with np.load(path) as file:
        arrays = dict(file)
    np.savez_compressed(path, **(arrays | changes))


def test_round_trip(stored):
    """What is written is read, and a run without a record is left out."""
    _, runs, results, paths = stored
    found = records.load(runs, results)
    assert {*found} == {*results} and found[runs[0].name].images == 300 and found[runs[0].name].log_loss > 0
    paths[0].unlink()
    assert {*records.load(runs, results)} == {runs[1].name}


@pytest.mark.parametrize('changes, words', [
    (dict(names=np.array('another')), r'mvit1_xxs-seed0.npz is of other images than .*mvit3_xxs-seed0.npz: 300 \(another\)'),
    (dict(result=np.array('x-0')), r'mvit1_xxs-seed0.npz belongs to the result x-0, and the newest of this run is '),
    (dict(label=np.zeros(300, np.int16)), r'mvit1_xxs-seed0.npz gives top1 [\d.]+, and its result says'),
    (dict(names=np.array({}, object)), r'mvit1_xxs-seed0.npz is no record of a test: Object arrays')])
def test_wrong_records(stored, changes, words):
    """A record of other images, of another result, with another figure or with a pickle is refused by name."""
    _, runs, results, paths = stored
    changed(paths[1], **changes)
    with pytest.raises(ResultError, match=words):
        records.load(runs, results)


def test_damaged(stored):
    """A file that was cut off, or has other bytes or arrays, is named."""
    _, runs, results, paths = stored
    whole = paths[0].read_bytes()
    middle = len(whole) // 2
    for damaged in (whole[:200], whole[:80] + bytes(16) + whole[96:], whole[:middle] + b'\xff' * 16 + whole[middle + 16:]):
        paths[0].write_bytes(damaged)
        with pytest.raises(ResultError, match=r'mvit3_xxs-seed0.npz is no record of a test'):
            records.load(runs, results)
    np.savez_compressed(paths[0], names=np.array('x'))
    with pytest.raises(ResultError, match=r'mvit3_xxs-seed0.npz is no record of a test: it lacks result'):
        records.load(runs, results)


def test_collect(stored, tmp_path, monkeypatch):
    """Curve, cost and time join what the test has left; a record that is there stays, that of an older result does not."""
    suite, runs, results, paths = stored
    monkeypatch.setattr(records, 'cost', lambda suite, run: (5, 7))
    run, result = runs[0], results[runs[0].name]
    before = paths[0].read_bytes()
    assert records.collect(suite, run, result) == paths[0] and paths[0].read_bytes() == before
    paths[0].unlink()
    assert records.collect(suite, run, result) is None
    logs = run.folder / '20260101_000000' / 'vis_data'
    logs.mkdir(parents=True)
    (run.folder / 'test').mkdir()
    (logs / 'scalars.json').write_text('{"accuracy/top1": 40.0, "step": 1}\n{"accuracy/top1": 60.0, "step": 2}\n')
    (run.folder / 'suite.json').write_text('{"seconds": 90.0}')
    np.savez_compressed(run.folder / records.PER_IMAGE, **study_runs.outcomes(run, 0.8))
    assert records.collect(suite, run, result) == paths[0]
    arrays = records.load(runs, results)[run.name].arrays
    assert (*arrays['validation'], *arrays['epochs'], *arrays['cost'], arrays['seconds']) == (40, 60, 1, 2, 5, 7, 90)
    changed(paths[0], result=np.array('older-0'))
    assert records.collect(suite, run, result) == paths[0] and records.load(runs, results)
    paths[0].write_bytes(b'cut')
    assert records.collect(suite, run, result) == paths[0] and records.load(runs, results)
