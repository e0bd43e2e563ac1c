"""Static check of an exported graph: the first operator or axis that a delegate is known to refuse, with its source."""
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.fx import Node
from torch.utils._pytree import tree_leaves

from .targets.base import capture
from .wrappers import ExportWrapper

_TFLITE_BATCH = 'https://github.com/tensorflow/tensorflow/issues/92798'
_TFLITE_GPU = 'https://github.com/tensorflow/tensorflow/issues/99047'
_LITERT = 'https://github.com/google-ai-edge/LiteRT/blob/main/ml_drift_delegate/tflite/ir_model_builder.cc'
_XNNPACK = 'https://docs.pytorch.org/executorch/stable/backends/xnnpack/xnnpack-partitioner.html'
_NCNN_BATCH = 'https://github.com/pnnx/pnnx/issues/44'
_NCNN_RANK = 'https://github.com/Tencent/ncnn/issues/5394'
_ANE_RULES = 'https://gist.github.com/antmikinka/715499ae63630575065b22e5cb6ad8dd'
_ANE_LAYERS = 'https://github.com/hollance/neural-engine/blob/master/docs/unsupported-layers.md'
_ANE_AXES = 'https://machinelearning.apple.com/research/neural-engine-transformers'


@dataclass(frozen=True)
class Rule:
    """What a delegate refuses.

    Args:
        broken: Node and a value of it -> what is wrong, or None.
        source: Where that is documented, or reported.
    """
    broken: Callable[[Node, Tensor], str | None]
    source: str


@dataclass(frozen=True)
class Refusal:
    """An operator or an axis that a delegate refuses.

    Args:
        operator: Name in ATen.
        layer: Module that it belongs to.
        shape: Of its output.
        reason: What is wrong.
        source: Where that is documented, or reported.
    """
    operator: str
    layer: str
    shape: tuple[int, ...]
    reason: str
    source: str

    def __str__(self) -> str:
        return f'{self.operator} in {self.layer or "the model"}, shape {self.shape}: {self.reason} ({self.source})'


def _axes(limit: int, source: str) -> Rule:
    return Rule(lambda node, value: f'{value.ndim} axes, more than {limit}' if value.ndim > limit else None, source)


def _batch(source: str) -> Rule:
    """The first axis of whatever depends on the images is the batch of one image."""
    return Rule(lambda node, value: None if value.ndim and value.shape[0] == 1 else
                f'the first axis is {value.shape[0] if value.ndim else "gone"}, not the batch of 1', source)


def _side(limit: int, source: str) -> Rule:
    return Rule(lambda node, value: f'an axis of more than {limit}' if limit < max(value.shape, default=0) else None,
                source)


def _operators(reason: str, source: str, *names: str) -> Rule:
    return Rule(lambda node, value: reason if name_of(node) in names else None, source)


def _spatial_mean(node: Node, value: Tensor) -> str | None:
    if name_of(node) != 'mean':
        return None
    dims = sorted(axis % 4 for axis in node.args[1]) if len(node.args) > 1 else []
    last = node.args[0].meta['val'].ndim == 4 and dims == [2, 3]
    return None if last else 'a mean over other axes than the last two of four: runs in a portable kernel'


_INDEXED = ('index', 'index_put', 'gather', 'scatter', 'im2col', 'col2im', 'unfold', 'nonzero', 'sort', 'argsort',
            'masked_select', 'nms')
RULES: dict[str, tuple[Rule, ...]] = {
    'litert-gpu': (
        _axes(4, _TFLITE_GPU), _batch(_TFLITE_BATCH),
        _operators('becomes an operator that the delegate does not list', _LITERT, *_INDEXED)),
    'ncnn': (
        _axes(4, _NCNN_RANK), _batch(_NCNN_BATCH),
        _operators('ncnn has no such layer', 'https://github.com/Tencent/ncnn/issues/5638', 'unfold', *_INDEXED[:4]),
        _operators('ncnn has no such layer', 'https://github.com/pnnx/pnnx/issues/228', 'expand')),
    'coreml-ane': (
        _axes(4, _ANE_AXES), _side(2**14, _ANE_RULES),
        _operators('runs on the CPU or the GPU', _ANE_LAYERS, *_INDEXED, 'topk')),
    'executorch-xnnpack': (
        _operators('not among the operators of the delegate: runs in a portable kernel', _XNNPACK, *_INDEXED, 'layer_norm',
                   'group_norm', 'flip', 'argmax', 'topk', 'where', 'masked_fill', 'logsumexp', 'sum', 'repeat', 'roll'),
        Rule(_spatial_mean, _XNNPACK)),
}


def check(deployed: ExportWrapper, delegate: str) -> list[Refusal]:
    """What a delegate refuses of a model, in the order in which it runs; at most one for each kind of reason.

    Args:
        deployed: What is exported, in its form for one image.
        delegate: One of ``RULES``.
    """
    found = {}
    for node, value in steps(capture(deployed, free_batch=False)):
        for rule in RULES[delegate]:
            if (reason := rule.broken(node, value)) and (name_of(node), reason) not in found:
                found[name_of(node), reason] = Refusal(
                    name_of(node), _layer(node), tuple(value.shape), reason, rule.source)
    return list(found.values())


def steps(program: torch.export.ExportedProgram) -> Iterator[tuple[Node, Tensor]]:
    """The operators of a program that depend on its inputs, each with every tensor that it gives."""
    images = set(program.graph_signature.user_inputs)
    depend = {node for node in program.graph.nodes if node.op == 'placeholder' and node.name in images}
    for node in program.graph.nodes:
        if node.op == 'call_function' and depend & set(node.all_input_nodes):
            depend.add(node)
            for value in tree_leaves(node.meta['val']):
                if isinstance(value, Tensor):
                    yield node, value


def name_of(node: Node) -> str:
    """The name of an operator: 'aten.softmax.int' -> 'softmax'."""
    return str(getattr(node.target, '_opname', getattr(node.target, '__name__', node.target)))


def _layer(node: Node) -> str:
    """The innermost module that an operator belongs to, as ``model.named_modules()`` calls it."""
    path = [name for name, _ in (node.meta.get('nn_module_stack') or {}).values()]
    return path[-1] if path else ''
