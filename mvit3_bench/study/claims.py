"""What the study compares: pairs of models trained with one recipe, and what the authors published of the same pair."""
from dataclasses import dataclass

from ..paper.published import published
from ..paper.tables import model_name

SUITE = 'study'  # configs/suite/study.yaml
CLASSIFICATION, DETECTION, SEGMENTATION = (f'study/{name}.py' for name in ('cifar10', 'bccd', 'camvid'))
PUBLISHED_COSINE, LATER_COSINE = (f'study/{name}.py' for name in ('cifar10_published_cosine', 'cifar10_cosine_after_warmup'))
# config -> data and metric
DATA = {CLASSIFICATION: ('CIFAR-10', 'top-1'), DETECTION: ('BCCD', 'AP'), SEGMENTATION: ('CamVid', 'mIoU'),
        PUBLISHED_COSINE: ('CIFAR-10', 'top-1'), LATER_COSINE: ('CIFAR-10', 'top-1')}
# config -> number of neighbouring test images that resemble each other: CamVid's are frames of two drives, one a second
FRAMES = {SEGMENTATION: 20}
PAIRS = (('mvit3_xxs', 'mvit1_xxs'), ('mvit3_0.5', 'mvit2_0.5'))
OTHERS = ('timm/mobilenetv4_conv_small', 'timm/edgenext_xx_small')
# of v3, in the order of the paper's table 6
CHANGES = ('pointwise_fusion', 'fuse_local', 'input_residual', 'depthwise_local')
STEPS = tuple('mvit1_xxs' + (f'({", ".join(f"{change}=True" for change in CHANGES[:number])})' if number else '')
              for number in range(len(CHANGES) + 1))
# config of the study -> data set of the published figure, and its head
_PUBLISHED = {CLASSIFICATION: ('imagenet1k', ''), DETECTION: ('coco2017', 'ssdlite'), SEGMENTATION: ('voc2012', 'deeplabv3')}


@dataclass(frozen=True)
class Claim:
    """A model is better than another one.

    Args:
        config: Of both, as results name it.
        model: As ``--backbone`` takes it.
        other: The other.
        other_config: Of the other, where it differs.
    """
    config: str
    model: str
    other: str
    other_config: str = ''

    @property
    def cells(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """Config and backbone of both."""
        return (self.config, self.model), (self.other_config or self.config, self.other)


def of_pairs(config: str) -> list[Claim]:
    """v3 against v1 and v2 of the same size."""
    return [Claim(config, *pair) for pair in PAIRS]


def of_ablation() -> list[Claim]:
    """Each change against the step before it, and the widths of v3 against the last step."""
    return [Claim(CLASSIFICATION, step, before) for before, step in zip(STEPS, (*STEPS[1:], 'mvit3_xxs'), strict=True)]


def of_all_changes() -> Claim:
    """The four changes together, at the widths of v1; not in the plan, whose criteria ask for it."""
    return Claim(CLASSIFICATION, STEPS[-1], STEPS[0])


def of_others() -> list[Claim]:
    """v3 against models of other authors."""
    return [Claim(CLASSIFICATION, 'mvit3_xxs', other) for other in OTHERS]


def of_schedule() -> Claim:
    """The cosine after the warm-up against the published one."""
    return Claim(LATER_COSINE, 'mvit3_xxs', 'mvit3_xxs', PUBLISHED_COSINE)


def every_claim() -> list[Claim]:
    """All of them."""
    pairs = [claim for config in _PUBLISHED for claim in of_pairs(config)]
    return [*pairs, *of_ablation(), of_all_changes(), *of_others(), of_schedule()]


def label(model: str) -> str:
    """How a table calls a model: that of the paper by its name, a step by its number."""
    if model in STEPS[1:]:
        return f'step {STEPS.index(model)}'
    family, _, arch = model.partition('_')
    return model_name(family, arch) if family.startswith('mvit') else model


def published_difference(claim: Claim) -> tuple[float, str] | None:
    """What the authors' figures of a pair differ by, in points, and on which data; None where there are none."""
    dataset, head = _PUBLISHED.get(claim.config, ('', ''))
    values = [row.value for model in (claim.model, claim.other) for row in published()
              if (row.dataset, row.head, f'{row.family}_{row.model}') == (dataset, head, model)]
    return (values[0] - values[1], dataset) if len(values) == 2 else None
