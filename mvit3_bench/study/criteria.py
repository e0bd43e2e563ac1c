"""What would count against v3, as the plan says it, and whether it came out."""
from collections.abc import Mapping

from . import claims
from .claims import Claim
from .outcome import Comparison
from .statistics import sign

OPEN = 'open: not all runs are done'


def rows(compared: Mapping[Claim, Comparison]) -> list[tuple[str, str]]:
    """Each criterion of the plan, and whether it is met."""
    def of(found: list[Claim]) -> list[Comparison]:
        return [compared[claim] for claim in found]
    return [*((f'1: {" against ".join(each.names)}: worse, or undecided by an interval narrower than the published gain',
               _pair(each)) for each in of(claims.of_pairs(claims.CLASSIFICATION))),
            ('2: a step that is worse than the one before it', _worse(of(claims.of_ablation()[:-1]))),
            ('2: the widths give all of the gain',
             _widths(*(compared[claim] for claim in (
                 claims.of_all_changes(), claims.of_ablation()[-1], claims.of_pairs(claims.CLASSIFICATION)[0])))),
            ('3: v3 is worse in another task',
             _worse(of([*claims.of_pairs(claims.DETECTION), *claims.of_pairs(claims.SEGMENTATION)])))]


def _pair(comparison: Comparison) -> str:
    found, (gain, _) = comparison.difference, claims.published_difference(comparison.claim)
    if found is None:
        return OPEN
    width, where = found.high - found.low, 'above' if gain > found.high else 'below' if gain < found.low else 'within'
    undecided = not sign(found)
    met = sign(found) < 0 or undecided and width < gain
    said = f'undecided, by an interval {width:.2f} wide' if undecided else 'worse' if met else 'better'
    return f'{"met" if met else "not met"}: {said}; the published {gain:+.2f} lies {where} the interval'


def _worse(comparisons: list[Comparison]) -> str:
    worse = [each for each in comparisons if each.difference and sign(each.difference) < 0]
    if worse:
        found = (f'{" against ".join(each.names)} ({claims.DATA[each.claim.config][0]}, {each.difference.value:+.2f})'
                 for each in worse)
        return f'met: {", ".join(found)}'
    return OPEN if any(each.difference is None for each in comparisons) else 'not met'


def _widths(changes: Comparison, widths: Comparison, together: Comparison) -> str:
    if None in (changes.difference, widths.difference, together.difference):
        return OPEN
    met = changes.difference.value <= 0 < widths.difference.value
    return (f'{"met" if met else "not met"}: the four changes alone give {changes.difference.value:+.2f} points, '
            f'the widths {widths.difference.value:+.2f}, both together {together.difference.value:+.2f}')
