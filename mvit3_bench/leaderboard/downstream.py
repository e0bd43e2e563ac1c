"""Published detectors and segmentors, ours and those of others."""
from collections import defaultdict

from ..paper.published import published
from .models import Downstream, downstream, models

_SIZES = dict(detection=320, segmentation=512)  # of our published figures


def everything() -> list[Downstream]:
    """Those of our backbones on the leaderboard, as the paper's tables have them, then those of others."""
    names = {each.build: each.name for each in models()}
    ours = [Downstream(name, each.task, each.dataset, each.head, each.metric, each.value, each.params_M, each.flops_M,
                       _SIZES[each.task], '', each.source)
            for each in published() if each.head and (name := names.get(f'{each.family}_{each.model}'))]
    return [*ours, *downstream()]


def best(head: str) -> dict[str, str]:
    """Name of a backbone -> its highest published figures with a head: ``76.0 (voc2012), 35.1 (ade20k)``."""
    found = defaultdict(dict)
    for each in everything():
        if each.head == head:
            its = found[each.model]
            its[each.dataset] = max(each.value, its.get(each.dataset, 0))
    return {model: ', '.join(f'{value:g} ({dataset})' for dataset, value in its.items()) for model, its in found.items()}
