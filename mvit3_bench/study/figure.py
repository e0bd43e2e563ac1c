"""The learning curves of the study, as svg: a panel for each data set, a colour for each model, a line for each seed."""

from ..paper.figure import svg_text
from .claims import CLASSIFICATION, DATA, DETECTION, SEGMENTATION, label
from .outcome import Outcome

_PANELS = (CLASSIFICATION, DETECTION, SEGMENTATION)


def svg(outcome: Outcome) -> str:
    """The figure, its text as text, the same for the same records."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    figure = Figure(figsize=(13, 4.6), layout='constrained')
    FigureCanvasSVG(figure)
    models = list(dict.fromkeys(run.backbone for run in outcome.suite.runs))
    for axis, config in zip(figure.subplots(1, len(_PANELS)), _PANELS, strict=True):
        for number, model in enumerate(models):
            records = [outcome.records[run.name] for run in outcome.runs(config, model) if run.name in outcome.records]
            for place, record in enumerate(records):
                axis.plot(record.arrays['epochs'], record.arrays['validation'], color=f'C{number}', lw=1.1,
                          label=None if place else label(model))
        data, metric = DATA[config]
        axis.set(xlabel='epoch', title=f'{data}: validation {metric} (%)')
        axis.grid(alpha=0.3)
        if axis.lines:
            axis.legend(fontsize=7, loc='lower right')
    return svg_text(figure)
