"""Fronts, limits and the nearest miss, on rows that are made by hand; rows of a file."""
import random
from dataclasses import replace

import pytest
from measurements import content

from mvit3_bench.leaderboard.fronts import COSTS, excess, nearest, pareto_front, within
from mvit3_bench.leaderboard.measured import Row, backbones, cells, rows, title
from mvit3_bench.leaderboard.models import models

MODEL = models()[0]


def row(top1: float, parameters: int, latency: float = 1.0, name: str = '') -> Row:
    return Row(replace(MODEL, name=name, top1=top1), parameters, 100, latency)


def names(found: list[Row]) -> list[str]:
    return [each.model.name for each in found]


def test_front():
    """The best and the cheapest stay, the highest top-1 first; what costs more for less goes."""
    found = [row(70, 1, name='small'), row(72, 4, name='beaten'), row(75, 3, name='middle'), row(80, 9, name='large')]
    assert names(pareto_front(found, ['parameters'])) == ['large', 'middle', 'small']
    assert pareto_front([], COSTS) == []


def test_ties():
    """Equal in top-1: the cheaper one; equal in cost: the better one; equal in both: all of them."""
    assert names(pareto_front([row(75, 3, name='a'), row(75, 2, name='b')], ['parameters'])) == ['b']
    assert names(pareto_front([row(75, 3, name='a'), row(76, 3, name='b')], ['parameters'])) == ['b']
    assert names(pareto_front([row(75, 3, name='a'), row(75, 3, name='b')], ['parameters'])) == ['a', 'b']


def test_several_costs():
    """A model that is slower stays if it is smaller."""
    found = [row(75, 2, 9.0, name='small'), row(75, 3, 1.0, name='fast'), row(74, 3, 9.0, name='beaten')]
    assert names(pareto_front(found, ['parameters', 'latency_ms'])) == ['small', 'fast']
    assert names(pareto_front(found, ['latency_ms'])) == ['fast']


def test_front_by_its_definition():
    """Of random rows: no one on the front is dominated, and each other one is, by one on the front."""
    draw = random.Random(0)
    found = [row(draw.randint(60, 80), draw.randint(1, 20), draw.randint(1, 20)) for _ in range(300)]
    front = pareto_front(found, ['parameters', 'latency_ms'])

    def dominates(a: Row, b: Row) -> bool:
        better = (a.model.top1 - b.model.top1, b.parameters - a.parameters, b.latency_ms - a.latency_ms)
        return min(better) >= 0 < max(better)

    assert 3 < len(front) < 100
    for each in found:
        assert (each not in front) == any(dominates(other, each) for other in found)
        assert each in front or any(dominates(other, each) for other in front)


def test_limits():
    """A limit may be reached; beyond it, the excess is a fraction of it."""
    found = [row(70, 4, 10.0), row(80, 5, 30.0)]
    assert within(found, dict(parameters=4)) == found[:1] and within(found, {}) == found
    assert excess(found[1], dict(parameters=4, latency_ms=30.0)) == {'parameters': 0.25}


def test_nearest():
    """The one whose largest excess is the smallest; of equal ones the most accurate."""
    far, near, better = row(90, 10, 1.0, name='far'), row(70, 2, 2.0, name='near'), row(71, 2, 1.0, name='better')
    assert nearest([far, near], dict(parameters=1, latency_ms=1.0)) is near
    assert nearest([near, better], dict(parameters=1, latency_ms=1.0)) is better


def test_rows():
    """Latency is the ratio times the anchor's median, not what the clock showed; with a head, counts are with it."""
    measured = content()
    assert cells(measured) == [
        'onnxruntime/1', 'onnxruntime/8', 'openvino/1', 'onnxruntime_ssdlite/1', 'onnxruntime_deeplabv3/1']
    assert title('onnxruntime_ssdlite/1') == 'ONNX Runtime, SSDLite, batch 1'
    alone, scaled, detector = (next(each for each in found if each.model.build == 'mvit3_xs') for found in (
        rows(measured, 'onnxruntime/1'), rows(measured, 'onnxruntime/1', 1.5), rows(measured, 'onnxruntime_ssdlite/1')))
    assert (alone.parameters, alone.multiply_adds, alone.latency_ms) == (2_500_000, 970_000_000, pytest.approx(12.0))
    assert scaled.latency_ms == pytest.approx(6.0)
    assert (detector.parameters, detector.multiply_adds, detector.latency_ms) == (
        3_000_000, 1_940_000_000, pytest.approx(36.0))


def test_a_model_that_one_runtime_refuses():
    """It stays among the backbones if another runtime has it."""
    measured = content()
    del measured['models']['mvit3_xs']['cells']['onnxruntime']
    assert {each.model.build for each in backbones(measured)} == set(measured['models'])
    assert 'mvit3_xs' not in {each.model.build for each in rows(measured, 'onnxruntime/1')}
