"""The backbones as a plugin: stock models of mmdetection, mmsegmentation and mmpretrain train and predict with them.

Each case is a process of its own in an empty folder, since what a process imported once would hide what is missing. What it
can import is a folder of links: third parties, our package as if installed, and the named packages of OpenMMLab; the others
are not there at all, their metadata included. mmcv is there without its compiled operators (``lite``) or with them.

Where mmcv-lite is installed, ``compiled`` is imitated by a file ``mmcv/_ext.py``. It shows that the way through the registry
needs no import of ours beforehand and leaves a real ``mmcv._ext`` alone. The operators behind it are still torchvision's, so
the kernels themselves are shown only where mmcv is compiled.
"""
import importlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from conftest import ROOT

pytest.importorskip('mmengine')
pytest.importorskip('mmcv')

import mvit3_bench  # noqa: E402
from mvit3_bench.mmlab import MobileViTv1, MobileViTv2, MobileViTv3  # noqa: E402
from mvit3_bench.models import ARCHS  # noqa: E402
from mvit3_bench.models.archs import get_arch  # noqa: E402

FRAMEWORKS = ('mmdet', 'mmseg', 'mmpretrain')
OPENMMLAB = ('mmengine', 'mmcv', *FRAMEWORKS)
APART = (*OPENMMLAB, 'ftfy', 'mvit3', '__editable__')  # what not every process can import
LITE = "custom_imports = dict(imports=['mvit3_bench.compat'])"
FORK = find_spec('mmseg') is not None and not list(importlib.metadata.distributions(name='mmsegmentation'))

EXT = '''
"""Stands for the compiled operators of mmcv: a real file, of which compat must keep its hands."""
def __getattr__(name):
    if name.startswith('__'):
        raise AttributeError(name)
    def operator(*args, **kwargs):
        from mvit3_bench.compat.ext_stand_in import OPERATORS
        return OPERATORS[name](*args, **kwargs)
    return operator
'''

# What changes in a stock config: backbone, channel numbers, data preprocessor. {c} are the widths of layer1 .. layer5.
STOCK = dict(
    retinanet=('mmdet', '''
        _base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
        {lite}
        model = dict(
            data_preprocessor=dict(mean=[0, 0, 0], std=[255, 255, 255], bgr_to_rgb={rgb}),
            backbone=dict(_delete_=True, type='{type}', arch='{arch}'),
            neck=dict(in_channels=[{c[1]}, {c[2]}, {c[3]}, {c[4]}]))
        '''),
    mask_rcnn=('mmdet', '''
        _base_ = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'
        {lite}
        model = dict(
            data_preprocessor=dict(mean=[0, 0, 0], std=[255, 255, 255], bgr_to_rgb={rgb}),
            backbone=dict(_delete_=True, type='{type}', arch='{arch}'),
            neck=dict(in_channels=[{c[1]}, {c[2]}, {c[3]}, {c[4]}]))
        '''),
    upernet=('mmseg', '''
        _base_ = 'mmseg::upernet/upernet_r50_4xb4-80k_ade20k-512x512.py'
        {lite}
        model = dict(
            pretrained=None,
            data_preprocessor=dict(mean=[0, 0, 0], std=[255, 255, 255], bgr_to_rgb={rgb}),
            backbone=dict(_delete_=True, type='{type}', arch='{arch}'),
            decode_head=dict(in_channels=[{c[1]}, {c[2]}, {c[3]}, {c[4]}]),
            auxiliary_head=dict(in_channels={c[3]}))
        '''),
    deeplabv3plus=('mmseg', '''
        _base_ = 'mmseg::deeplabv3plus/deeplabv3plus_r50-d8_4xb4-80k_ade20k-512x512.py'
        {lite}
        model = dict(
            pretrained=None,
            data_preprocessor=dict(mean=[0, 0, 0], std=[255, 255, 255], bgr_to_rgb={rgb}),
            backbone=dict(_delete_=True, type='{type}', arch='{arch}', output_stride=8),
            decode_head=dict(in_channels={c[4]}, c1_in_channels={c[1]}),
            auxiliary_head=dict(in_channels={c[3]}))
        '''),
    classifier=('mmpretrain', '''
        _base_ = 'mmpretrain::resnet/resnet50_8xb32_in1k.py'
        {lite}
        data_preprocessor = dict(mean=[0, 0, 0], std=[255, 255, 255], to_rgb={rgb})
        model = dict(
            backbone=dict(_delete_=True, type='{type}', arch='{arch}', out_indices=(4, )),
            head=dict(in_channels={c[4]}))
        '''))

