"""The scheduler of the recipes where epochs differ in length, a run is resumed, or a setting is impossible.

Its values in the recipes are compared with the published ones in test_fidelity_rates.py.
"""
import copy
import itertools

import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS

import mvit3_bench.registry  # noqa: F401  registers the schedulers
from mvit3_bench.engine.resuming import remap_scheduler_state, set_values
from mvit3_bench.errors import UsageError

LENGTHS = (4, 7, 2, 5)
CONFIG = dict(type='mvit3_bench.WarmupCosineLR', warmup_iters=6, warmup_start_factor=0.1, eta_min_ratio=0.01,
              end=len(LENGTHS), by_epoch=True, convert_to_iter_based=True)
PLACES = [(epoch, batch) for epoch, length in enumerate(LENGTHS) for batch in range(length)]


def build(length: int = LENGTHS[0], **changes):
    """A scheduler of two groups of parameters, the second with ten times the rate of the first."""
    optimizer = torch.optim.SGD([dict(params=[torch.nn.Parameter(torch.zeros(1))], lr=lr) for lr in (0.5, 5.0)])
    scheduler = PARAM_SCHEDULERS.build(CONFIG | changes, default_args=dict(optimizer=optimizer, epoch_length=length))
    optimizer.step()
    return scheduler


def rates(scheduler) -> list[float]:
    """What the optimiser's groups have."""
    return [group['lr'] for group in scheduler.optimizer.param_groups]


def train(scheduler, lengths=LENGTHS, first=(0, 0)) -> list[list[float]]:
    """The rates at each iteration from a place on, the scheduler told of each epoch as the training loop does."""
    found = []
    for epoch, length in itertools.islice(enumerate(lengths), first[0], None):
        done = first[1] if epoch == first[0] else 0
        scheduler.begin_epoch(epoch, done, length)
        for _ in range(length - done):
            found.append(rates(scheduler))
            scheduler.step()
    return found


def expected(epoch: int, iteration: int) -> float:
    """The closed form, as a share of the rate of a group."""
    if iteration < 6:
        return 0.1 + 0.9 * iteration / 6
    return 0.01 + 0.99 * (1 + torch.cos(torch.tensor(epoch * torch.pi / 4, dtype=torch.float64)).item()) / 2


def test_epochs_of_different_length():
    """The warm-up counts iterations, the cosine epochs, however long they are."""
    found = train(build())
    assert len(found) == len(PLACES) == sum(LENGTHS)
    for iteration, ((epoch, _), pair) in enumerate(zip(PLACES, found, strict=True)):
        share = expected(epoch, iteration)
        assert pair == pytest.approx([round(0.5 * share, 8), round(5 * share, 8)], rel=1e-12), iteration


@pytest.mark.parametrize('place', range(1, len(PLACES)))
def test_state(place):
    """From its state a scheduler goes on with the same rates, to the bit, from within an epoch and between two."""
    whole, scheduler = train(build()), build()
    epoch, batch = PLACES[place]
    train(scheduler, (*LENGTHS[:epoch], batch) if batch else LENGTHS[:epoch])
    if batch:  # within the epoch the scheduler knew its whole length
        scheduler.begin_epoch(epoch, batch, LENGTHS[epoch])
    resumed = build(9)
    resumed.load_state_dict(copy.deepcopy(scheduler.state_dict()))
    assert resumed.state_dict() == scheduler.state_dict()
    set_values([resumed])
    assert train(resumed, first=(epoch, batch)) == whole[place:]


@pytest.mark.parametrize('place', range(1, len(PLACES)))
def test_carried_over(place):
    """With other numbers of batches than in the checkpoint, the rates are those of a run that had them from the start."""
    before, scheduler = build(50), build()
    train(before, (50, 50))
    epoch, batch = PLACES[place]
    state, = remap_scheduler_state([scheduler], [before.state_dict()], list(LENGTHS[:epoch + 1]), batch)
    scheduler.load_state_dict(state)
    set_values([scheduler])
    assert train(scheduler, first=(epoch, batch)) == train(build())[place:]


def test_beyond_the_end():
    """More epochs than the schedule was made for stay at the minimum."""
    found = train(build(), (*LENGTHS, 3, 3))[-6:]
    assert found == [pytest.approx([0.005, 0.05], rel=1e-12)] * 6


def test_state_of_another_scheduler():
    """It is refused, where MMEngine would take it up."""
    scheduler = build()
    other = PARAM_SCHEDULERS.build(dict(type='LinearLR', start_factor=0.1, end=5, by_epoch=False),
                                   default_args=dict(optimizer=scheduler.optimizer))
    with pytest.raises(UsageError, match='another schedule of the learning rate'):
        scheduler.load_state_dict(other.state_dict())


@pytest.mark.parametrize('changes, length, part', [
    (dict(warmup_iters=28), 7, 'a warm-up of 28 iterations leaves nothing of 4 epochs of 7 batches, which are 28'),
    (dict(by_epoch=False, convert_to_iter_based=False), 7, 'needs by_epoch=True and convert_to_iter_based=True'),
    (dict(convert_to_iter_based=False), 7, 'needs by_epoch=True and convert_to_iter_based=True')])
def test_impossible(changes, length, part):
    """A warm-up as long as the training, and a config that says not how long epochs are."""
    with pytest.raises(UsageError, match=part):
        build(length, **changes)
