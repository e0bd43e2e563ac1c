"""The curves in the logs of a work dir."""
import json

import pytest

from mvit3_bench.results.curves import read


def write(folder, entries) -> None:
    """A log as MMEngine's."""
    folder.joinpath('run', 'vis_data').mkdir(parents=True)
    text = ''.join(json.dumps(entry) + '\n' for entry in entries)
    folder.joinpath('run', 'vis_data', 'scalars.json').write_text(text)


def test_epochs(tmp_path):
    """The losses of an epoch lie within it, scores at its end."""
    write(tmp_path, [dict(loss=3, epoch=1, step=10), dict(loss=2, epoch=1, step=20), dict(mIoU=0.5, step=1),
                     dict(loss=1, epoch=2, step=30), dict(loss=0.5, epoch=2, step=40), dict(mIoU=0.6, step=2)])
    assert read(tmp_path, 'loss') == [(0.5, 3), (1, 2), (1.5, 1), (2, 0.5)]
    assert read(tmp_path, 'mIoU') == [(1, 0.5), (2, 0.6)]


@pytest.mark.parametrize('key', ['loss', 'mIoU'])
def test_iterations(tmp_path, key):
    """Without epochs the iterations are told."""
    write(tmp_path, [{key: 3, 'step': 100}, {key: 2, 'step': 200}])
    assert read(tmp_path, key) == [(100, 3), (200, 2)] and not read(tmp_path, 'epoch')
