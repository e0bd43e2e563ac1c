"""Where MobileViTv3 leads and where it does not: sentences and a table, computed from what was published and measured."""
from collections.abc import Sequence
from statistics import median

from .fronts import pareto_front
from .measured import Row, ours

BANDS = ((1, 3), (3, 5), (5, 6))  # millions of parameters
COLUMNS = ('model', 'top-1 (%)', 'parameters (M)', 'best other with no more parameters', 'fewest multiply-adds at its top-1',
           'shortest latency at its top-1')
NONE = '-'
_COSTS = dict(parameters='Parameters', multiply_adds='Multiply-adds', latency_ms='Latency')


def others(rows: Sequence[Row]) -> list[Row]:
    """The models that are no MobileViTv3."""
    return [row for row in rows if not ours(row)]


def best_rival(row: Row, rows: Sequence[Row], cost: str) -> Row | None:
    """Of the others that cost no more, the one of the highest top-1; None if all cost more."""
    return max((each for each in others(rows) if getattr(each, cost) <= getattr(row, cost)),
               key=lambda each: each.model.top1, default=None)


def cheapest_rival(row: Row, rows: Sequence[Row], cost: str) -> Row | None:
    """Of the others whose top-1 is at least as high, the one that costs least; None if all are below."""
    return min((each for each in others(rows) if each.model.top1 >= row.model.top1),
               key=lambda each: getattr(each, cost), default=None)


def comparison(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Cells of ``COLUMNS`` for each MobileViTv3, the smallest first."""
    return [(row.model.name, f'{row.model.top1:.2f}', f'{row.parameters / 1e6:.2f}', _difference(row, rows),
             _times(row, rows, 'multiply_adds'), _times(row, rows, 'latency_ms'))
            for row in sorted(filter(ours, rows), key=lambda row: row.parameters)]


def _difference(row: Row, rows: Sequence[Row]) -> str:
    rival = best_rival(row, rows, 'parameters')
    if not rival:
        return NONE
    return f'{rival.model.name}: {round(rival.model.top1 - row.model.top1, 2) + 0.0:+.2f}'  # + 0.0: no -0.00


def _times(row: Row, rows: Sequence[Row], cost: str) -> str:
    rival = cheapest_rival(row, rows, cost)
    return f'{rival.model.name}: {getattr(rival, cost) / getattr(row, cost):.2f} times' if rival else NONE


def sentences(panels: Sequence[tuple[Sequence[Row], str]]) -> list[str]:
    """What the figures say: a sentence for each band of sizes, and for each cost.

    Args:
        panels: Rows and the cost that they are compared in; the first are backbones as classifiers.
    """
    rows = panels[0][0]
    bands = [_band(low, high, [row for row in rows if low <= row.parameters / 1e6 <= high]) for low, high in BANDS]
    return [*filter(None, bands), *(
        _cost(name, cost, [each for each, its in panels if its == cost]) for cost, name in _COSTS.items())]


def _band(low: float, high: float, rows: list[Row]) -> str | None:
    """Accuracy and multiply-adds of the models of like size; None where there are not both ours and others."""
    mine, theirs = list(filter(ours, rows)), others(rows)
    if not mine or not theirs:
        return None
    best, rival = (max(each, key=lambda row: row.model.top1) for each in (mine, theirs))
    lead = best.model.top1 - rival.model.top1
    how = f'leads by {lead:.2f} points' if lead > 0 else f'is {-lead:.2f} points behind' if lead < 0 else 'is level'
    adds, their_adds = (median(row.multiply_adds for row in each) / 1e6 for each in (mine, theirs))
    return (f'**{low} to {high} M parameters:** MobileViTv3 {how}. Its best of {len(mine)}, {_named(best)}, stands against '
            f'{_named(rival)}, the best of {len(theirs)} others. In the median its models need {adds:,.0f} M multiply-adds, '
            f'the others {their_adds:,.0f} M: {adds / their_adds:.1f} times as many.')


def _cost(name: str, cost: str, measurements: list[Sequence[Row]]) -> str:
    """Which of ours are on a front, and how much less others cost that are at least as accurate."""
    mine = [row.model.name for row in measurements[0] if ours(row)]
    on_front = {row.model.name for rows in measurements for row in pareto_front(rows, [cost]) if ours(row)}
    ratios = [ratio for rows in measurements for ratio in shares(rows, cost)]
    where = 'the front' if len(measurements) == 1 else f'one of the {len(measurements)} fronts'
    names = f' ({", ".join(each for each in mine if each in on_front)})' if on_front else ''
    return f'**{name}:** {len(on_front) or "none"} of {len(mine)} MobileViTv3 are on {where}{names}.' + (
        f' The cheapest other model of at least the same top-1 takes, in the median, {median(ratios):.2f} times as much '
        f'({min(ratios):.2f} to {max(ratios):.2f}).' if ratios else '')


def shares(rows: Sequence[Row], cost: str) -> list[float]:
    """For each MobileViTv3, the cost of its :func:`cheapest_rival` as a fraction of its cost."""
    return [getattr(rival, cost) / getattr(row, cost) for row in filter(ours, rows)
            if (rival := cheapest_rival(row, rows, cost))]


def _named(row: Row) -> str:
    return f'{row.model.name} ({row.model.top1:.2f} %)'
