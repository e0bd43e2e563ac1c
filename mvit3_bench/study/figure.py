"""The learning curves of the study, as svg: a panel for each data set, a colour for each model, a line for each seed."""
from pathlib import Path

from ..paper.figure import svg_text
from .claims import CLASSIFICATION, DATA, DETECTION, LATER_COSINE, PUBLISHED_COSINE, SEGMENTATION, label
from .outcome import Outcome

_PANELS = ((CLASSIFICATION,), (DETECTION,), (SEGMENTATION,), (PUBLISHED_COSINE, LATER_COSINE))


def svg(outcome: Outcome) -> str:
    """The figure, its text as text, the same for the same records."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    figure = Figure(figsize=(11, 8.4), layout='constrained')
    FigureCanvasSVG(figure)
    models = list(dict.fromkeys(run.backbone for run in outcome.suite.runs))  # a model has one colour in all panels
    for axis, configs in zip(figure.subplots(2, 2).flat, _PANELS, strict=True):
        lines = [(config, model) for config in configs for model in models]
        for number, (config, model) in enumerate(lines):
            records = [outcome.records[run.name] for run in outcome.runs(config, model) if run.name in outcome.records]
            for place, record in enumerate(records):
                name = label(model) if len(configs) == 1 else f'{label(model)}, {Path(config).stem}'
                axis.plot(record.arrays['epochs'], record.arrays['validation'], color=f'C{number}', lw=1.1,
                          label=None if place else name)
        data, metric = DATA[configs[0]]
        axis.set(xlabel='epoch', title=f'{data}: validation {metric} (%)' + ', the schedule' * (len(configs) > 1))
        axis.grid(alpha=0.3)
        if axis.lines:
            axis.legend(fontsize=7, loc='lower right')
    return svg_text(figure)
