"""Names of the published checkpoints (MobileViTv1, v2, v3; CVNets layout) <-> ours.

A table of prefixes gives the names in both directions; ``#`` stands for a number, and the rest of a key (``weight``,
``norm.running_mean`` ...) is kept. It is written from the keys of the published state dicts alone.
"""
import re
from collections.abc import Callable

import torch
from torch import Tensor

from ..utils.text import shown

StateDict = dict[str, Tensor]

_BLOCK = ('layer_#.#.', 'layer#.#.')
_LAYER = ('layer_#.#.global_rep.#.', 'layer#.#.transformer.#.')


def within(outer: tuple[str, str], inner: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Put a prefix before both sides of each rule: the rules of a part become rules of the model that contains it."""
    return [(outer[0] + published, outer[1] + ours) for published, ours in inner]


# (published prefix, our prefix) of the backbone; the first that matches counts
_BACKBONE = [
    ('conv_1.block.', 'stem.'),
    *within(_BLOCK, [
        ('block.exp_1x1.block.', 'expand.'),
        ('block.conv_3x3.block.', 'depthwise.'),
        ('block.red_1x1.block.', 'project.'),
        ('conv_proj.block.', 'proj.'),
        ('fusion.block.', 'fusion.'),
    ]),
]
_V1_TYPE = _BACKBONE + within(_BLOCK, [
    ('local_rep.conv_3x3.block.', 'local_conv.'),
    ('local_rep.conv_1x1.block.conv.', 'local_proj.'),
]) + within(_LAYER, [
    ('pre_norm_mha.0.', 'attn_norm.'),
    ('pre_norm_mha.1.qkv_proj.', 'attn.qkv.'),
    ('pre_norm_mha.1.out_proj.', 'attn.proj.'),
    ('pre_norm_ffn.0.', 'ffn_norm.'),
    ('pre_norm_ffn.1.', 'fc1.'),
    ('pre_norm_ffn.4.', 'fc2.'),
    ('', ''),  # the final norm is the last entry of the same list on both sides
])
_V2_TYPE = _BACKBONE + within(_BLOCK, [
    ('local_rep.0.block.', 'local_conv.'),
    ('local_rep.1.block.conv.', 'local_proj.'),
]) + within(_LAYER, [
    ('pre_norm_attn.0.', 'attn_norm.'),
    ('pre_norm_attn.1.qkv_proj.block.conv.', 'attn.qkv.'),
    ('pre_norm_attn.1.out_proj.block.conv.', 'attn.proj.'),
    ('pre_norm_ffn.0.', 'ffn_norm.'),
    ('pre_norm_ffn.1.block.conv.', 'fc1.'),
    ('pre_norm_ffn.3.block.conv.', 'fc2.'),
    ('', ''),
])
_V1_EXPANSION = [('conv_1x1_exp.block.', 'expansion.0.')]


def _conv_modules(modules: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Convolution and norm of each module; those of mmseg's ConvModule are `conv` and `bn`."""
    return [(f'seg_head.{published}.block.{part}.', f'{ours}.{our_part}.')
            for published, ours in modules for part, our_part in [('conv', 'conv'), ('norm', 'bn')]]


_AUXILIARY = [*_conv_modules([('aux_head.0', 'auxiliary_head.convs.0')]),
              ('seg_head.aux_head.2.block.conv.', 'auxiliary_head.conv_seg.')]
_DEEPLABV3 = _conv_modules([
    ('aspp.aspp_layer.convs.4.aspp_pool.conv_1x1', 'decode_head.image_pool.1'),
    ('aspp.aspp_layer.convs.#', 'decode_head.aspp_modules.#'),
    ('aspp.aspp_layer.project', 'decode_head.bottleneck')])
_PSPNET = _conv_modules([
    ('psp_layer.psp_branches.#.1', 'decode_head.psp_modules.#.1'),
    ('psp_layer.fusion.0', 'decode_head.bottleneck')])

# the last level of SSDLite has no depthwise part; all six predict offsets and classes with one convolution
_SSDLITE = [
    (f'{published}.block.{part}.', f'{ours}.{our_part}.')
    for published, ours in [
        *((f'extra_layers.os_{64 << level}.{short}_conv', f'neck.extra_layers.{level}.{long}_conv')
          for level in range(3) for short, long in [('dw', 'depthwise'), ('pw', 'pointwise')]),
        ('extra_layers.os_-1.1', 'neck.extra_layers.3.1'),
        ('ssd_heads.#.proj_layer', 'neck.projections.#'),
        ('ssd_heads.#.loc_cls_layer.dw_conv', 'bbox_head.depthwise.#')]
    for part, our_part in [('conv', 'conv'), ('norm', 'bn')]
] + [
    ('ssd_heads.5.loc_cls_layer.block.conv.', 'bbox_head.predictors.5.'),
    ('ssd_heads.#.loc_cls_layer.pw_conv.block.conv.', 'bbox_head.predictors.#.'),
]


def _rules(task: str, state_dict: StateDict) -> list[tuple[str, str]]:
    """The table for a state dict under either names."""
    separable = any('.pre_norm_attn.' in key or key.endswith('.attn.qkv.weight') and value.ndim == 4
                    for key, value in state_dict.items())
    backbone = _V2_TYPE if separable else _V1_TYPE
    if task == 'backbone':
        return backbone
    if task == 'classification':
        return within(('', 'backbone.'), backbone if separable else backbone + _V1_EXPANSION) + [
            ('classifier.1.' if separable else 'classifier.fc.', 'head.fc.')]
    if task == 'segmentation':
        classifier = 'seg_head.classifier.block.conv.' if separable else 'seg_head.classifier.classifier.block.conv.'
        pyramid = any('.psp_layer.' in key or '.psp_modules.' in key for key in state_dict)
        return within(('encoder.', 'backbone.'), backbone) + _AUXILIARY + (_PSPNET if pyramid else _DEEPLABV3) + [
            (classifier, 'decode_head.conv_seg.')]
    if task == 'detection':
        return within(('encoder.', 'backbone.'), backbone) + _SSDLITE
    raise ValueError(f"task={task!r} is not possible; allowed: 'backbone', 'classification', 'detection', 'segmentation'")


def _rename(key: str, rules: list[tuple[str, str]]) -> str | None:
    for source, target in rules:
        match = re.match(re.escape(source).replace(r'\#', '#').replace('#', r'(\d+)'), key)
        if match:
            for number in match.groups():
                target = target.replace('#', number, 1)
            return target + key[match.end():]
    return None


def convert(state_dict: StateDict, rules: list[tuple[str, str]], task: str, drop: Callable[[str], bool]) -> StateDict:
    """Rename the tensors of a state dict.

    Args:
        state_dict: The tensors, which are not copied.
        rules: Pairs (prefix, replacement); the first that matches is applied, and ``#`` stands for a number.
        task: Task of the model, for the message of an error.
        drop: Returns for a key whether to leave the tensor out.

    Raises:
        ValueError: No rule matches a key, or two keys get the same name.
    """
    converted, left_over = {}, []
    for key, value in state_dict.items():
        if drop(key):
            continue
        renamed = _rename(key, rules)
        if renamed is None or renamed in converted:
            left_over.append(key)
        else:
            converted[renamed] = value
    if left_over:
        raise ValueError(f'{len(left_over)} of {len(state_dict)} tensors have no place in a MobileViT for '
                         f'task={task!r}: {shown(left_over)}')
    return converted


def _roll_bottleneck(state_dict: StateDict, shift: int) -> StateDict:
    """Move the ASPP concatenation on by ``shift`` branches, the last one to the front.

    Published order: 1x1, rates ascending, image pooling. mmseg's: image pooling, 1x1, rates ascending.
    """
    key = 'decode_head.bottleneck.conv.weight'
    if key in state_dict and state_dict[key].shape[-1:] == (1,):  # PSPNet's of 3x3 is in mmseg's order already
        weight = state_dict[key]
        state_dict[key] = torch.roll(weight, shift * weight.shape[0], dims=1)  # a branch is as wide as the output
    return state_dict


def _split_predictors(state_dict: StateDict) -> StateDict:
    """Split SSDLite's predictors into mmdet's two convolutions.

    The published convolution predicts 4 offsets, background and classes for each anchor. mmdet has one convolution for the 4
    offsets and one for the classes, with background last.
    """
    split = {}
    for key, value in state_dict.items():
        if '.predictors.' in key:
            number = 4 if '.predictors.5.' in key else 6
            if value.ndim == 0 or value.shape[0] % number:
                raise ValueError(f'{key} has shape {tuple(value.shape)}, no multiple of its {number} anchors')
            anchors = value.unflatten(0, (number, -1))  # (A, 4 + 1 + classes, ...)
            split[key.replace('predictors', 'reg_convs')] = anchors[:, :4].flatten(0, 1)
            split[key.replace('predictors', 'cls_convs')] = anchors[:, 4:].roll(-1, dims=1).flatten(0, 1)
        else:
            split[key] = value
    return split


def _join_predictors(state_dict: StateDict) -> StateDict:
    """The inverse of :func:`_split_predictors`."""
    joined = {}
    for key, value in state_dict.items():
        name = re.sub('reg_convs|cls_convs', 'predictors', key)
        if name == key:
            joined[key] = value
        elif name not in joined:
            parts = [name.replace('predictors', part) for part in ('reg_convs', 'cls_convs')]
            if absent := [part for part in parts if part not in state_dict]:
                raise ValueError(f'{absent[0]} is missing beside {key}')
            offsets, classes = (state_dict[part] for part in parts)
            offsets = offsets.unflatten(0, (-1, 4))
            classes = classes.unflatten(0, (len(offsets), -1))
            joined[name] = torch.cat([offsets, classes.roll(1, dims=1)], dim=1).flatten(0, 1)
    return joined


def from_published(state_dict: StateDict, task: str) -> StateDict:
    """Rename a published state dict so that it loads with ``strict=True``.

    Args:
        state_dict: Tensors under their published names, of a whole model.
        task: ``'backbone'``: the five layers of a checkpoint of any task, for the backbone classes (the 1x1 expansion,
            the classifier and any head are left out); ``'classification'``: for
            :class:`~mvit3_bench.models.classifier.Classifier` and for an ``ImageClassifier`` of mmpretrain;
            ``'detection'``: for the ``SingleStageDetector`` of our SSDLite configs; ``'segmentation'``: for the
            ``EncoderDecoder`` of our DeepLabv3 and PSPNet configs.

    Returns:
        The same tensors under our names.

    Raises:
        ValueError: A tensor has no place in such a model or lacks its counterpart, or the task is not known.
    """
    rules = _rules(task, state_dict)
    if task != 'backbone':
        return _split_predictors(_roll_bottleneck(convert(state_dict, rules, task, lambda key: False), 1))
    if any(key.startswith('encoder.') for key in state_dict):
        state_dict = {key.removeprefix('encoder.'): value for key, value in state_dict.items()
                      if key.startswith('encoder.')}
    return convert(state_dict, rules, task, lambda key: key.startswith(('conv_1x1_exp.', 'classifier.')))


def to_published(state_dict: StateDict, task: str) -> StateDict:
    """The inverse of :func:`from_published`; arguments and errors as there."""
    rules = [(ours, published) for published, ours in _rules(task, state_dict)]
    return convert(_join_predictors(_roll_bottleneck(dict(state_dict), -1)), rules, task, lambda key: False)


def to_rgb(state_dict: StateDict) -> StateDict:
    """Turn the first convolution of weights that were trained on BGR images round, so that the input is RGB.

    Raises:
        ValueError: There is no first convolution of three channels under our names.
    """
    key = next((key for key in state_dict if key.removeprefix('backbone.') == 'stem.conv.weight'), None)
    if key is None or state_dict[key].shape[1] != 3:
        raise ValueError('the state dict has no stem.conv.weight of three channels to turn round')
    return state_dict | {key: state_dict[key].flip(1)}
