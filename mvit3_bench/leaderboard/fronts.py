"""Pareto fronts: models that no other one beats in accuracy and cost; models within limits, and the nearest to them."""
from collections.abc import Collection, Iterable

from .measured import Row

COSTS = ('parameters', 'multiply_adds', 'latency_ms')  # fields of a row


def pareto_front(rows: Iterable[Row], costs: Collection[str]) -> list[Row]:
    """The rows that no other row dominates, the highest top-1 first.

    One row dominates another if its top-1 is as high at least, all its costs are as low at least, and one of them is better.
    Of rows that are equal in everything, all stay.

    Args:
        rows: Of any number.
        costs: Which of ``COSTS`` count.
    """
    def values(row: Row) -> tuple[float, ...]:
        return -row.model.top1, *(getattr(row, cost) for cost in costs)

    points = [(values(row), row) for row in rows]
    front = [(mine, row) for mine, row in points
             if not any(other != mine and all(a <= b for a, b in zip(other, mine, strict=True)) for other, _ in points)]
    return [row for _, row in sorted(front, key=lambda pair: pair[0])]


def excess(row: Row, limits: dict[str, float]) -> dict[str, float]:
    """The limits that a row is beyond, with the fraction by which it is: 0.25 is a quarter more than the limit.

    Args:
        row: A model.
        limits: Cost -> the highest that is allowed, greater than 0.
    """
    over = {cost: getattr(row, cost) / limit - 1 for cost, limit in limits.items()}
    return {cost: value for cost, value in over.items() if value > 0}


def within(rows: Iterable[Row], limits: dict[str, float]) -> list[Row]:
    """The rows that keep all limits."""
    return [row for row in rows if not excess(row, limits)]


def nearest(rows: Iterable[Row], limits: dict[str, float]) -> Row:
    """The row that is the least beyond the limit that it exceeds the most; of equal ones that of the highest top-1."""
    return min(rows, key=lambda row: (max(excess(row, limits).values(), default=0), -row.model.top1))
