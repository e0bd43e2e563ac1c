"""Top-1 against a cost, with the Pareto front, as svg: every model a point, MobileViTv3 and the front with their names."""
import itertools
from collections.abc import Sequence

from ..paper.figure import svg_text
from .fronts import pareto_front
from .measured import Row, ours

_SIZE = (8, 5.2)  # inches
_TICKS = [factor * 10 ** power for power in range(6) for factor in (1, 2, 5)]
# where a label may stand, in points from its point, the nearest places first, above the front; the further ones get a line
_PLACES = [(reach * x, reach * y) for reach in (5, 10, 16, 23, 31, 40) for x, y in (
    (-0.8, 1), (-1.2, 0), (0, 1.2), (0.8, 1), (1.2, 0), (0.8, -1), (0, -1.2), (-0.8, -1))]


def svg(rows: Sequence[Row], cost: str, label: str) -> str:
    """The figure, its text as text, the same for the same data.

    Args:
        rows: Of one table.
        cost: One of ``fronts.COSTS``.
        label: What it is, with its unit: millions of parameters and multiply-adds, milliseconds.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    figure = Figure(figsize=_SIZE, layout='constrained')
    FigureCanvasSVG(figure)
    axis = figure.subplots()
    factor = 1 if cost == 'latency_ms' else 1e-6
    points = {row: (getattr(row, cost) * factor, row.model.top1) for row in rows}
    front = sorted(pareto_front(rows, [cost]), key=points.get)
    axis.step(*zip(*map(points.get, front), strict=True), where='post', color='black', lw=1, alpha=0.6, label='Pareto front')
    for name, color, mine in (
            ('others', 'darkgrey', [row for row in rows if not row.model.build.startswith('mvit')]),
            ('MobileViTv1, v2', 'tab:blue', [row for row in rows if row.model.build.startswith(('mvit1', 'mvit2'))]),
            ('MobileViTv3', 'tab:red', list(filter(ours, rows)))):
        if mine:
            axis.plot(*zip(*map(points.get, mine), strict=True), 'o', color=color, markersize=5, label=name)
    axis.set(xlabel=label, ylabel='top-1 (%)', xscale='log')
    low, high = min(x for x, _ in points.values()), max(x for x, _ in points.values())
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    axis.set_xticks(ticks, map(str, ticks))
    axis.xaxis.set_minor_formatter('')
    axis.margins(x=0.08)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, loc='lower right')
    _label(axis, {points[row]: row for row in itertools.chain(filter(ours, rows), front)}, list(points.values()),
           [points[row] for row in front])
    return svg_text(figure)


def _label(axis, named: dict[tuple[float, float], Row], points: list[tuple[float, float]],
           front: list[tuple[float, float]]) -> None:
    """Write the name of each point at the place where it covers the fewest points, names and steps of the front."""
    from matplotlib.transforms import Bbox
    figure = axis.figure
    figure.draw_without_rendering()
    taken = [Bbox.from_extents(x - 4, y - 4, x + 4, y + 4) for x, y in axis.transData.transform(points)]
    for (x, y), (right, top) in itertools.pairwise(axis.transData.transform(front)):
        taken += [Bbox.from_extents(x, y - 1, right, y + 1), Bbox.from_extents(right - 1, y, right + 1, top)]
    taken.append(axis.get_legend().get_window_extent())
    for point, row in sorted(named.items()):
        best = None
        for place in _PLACES:
            text = _write(axis, row, point, place)
            box = text.get_window_extent()
            text.remove()
            inside = axis.bbox.x0 <= box.x0 and box.x1 <= axis.bbox.x1 and axis.bbox.y0 <= box.y0 and box.y1 <= axis.bbox.y1
            covered = sum(box.overlaps(other) for other in taken) + 100 * (not inside)
            if best is None or covered < best[0]:
                best = covered, place, box
            if not covered:
                break
        taken.append(best[2])
        line = dict(arrowstyle='-', lw=0.4, color='grey', shrinkA=0, shrinkB=2)
        _write(axis, row, point, best[1], arrowprops=line if max(map(abs, best[1])) >= 10 else None)


def _write(axis, row: Row, point: tuple[float, float], place: tuple[float, float], **arguments):
    """The name of a model at a place, as a text of matplotlib."""
    x, _ = place
    text = axis.annotate(
        row.model.name, point, place, textcoords='offset points', fontsize=7.5, va='center',
        ha='left' if x > 0 else 'right' if x < 0 else 'center', color='tab:red' if ours(row) else 'black', **arguments)
    text.set_in_layout(False)
    return text
