"""Parameters and multiply-adds of the model of every config, kept in ``counts.csv``.

Building all models takes a minute or two, so tables are made from the file. ``python -m mvit3_bench.paper.model_index``
writes it anew from the built models, and a test compares it with them.
"""
import csv
import functools
import io
from importlib.resources import files

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from ..engine.input_size import input_size
from ..models.complexity import Complexity, at_inference, count
from ..registry import MODELS

FILE = 'mvit3_bench/paper/counts.csv'
_FIELDS = ('parameters', 'multiply_adds', 'published')


def measure(cfg: Config) -> dict[str, Complexity]:
    """Build the model of a config, without values, and count it.

    Returns:
        Under ``''`` the model without its auxiliary head, which works in training only; of a classifier also its layers,
        under the names of the modules.
    """
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    counts = count(model, input_size(cfg))
    layers = {name: value for name, value in counts.items()
              if name == 'head' or name.startswith('backbone.') and name.count('.') == 1}
    return {'': at_inference(counts)} | (layers if 'head' in counts else {})


def to_csv(counts: dict[str, dict[str, Complexity]]) -> str:
    """The text of the file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(['config', 'module', *_FIELDS])
    for config, modules in counts.items():
        for module, value in modules.items():
            writer.writerow([config, module, *(getattr(value, field) for field in _FIELDS)])
    return text.getvalue()


@functools.cache
def counts() -> dict[str, dict[str, Complexity]]:
    """Path of a config below ``configs/`` -> module -> its counts, as :func:`measure` gives them; from the file."""
    found = {}
    with (files(__package__) / 'counts.csv').open(encoding='utf-8') as file:
        for row in csv.DictReader(file):
            found.setdefault(row['config'], {})[row['module']] = Complexity(*(int(row[field]) for field in _FIELDS))
    return found
