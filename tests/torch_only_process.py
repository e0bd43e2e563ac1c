"""What a process of torch, torchvision and numpy alone does for tests/models/test_torch_only.py: checks by name.

    python torch_only_process.py FOLDER [NAME ...]   (without names: those on the standard input, a line each)

The answer to a name is a line of JSON: the traceback, or an empty text if all is well. FOLDER is for what is exported.
"""
import json
import sys
import traceback
from pathlib import Path

ABSENT = ('mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmpretrain', 'cv2', 'matplotlib', 'pycocotools', 'scipy', 'tabulate',
          'timm', 'onnx', 'onnxscript', 'safetensors')
sys.modules.update(dict.fromkeys(ABSENT))  # importing one raises ModuleNotFoundError

import golden  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

from mvit3_bench.checkpoints import from_published, to_published  # noqa: E402
from mvit3_bench.converters.extract import extract_state_dict  # noqa: E402
from mvit3_bench.converters.identify import identify  # noqa: E402
from mvit3_bench.deploy import export, fuse  # noqa: E402
from mvit3_bench.deploy.wrappers import wrap  # noqa: E402
from mvit3_bench.models import ARCHS, Classifier  # noqa: E402
from mvit3_bench.models.classifier import FAMILIES  # noqa: E402

AT_IMPORT = set(sys.modules)

from mvit3_bench.models.complexity import count  # noqa: E402

TYPES = [('v1', 'xxs'), ('v2', '0.5'), ('v3', 'xxs'), ('v3', '0.5')]


def image(height: int = 64, width: int = 64, batch: int = 2) -> torch.Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


def imports() -> None:
    """The models import neither torchvision nor what only counting takes; and nothing is an import of another package."""
    assert 'torchvision' not in AT_IMPORT and 'torch.utils.flop_counter' not in AT_IMPORT
    assert not any(sys.modules[name] for name in ABSENT)


def archs() -> None:
    """Every arch builds and runs, as a backbone and as a classifier, whose features are those of the backbone."""
    for family, names in ARCHS.items():
        for arch in names:
            classifier = Classifier(family, arch, num_classes=7).eval()
            backbone = FAMILIES[family](arch).eval()
            backbone.load_state_dict({key: value for key, value in classifier.backbone.state_dict().items()
                                      if not key.startswith('expansion.')}, strict=True)
            with torch.no_grad():
                logits, maps = classifier(image()), backbone(image())
            assert logits.shape == (2, 7) and logits.isfinite().all()
            assert [x.shape[1:] for x in maps] == [
                (width, 64 // stride, 64 // stride) for width, stride in zip(ARCHS[family][arch].widths[1:], (4, 8, 16, 32),
                                                                             strict=True)]


def published(name: str) -> None:
    """A published state dict, wrapped, is found, identified and converted, loads strictly, gives the published logits, and
    converts back.
    """
    tensors = golden.state_dict(name)
    state_dict, entry = extract_state_dict(dict(epoch=3, model_state_dict=tensors))
    found = identify(state_dict)
    assert (entry, found.names, found.task, found.num_classes) == ('model_state_dict', 'published', 'classification', 1000)
    assert name.startswith(f'cls_{found.family}_{found.arch}')
    classifier = Classifier(found.family, found.arch, found.num_classes).eval()
    classifier.load_state_dict(from_published(state_dict, 'classification'), strict=True)
    size = dict(zip(('height', 'width'), SIZES.get(name, (256, 256)), strict=True))
    with torch.no_grad():
        deviation = golden.deviation(name, 'logits', classifier(golden.image(**size)))
    assert deviation < 1e-4, deviation
    back = to_published(classifier.state_dict(), 'classification')
    assert list(back) == list(tensors) and all(torch.equal(back[key], tensors[key]) for key in tensors)


SIZES = {'cls_v3_1.0_224': (224, 224), 'cls_v3_s_192x320': (192, 320)}


