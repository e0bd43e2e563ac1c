"""What a suite's table says of the cost of a model."""
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

pytest.importorskip('mmseg', reason='mmsegmentation is not installed')

from mvit3_bench.paper.counts import counts  # noqa: E402
from mvit3_bench.suite.file import read_suite  # noqa: E402
from mvit3_bench.suite.table import cost  # noqa: E402
from mvit3_bench.utils.paths import MIM  # noqa: E402

CIFAR10 = MIM / 'configs' / 'study' / 'cifar10.py'


def test_cost_without_auxiliary_head(tmp_path):
    """The figures are those of the other tables: without the head that works in training only."""
    name = 'seg/deeplabv3_mvit3_0.5_ade20k'
    (tmp_path / 'one.yaml').write_text(yaml.safe_dump(dict(runs=[dict(configs=[name])])))
    suite = read_suite(str(tmp_path / 'one.yaml'), folder=tmp_path)
    expected = counts()[f'{name}.py']['']
    assert cost(suite, suite.runs[0]) == (expected.parameters, expected.multiply_adds) == cost(suite, suite.runs[0])


def test_changed_config(tmp_path):
    """A config file that has changed is counted anew."""
    own, found = Path(tmp_path / 'own.py'), []
    for classes in (10, 20):
        own.write_text(f"_base_ = {str(CIFAR10)!r}\nmodel = dict(head=dict(num_classes={classes}))\n")
        (tmp_path / 'one.yaml').write_text(yaml.safe_dump(dict(runs=[dict(configs=[str(own)])])))
        suite = read_suite(str(tmp_path / 'one.yaml'), folder=tmp_path)
        found.append(cost(suite, suite.runs[0])[0])
    own.write_text('_base_ = [')
    assert cost(suite, suite.runs[0]) is None  # its cell stays empty
    own.write_text(f"_base_ = {str(CIFAR10)!r}\n")
    head = Config.fromfile(own).model.head
    assert found[1] - found[0] == 10 * (head.in_channels + 1)
