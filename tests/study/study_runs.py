"""Results and records of the study that look like those of its runs, without any."""
from dataclasses import replace
from pathlib import Path

import numpy as np

from mvit3_bench.results import store
from mvit3_bench.results.store import METRICS, Result
from mvit3_bench.study import claims
from mvit3_bench.study.records import Record
from mvit3_bench.suite.file import find_suite, read_suite
from mvit3_bench.suite.runs import Run, Suite, line

DATA = {claims.DETECTION: 'bccd', claims.SEGMENTATION: 'camvid'}
METRIC = {claims.DETECTION: 'bbox_mAP', claims.SEGMENTATION: 'mIoU'}
TASK = {claims.DETECTION: 'detection', claims.SEGMENTATION: 'segmentation'}


def suite(out: Path) -> Suite:
    """The suite of the study, with its results below a folder."""
    return read_suite(find_suite(claims.SUITE), folder=out / 'work_dirs', results=out / 'results' / 'study')


def outcomes(run: Run, quality: float, images: int = 300) -> dict[str, np.ndarray]:
    """Arrays as a test leaves them; images that are hard are so for all models."""
    easy = np.random.default_rng(0).random(images)
    noise = np.random.default_rng(len(run.name) + run.seed)
    names = np.array('0123456789abcdef')
    if run.recorded == claims.SEGMENTATION:
        union = np.full((images, 3), 100, np.int32)
        return dict(names=names, intersection=(union * easy[:, None] * quality).astype(np.int32), union=union)
    if run.recorded == claims.DETECTION:
        matched = np.where(noise.random(images) < quality, 2 ** 10 - 1, 0).astype(np.uint16)
        return dict(names=names, image=np.arange(images, dtype=np.int32), category=np.arange(images, dtype=np.int16) % 3,
                    score=noise.random(images).astype(np.float32), matched=matched, ignored=np.zeros_like(matched),
                    truths=(np.arange(images)[:, None] % 3 == np.arange(3)).astype(np.int32))
    label = (np.arange(images) % 10).astype(np.int16)
    right = 0.8 * easy + 0.2 * noise.random(images) < quality
    return dict(names=names, predicted=np.where(right, label, (label + 1) % 10).astype(np.int16), label=label,
                probability=np.where(right, 0.9, 0.1).astype(np.float16))


def add(run: Run, quality: float, **changes) -> tuple[Result, Path]:
    """Put a result and its record into the store."""
    arrays = outcomes(run, quality) | dict(
        seconds=np.array(1500.0), cost=np.array([1_200_000, 30_000_000]), epochs=np.arange(1, 4, dtype=np.float32),
        validation=np.array([30, 50, 60], np.float32))
    first = next(iter(arrays[key] for key in ('predicted', 'truths', 'union') if key in arrays))
    name, factor = METRICS[METRIC.get(run.recorded, 'top1')]
    value = float(Record(Path(), arrays).scores(np.ones((1, len(first))))[0])
    result = Result(
        id=f'{run.name}-00000000-20260101T000000', config=run.result_config, model=run.backbone,
        task=TASK.get(run.recorded, 'classification'), dataset=f'Set in data/{DATA.get(run.recorded, "cifar10")}',
        mini=False, images=len(first), origin=store.TRAINED,
        metrics={name: round(value / factor, 3 if factor == 100 else 2)},
        checkpoint='best.pth', sha256='0' * 64, source='', seed=run.seed, commit='abc1234', hardware='two cores',
        date='2026-01-01', command=line(replace(run, folder=Path('work_dirs', 'study', run.name)).test()))
    store.write(run.results, result)
    path = run.results / f'{run.name}.npz'
    np.savez_compressed(path, **(arrays | dict(result=np.array(result.id)) | changes))
    return result, path