# A pure-Python config on a copy of a stock model, which has no base of its own. {lite} again is for mmcv-lite only.
LAZY = '''
from mmengine.config import read_base
from mvit3_bench.mmlab import MobileViTv3
with read_base():
    from .stock import *
{lite}
model.merge({changes})
'''
LAZY_LITE = "__import__('mvit3_bench.compat')"  # MMEngine ignores custom_imports there
LAZY_MODELS = dict(
    mmdet=('retinanet_r50_fpn', 'neck=dict(in_channels=[24, 64, 80, 128])'),
    mmseg=('upernet_r50', 'decode_head=dict(in_channels=[24, 64, 80, 128]), auxiliary_head=dict(in_channels=80)'),
    mmpretrain=('resnet50', 'head=dict(in_channels=128)'))


def site_packages():
    """What the packages of this environment consist of: name in site-packages -> path."""
    folders = [Path(folder) for folder in sys.path if Path(folder).name in ('site-packages', 'dist-packages')]
    return {path.name: path for folder in reversed(folders) if folder.is_dir() for path in folder.iterdir()}


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    """The process from which each case is forked; it can import third parties only."""
    site = tmp_path_factory.mktemp('third_parties')
    for name, path in site_packages().items():
        if not any(part in name for part in APART) and name != '__pycache__':
            (site / name).symlink_to(path)
    code = (ROOT / 'tests' / 'plugin_process.py').read_text()
    env = dict(os.environ, PYTHONPATH=str(site), OMP_NUM_THREADS='1')
    command = [sys.executable, '-S', '-W', 'ignore', '-c', code]
    with subprocess.Popen(command, cwd=tmp_path_factory.mktemp('empty'), env=env, text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def process(server, tmp_path):
    """Run a case in a process: ``process(packages, case, *args)`` -> what it printed; fails where it fails, or must not."""
    site, cwd = tmp_path / 'site', tmp_path / 'foreign'
    cwd.mkdir()

    def call(packages, case, *args, compiled=False, fails=False):
        for name in packages:
            if name in OPENMMLAB and find_spec(name) is None:
                pytest.skip(f'{name} is not installed')
        if FORK and not case.startswith('after_compat') and any("'mmseg::" in file.read_text() for file in cwd.glob('*.py')):
            pytest.skip('onedl-mmengine finds no base of mmsegmentation unless compat is imported before the config is read')
        site.mkdir()
        (site / 'mvit3_bench').symlink_to(Path(mvit3_bench.__file__).parent)
        for name, path in site_packages().items():
            if name == 'mmcv' and 'mmcv' in packages:
                (site / name).mkdir()
                for part in path.iterdir():
                    if compiled or not part.name.startswith('_ext'):
                        (site / name / part.name).symlink_to(part)
                if compiled and not list(path.glob('_ext*')):
                    (site / name / '_ext.py').write_text(EXT)
            elif any(part in name for part in packages):
                (site / name).symlink_to(path)
        output = tmp_path / 'output'
        request = dict(site=str(site), cwd=str(cwd), output=str(output), case=case, args=args)
        print(json.dumps(request), file=server.stdin, flush=True)
        code = json.loads(server.stdout.readline())
        assert (code != 0) == fails, f'exit code {code}\n{output.read_text()}'
        return output.read_text()
    call.folder = cwd
    return call


def packages(*frameworks):
    """The named frameworks alone, and what they need."""
    return ('mmengine', 'mmcv', *frameworks, *(('ftfy', ) if 'mmseg' in frameworks else ()))


def stock(model, name='mvit3_bench.MobileViTv3', arch='xxs', lite=LITE):
    """A stock config of ``STOCK`` with our backbone in it."""
    family = get_arch(name[-2:], arch)
    text = STOCK[model][1].format(
        type=name, arch=arch, c=family.widths, rgb=family.channel_order == 'rgb', lite=lite)
    return re.sub('^ {8}', '', text, flags=re.MULTILINE)


ARCH_OF = dict(retinanet='xxs', mask_rcnn='0.5', upernet='xxs', deeplabv3plus='0.5', classifier='0.5')


def save(path, backbone, prefix):
    """Write a backbone's tensors as the checkpoint of a model that has it under ``prefix``."""
    torch.save({prefix + key: value for key, value in backbone.state_dict().items()}, path)


def stock_model(framework, name):
    """The text of a stock model without a base of its own, which a pure-Python config can read."""
    if find_spec(framework) is None:
        pytest.skip(f'{framework} is not installed')
    folder = Path(find_spec(framework).origin).parent
    return (folder / '.mim' / 'configs' / '_base_' / 'models' / f'{name}.py').read_text() + f'''
default_scope = '{framework}'
'''


@pytest.mark.parametrize('framework', FRAMEWORKS)
def test_only_named_frameworks_are_there(process, framework):
    """The processes see what they are meant to see: one framework, mmcv without operators, nothing of the repository."""
    seen = process(packages(framework), 'modules', *FRAMEWORKS, 'mvit3_bench', 'conftest', 'plugin_process', 'tools')
    assert seen.split() == [framework, 'mvit3_bench']


@pytest.mark.parametrize('model', STOCK)
def test_framework_alone(process, model):
    """With mmcv-lite, a stock model takes a step of training and of testing; mmdet and mmseg need our line for it."""
    framework = STOCK[model][0]
    lite = '' if framework == 'mmpretrain' else LITE
    (process.folder / 'config.py').write_text(stock(model, arch=ARCH_OF[model], lite=lite))
    process(packages(framework), 'swap', 'config.py')


@pytest.mark.parametrize('model', STOCK)
def test_compat_before_the_config(process, model):
    """With ours imported first, as our tools do, no config needs the line, and the forks find mmsegmentation's bases."""
    (process.folder / 'config.py').write_text(stock(model, arch=ARCH_OF[model], lite=''))
    process(packages(STOCK[model][0]), 'after_compat', 'config.py')


@pytest.mark.parametrize('model', [model for model in STOCK if model != 'classifier'])
def test_compiled_mmcv(process, model):
    """With compiled operators there is no custom import, and they stay the ones in use."""
    (process.folder / 'config.py').write_text(stock(model, arch=ARCH_OF[model], lite=''))
    process(packages(STOCK[model][0]), 'swap_with_compiled_mmcv', 'config.py', compiled=True)


def test_all_frameworks_together(process):
    """Models of all three frameworks in one process, with MobileViTv1 and v2 as well."""
    kinds = dict(retinanet=('v1', 'xxs'), mask_rcnn=('v2', '0.5'), upernet=('v2', '0.5'), deeplabv3plus=('v1', 'xxs'),
                 classifier=('v3', 'xxs'))
    for model, (version, arch) in kinds.items():
        (process.folder / f'{model}.py').write_text(stock(model, f'mvit3_bench.MobileViT{version}', arch))
    process(packages(*FRAMEWORKS), 'swap', *(f'{model}.py' for model in kinds))


@pytest.mark.parametrize('model', ['retinanet', 'upernet', 'classifier'])
def test_dotted_path(process, model):
    """The class by its whole path, as MMEngine writes it when it saves a pure-Python config."""
    (process.folder / 'config.py').write_text(stock(model, 'mvit3_bench.mmlab.MobileViTv3'))
    process(packages(STOCK[model][0]), 'swap', 'config.py')


@pytest.mark.parametrize('compiled', [False, True], ids=['lite', 'compiled'])
@pytest.mark.parametrize('framework', FRAMEWORKS)
def test_class_in_pure_python_config(process, framework, compiled):
    """The class itself, in a pure-Python config."""
    name, changes = LAZY_MODELS[framework]
    (process.folder / 'stock.py').write_text(stock_model(framework, name))
    rgb = 'to_rgb' if framework == 'mmpretrain' else 'bgr_to_rgb'
    kind = dict(mmdet='DetDataPreprocessor', mmseg='SegDataPreProcessor', mmpretrain='ClsDataPreprocessor')[framework]
    changes += (f", data_preprocessor=dict(type='{kind}', mean=[0, 0, 0], std=[255, 255, 255], {rgb}=False)")
    changes += ', backbone=dict(_delete_=True, type=MobileViTv3, arch="xxs", out_indices={})'.format(
        '(4, )' if framework == 'mmpretrain' else '(1, 2, 3, 4)')
    if framework == 'mmseg':
        changes += ', pretrained=None'
        changes = changes.replace('mean=', 'size=(64, 64), mean=')
    lite = '' if compiled or framework == 'mmpretrain' else LAZY_LITE
    (process.folder / 'config.py').write_text(LAZY.format(changes=f'dict({changes})', lite=lite))
    process(packages(framework), 'swap', 'config.py', compiled=compiled)


@pytest.mark.parametrize('framework', ['mmdet', 'mmseg'])
def test_without_the_line_for_mmcv_lite(process, framework):
    """Without the custom import, mmcv-lite says which module it lacks."""
    model = dict(mmdet='retinanet', mmseg='upernet')[framework]
    (process.folder / 'config.py').write_text(stock(model, lite=''))
    output = process(packages(framework), 'swap', 'config.py', fails=True)
    assert "No module named 'mmcv._ext'" in output.splitlines()[-1]


@pytest.mark.parametrize('model', ['mask_rcnn', 'upernet', 'classifier'])
def test_mistyped_arch(process, model):
    """The user reads the name, the value and the known archs, not that a class is in no registry."""
    (process.folder / 'config.py').write_text(stock(model).replace("arch='xxs'", "arch='xss'"))
    output = process(packages(STOCK[model][0]), 'swap', 'config.py', fails=True)
    last = output.splitlines()[-1]
    assert last.startswith("ValueError: unknown arch 'xss' of MobileViTv3") and 'registry' not in last
    assert all(name in last for name in ARCHS['v3'])


@pytest.mark.parametrize('model', ['retinanet', 'upernet', 'classifier'])
def test_mistyped_argument(process, model):
    """The user reads which argument does not exist."""
    (process.folder / 'config.py').write_text(stock(model).replace("arch='xxs'", "arch='xxs', norm_cgf=None"))
    output = process(packages(STOCK[model][0]), 'swap', 'config.py', fails=True)
    assert output.splitlines()[-1].endswith("got an unexpected keyword argument 'norm_cgf'")


def test_root_registry(process):
    """MMEngine and mmcv are enough for the backbones."""
    process(packages(), 'root_registry')


@pytest.mark.parametrize('missing', ['mmengine', 'mmcv'])
def test_without_mmengine_or_mmcv(process, missing):
    """The package imports, and its models say what to install."""
    installed = [name for name in packages() if name != missing]
    assert 'mvit3-bench[openmmlab]' in process(installed, 'import_models')


def test_broken_framework_beside(process):
    """An mmsegmentation without a dependency it does not declare is not imported for a user of mmdetection."""
    (process.folder / 'config.py').write_text(stock('retinanet'))
    output = process(('mmengine', 'mmcv', 'mmdet', 'mmseg'), 'swap', 'config.py')
    assert 'are not available' not in output and 'ftfy' not in output


def test_any_broken_framework(monkeypatch):
    """Whatever a framework raises, the import of ours goes on, and the user is told."""
    from mvit3_bench.mmlab import heads

    def broken(name):
        raise AttributeError(f'no {name}')
    told = []
    monkeypatch.setattr('mmengine.logging.print_log', lambda message, **_: told.append(message))
    monkeypatch.setattr(importlib, 'import_module', broken)
    importlib.reload(heads)
    for name in FRAMEWORKS:
        heads.load(name)
    monkeypatch.undo()
    importlib.reload(heads)
    assert len(told) == sum(find_spec(name) is not None for name in FRAMEWORKS)
    assert all('are not available' in message for message in told)


def test_feature_extractor(process):
    """mmpretrain.FeatureExtractor, with no import of ours."""
    text = stock('classifier', arch='0.5', lite='').replace('out_indices=(4, )', 'out_indices=(1, 2, 3, 4)')
    (process.folder / 'config.py').write_text(text)
    save(process.folder / 'classifier.pth', MobileViTv3('0.5'), 'backbone.')
    process(packages('mmpretrain'), 'extract_features', 'config.py', 'classifier.pth')


def test_get_model_and_list_models(process):
    """mmpretrain knows our classifiers by name, once mvit3_bench.mmlab is imported; from any folder, configs included."""
    process(packages('mmpretrain'), 'hub')


@pytest.mark.parametrize('output_stride', [32, 16, 8])
@pytest.mark.parametrize('cls, arch', [
    (MobileViTv1, 'xxs'), (MobileViTv2, '0.5'), (MobileViTv3, 'xxs'), (MobileViTv3, '0.5')])
def test_out_channels_and_strides(cls, arch, output_stride):
    """``out_channels`` and ``strides`` describe the maps, as timm's feature info does."""
    last = -1 if get_arch(cls.family, arch).expansion else 4
    backbone = cls(arch, out_indices=(0, 1, 2, 3, last), output_stride=output_stride).eval()
    assert backbone.strides == tuple(min(stride, output_stride) for stride in (2, 4, 8, 16, 32))
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        maps = backbone(image)
    assert [tuple(x.shape[1:]) for x in maps] == [
        (c, 64 // s, 96 // s) for c, s in zip(backbone.out_channels, backbone.strides, strict=True)]


# --------------------------------------------------------------------------------------------------------------------
# docs/swap.md
# --------------------------------------------------------------------------------------------------------------------
SWAP = (ROOT / 'docs' / 'swap.md').read_text()
EXAMPLES = dict(re.findall(r'```python\n# (\w+\.py)\n(.*?)```', SWAP, flags=re.DOTALL))
FULL = [name for name, text in EXAMPLES.items() if '_base_ =' in text]


def test_docs_have_an_example_of_each_framework():
    """The next test misses none of the page's configs."""
    assert sorted(re.search(r"'(\w+)::", EXAMPLES[name])[1] for name in FULL) == sorted(FRAMEWORKS)
    assert SWAP.count('_base_ =') == len(FRAMEWORKS)


@pytest.mark.parametrize('name', FULL)
def test_docs_example(process, name):
    """Each full config of the page takes a step of training and testing, from a checkpoint that fills the backbone."""
    text = EXAMPLES[name]
    framework = re.search(r"'(\w+)::", text)[1]
    arch = re.search(r"type='mvit3_bench.MobileViTv3',\s+arch='([\w.]+)'", text)[1]
    checkpoint, prefix = re.search(r"checkpoint='([\w.]+)'(?:, prefix='([\w.]+)')?", text).groups(default='')
    save(process.folder / checkpoint, MobileViTv3(arch), prefix)
    (process.folder / name).write_text(text)
    output = process(packages(framework), 'swap', name)
    filled = re.search(r'MobileViTv3: the pretrained checkpoint filled (\d+) of \1 tensors$', output, flags=re.MULTILINE)
    assert filled and (arch != 's' or filled[0] in SWAP)


def test_docs_pure_python_example(process):
    """So does the pure-Python config, with a detector of mmdetection's in it."""
    (process.folder / 'my_detector.py').write_text(stock_model('mmdet', 'faster-rcnn_r50_fpn'))
    (process.folder / 'config.py').write_text(EXAMPLES['my_pure_python_config.py'])
    process(packages('mmdet'), 'swap', 'config.py')


def test_docs_table_of_widths():
    """Every row of the table is a row of ``ARCHS``, and the other way round."""
    rows = [f"| `MobileViT{family}` | `{name}` | {' '.join(map(str, arch.widths))} | {arch.expansion or '-'} "
            f'| {arch.channel_order.upper()} |' for family, archs in ARCHS.items() for name, arch in archs.items()]
    assert [line for line in SWAP.splitlines() if line.startswith('| `MobileViT')] == rows
