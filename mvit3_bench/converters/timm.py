"""Names of timm's MobileViTs (``mobilevit_{xxs,xs,s}``, ``mobilevitv2_{050..200}``) <-> ours.

Written from the names of timm's modules, and tested against its forward pass.
"""
from .published import StateDict, convert, within


def units(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Rules of convolutions and norms, which timm calls ``conv`` and ``bn``, for pairs of prefixes."""
    return [(f'{timm}.{part}.', f'{ours}.{our_part}.') for timm, ours in pairs
            for part, our_part in [('conv', 'conv'), ('bn', 'norm')]]


_STEM = units([('stem', 'stem')])
_EXPANSION = units([('final_conv', 'expansion.0')])
_BLOCK = units([
    ('conv1_1x1', 'expand'),
    ('conv2_kxk', 'depthwise'),
    ('conv3_1x1', 'project'),
    ('conv_kxk', 'local_conv'),
    ('conv_proj', 'proj'),
    ('conv_fusion', 'fusion'),
]) + [('conv_1x1.', 'local_proj.')] + within(('transformer.#.', 'transformer.#.'), [
    ('norm1.', 'attn_norm.'),
    ('attn.qkv.', 'attn.qkv.'),  # multi-head attention
    ('attn.proj.', 'attn.proj.'),
    ('attn.qkv_proj.', 'attn.qkv.'),  # separable attention
    ('attn.out_proj.', 'attn.proj.'),
    ('norm2.', 'ffn_norm.'),
    ('mlp.fc1.', 'fc1.'),
    ('mlp.fc2.', 'fc2.'),
])


def from_timm(state_dict: StateDict, task: str) -> StateDict:
    """Rename a state dict of timm so that it loads with ``strict=True``.

    Args:
        state_dict: Tensors under timm's names, of a whole classifier, with or without its linear layer.
        task: ``'backbone'``: for the backbone classes (the 1x1 expansion and the classifier are left out);
            ``'classification'``: for a classifier, as in :func:`.published.from_published`.

    Returns:
        The same tensors under our names.

    Raises:
        ValueError: A tensor has no place in such a model, or the task is not one of the two.
    """
    if task not in ('backbone', 'classification'):
        raise ValueError(f"task={task!r} is not possible for timm's weights; allowed: 'backbone', 'classification'")
    backbone = list(_STEM)
    for stage in range(5):
        # timm has the final norm beside the layers; ours is the last entry of the list
        depth = len({key.split('.')[4] for key in state_dict if key.startswith(f'stages.{stage}.1.transformer.')})
        backbone += within((f'stages.{stage}.#.', f'layer{stage + 1}.#.'), [*_BLOCK, ('norm.', f'transformer.{depth}.')])
    if task == 'backbone':
        return convert(state_dict, backbone, task, lambda key: key.startswith(('final_conv.', 'head.')))
    rules = within(('', 'backbone.'), backbone + _EXPANSION) + [('head.fc.', 'head.fc.')]
    return convert(state_dict, rules, task, lambda key: False)