def fused() -> None:
    """The inference copies of a classifier and a backbone of each type compute what the models compute."""
    for family, arch in TYPES:
        torch.manual_seed(0)
        for model in (Classifier(family, arch), FAMILIES[family](arch)):
            model.train()(image())  # statistics of its own
            copy = fuse(model.eval())
            assert not any(isinstance(module, nn.BatchNorm2d) for module in copy.modules())
            with torch.no_grad():
                ours, expected = (model(image(96, 64, 3)) for model in (copy, model))
            for one, other in zip(ours, expected, strict=True):
                assert (one - other).abs().max() < 1e-4 * other.std()


def traced() -> None:
    """torch.fx traces every arch; what it gives equals the model, at another size too; of each type at an odd size and in
    both memory formats.
    """
    for family, names in ARCHS.items():
        for arch in names:
            model = Classifier(family, arch, num_classes=7).eval()
            graph = torch.fx.symbolic_trace(model)
            more = (image(33, 49), image().to(memory_format=torch.channels_last)) if (family, arch) in TYPES else ()
            for x in (image(), image(32, 64, 1), *more):  # with gradients: without, a model merges what a graph calls
                assert torch.equal(graph(x), model(x)), (family, arch, tuple(x.shape))


def features() -> None:
    """torchvision takes features out of a model of each type, by the names of its layers, in evaluation and in training."""
    from torchvision.models.feature_extraction import create_feature_extractor
    for family, arch in TYPES:
        for options in (dict(), dict(norm_eval=True, with_cp=True, frozen_stages=1)):
            model = FAMILIES[family](arch, drop_rate=0.0, **options).eval()
            extractor = create_feature_extractor(model, ['layer3', 'layer5']).eval()
            for x in (image(), image(96, 128)):  # with gradients: without, a model merges what a graph calls
                found, maps = extractor(x), model(x)
                assert torch.equal(found['layer3'], maps[1]) and torch.equal(found['layer5'], maps[3])
            sum(out.square().mean() for out in extractor.train()(image()).values()).backward()
            assert all(parameter.grad is not None for parameter in extractor.layer5.parameters())


def counted() -> None:
    """The published figures of v3-S, of the whole classifier (arXiv 2209.15159, Table 1 and the release)."""
    counts = count(Classifier('v3', 's'), (256, 256))['']
    assert counts.parameters == golden.parameter_counts()['cls_v3_s'][0]
    assert round(counts.published / 1e6, 3) == 1841.391


def exported() -> None:
    """A classifier becomes a program of torch.export, which takes RGB and gives the model BGR / 255."""
    model = Classifier('v3', 'xxs', num_classes=7).eval()
    done = export(model, (32, 32), 'torch', Path(sys.argv[1]) / 'classifier.pt2')
    program = torch.export.load(done.files[0]).module()
    pixels = image(32, 32) * 255
    with torch.no_grad():
        scores, = program(pixels)
        expected = model(pixels.flip(1) / 255).softmax(dim=1)
    assert scores.shape == (2, 7) and (scores - expected).abs().max() < 1e-5


def normalised() -> None:
    """Export wrappers of the two types of classifiers take RGB, 0 .. 255, and turn the colours round for the v1 type."""
    for arch in ('xxs', '0.5'):
        model, pixels = Classifier('v3', arch, num_classes=7).eval(), image() * 255
        with torch.no_grad():
            scores, = wrap(model, (64, 64))(pixels)
            logits, = wrap(model, (64, 64), raw=True)(pixels)
            expected = model((pixels.flip(1) if arch == 'xxs' else pixels) / 255)
        assert torch.equal(logits, expected) and torch.equal(scores, expected.softmax(dim=1))


def main() -> None:
    checks = dict(imports=imports, archs=archs, fused=fused, traced=traced, features=features, counted=counted,
                  exported=exported, normalised=normalised)
    for line in sys.argv[2:] or sys.stdin:
        name = line.strip()
        try:
            checks[name]() if name in checks else published(name)
            answer = ''
        except Exception:
            answer = traceback.format_exc()
        print(json.dumps(answer), flush=True)
        if answer and sys.argv[2:]:
            sys.exit(f'{name} failed')


main()
