"""The paper's figure 1: published top-1 accuracy against parameters and multiply-adds, as svg."""
import io

from .counts import counts
from .published import Published, others, published
from .tables import Measured

TITLE = 'Figure 1: accuracy against size and cost'
_OTHERS = [each for each in others() if each.figure1]
NOTES = (
    'Filled: published figures of ImageNet-1K. Crosses: measured here on all of its validation images, if there is any. '
    "Parameters and multiply-adds, in the paper's convention, are those of the built models.",
    'Grey: light models of other authors as they published them, at their own input sizes and in their own convention of '
    'multiply-adds: ' + '; '.join(f'{", ".join(each.model for each in rows)} ({source})' for source, rows in (
        (source, [each for each in _OTHERS if each.source == source])
        for source in dict.fromkeys(each.source for each in _OTHERS))) + '.')
_SERIES = dict(mvit1='MobileViTv1', mvit2='MobileViTv2', l2='MobileViTv3 L2', v1type='MobileViTv3, v1 type',
               v2type='MobileViTv3, v2 type')
_TICKS = dict(parameters=(1, 2, 5, 10, 20), published=(100, 200, 500, 1000, 2000, 5000))
# where labels stand beside their points: v3 lies above the others, its v2 type close to v2
_BELOW = dict(xytext=(4, -10))
_LABEL = dict(l2=dict(xytext=(-5, -8), ha='right'), v1type=dict(xytext=(0, 7), ha='center'), v2type=dict(xytext=(6, -2.5)))
_THEIRS = dict(parameters=dict(xytext=(4, -2)), published=dict(xytext=(-4, -2), ha='right'))
_CROWDED = {  # where points are close, or one is at the edge
    ('MobileNetV2 1.4', 'parameters'): dict(xytext=(4, -10)),
    ('MobileNetV2 1.4', 'published'): dict(xytext=(-2, -10), ha='right'),
    ('MobileNetV3-Small', 'published'): dict(xytext=(4, -2)),
    ('MobileNetV3-Large', 'parameters'): dict(xytext=(4, 1)),
    ('EdgeNeXt-S', 'parameters'): dict(xytext=(-5, 0), ha='right')}
_PAPER = dict(facecolor='white', edgecolor='none', alpha=0.75, pad=0.3)  # lines that pass behind a label


def _series(row: Published) -> str:
    if row.family != 'mvit3':
        return row.family
    return 'l2' if row.model.endswith('_l2') else 'v2type' if row.model[0].isdigit() else 'v1type'


def svg(measured: Measured) -> str:
    """The figure, its text as text, the same for the same data."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    rows = [row for row in published() if row.dataset == 'imagenet1k']
    figure = Figure(figsize=(11, 4.6), layout='constrained')
    FigureCanvasSVG(figure)
    axes = figure.subplots(1, 2, sharey=True)
    axes[0].set(xlabel='parameters (M)', ylabel='top-1 (%), published', xscale='log')
    axes[1].set(xlabel="multiply-adds at 256x256 (M), paper's convention", xscale='log')
    for axis, cost in zip(axes, ('parameters', 'published'), strict=True):
        for name, label in _SERIES.items():
            mine = sorted((getattr(counts()[row.config][''], cost) / 1e6, row.value, row.model) for row in rows
                          if _series(row) == name)
            xs, ys, models = zip(*mine, strict=True)
            axis.plot(xs, ys, 'o-', markersize=5, label=f'{label} (published)')
            for x, y, model in zip(xs, ys, models, strict=True):
                axis.annotate(model.upper().replace('_', '-'), (x, y), textcoords='offset points',
                              fontsize=7, bbox=_PAPER, **_LABEL.get(name, _BELOW))
        theirs = [(getattr(each, dict(parameters='params_M', published='flops_M')[cost]), each.top1, each.model)
                  for each in _OTHERS]
        for x, y, model in filter(lambda point: point[0], theirs):
            axis.plot(x, y, 'o', color='grey', markersize=4)
            axis.annotate(model, (x, y), textcoords='offset points', fontsize=6, color='dimgrey', bbox=_PAPER,
                          **_CROWDED.get((model, cost), _THEIRS[cost]))
        found = [(getattr(counts()[row.config][''], cost) / 1e6, result.percent('top1')) for row in rows
                 if (result := measured.of(row.config, row.dataset, row.metric))]
        if found:
            axis.plot(*zip(*found, strict=True), 'kx', label='measured here')
        axis.grid(alpha=0.3)
        axis.margins(x=0.12)
        axis.set_xticks(_TICKS[cost], map(str, _TICKS[cost]))
        axis.xaxis.set_minor_formatter('')
    axes[0].legend(fontsize=8)
    return svg_text(figure)


def svg_text(figure) -> str:
    """A figure of matplotlib's as svg, its text as text, the same for the same figure."""
    import matplotlib
    text = io.StringIO()
    with matplotlib.rc_context({'svg.fonttype': 'none', 'svg.hashsalt': 'mvit3_bench'}):
        figure.savefig(text, format='svg', metadata=dict(Date=None, Creator=None))
    return text.getvalue()
