"""Core ML: an ML program in float32 for one image, which Apple's machines alone can run."""
import sys
from collections import Counter
from pathlib import Path

import torch
from torch import Tensor

from ..wrappers import ExportWrapper
from .base import Loaded, Target, capture, describe


def write(deployed: ExportWrapper, file: Path, notes: dict) -> None:
    """Write a package, with what is known of the model as metadata."""
    import coremltools
    program = capture(deployed, free_batch=False).run_decompositions({})
    outputs = [coremltools.TensorType(name=name) for name in deployed.output_names()]
    model = coremltools.convert(
        program, convert_to='mlprogram', compute_precision=coremltools.precision.FLOAT32, outputs=outputs or None,
        minimum_deployment_target=coremltools.target.iOS16, skip_model_load=True)
    model.user_defined_metadata.update(notes)
    model.save(str(file))


def load(file: Path) -> Loaded:
    """Load a package; on other machines than Apple's it is read only, and its operators are counted."""
    import coremltools
    model = coremltools.models.MLModel(str(file), skip_model_load=sys.platform != 'darwin')
    spec = model.get_spec()
    described = [{each.name: describe(each.type.multiArrayType.shape, _TYPES.get(each.type.multiArrayType.dataType, ''))
                  for each in values} for values in (spec.description.input, spec.description.output)]
    block, = spec.mlProgram.functions['main'].block_specializations.values()
    operators = Counter(operation.type for operation in block.operations if operation.type != 'const')

    def call(images: Tensor) -> list[Tensor]:
        outputs = model.predict(dict.fromkeys(described[0], images.numpy()))
        return [torch.from_numpy(outputs[name]) for name in described[1]]
    return Loaded(call if sys.platform == 'darwin' else None, *described, operators=dict(operators.most_common()))


_TYPES = {65568: 'float32', 131104: 'int32'}  # of Core ML's numbers

TARGET = Target('.mlpackage', write, load, dict(coremltools='coremltools>=9.0'), extra='coreml', device=True,
                finishes=('classification', 'segmentation'))
