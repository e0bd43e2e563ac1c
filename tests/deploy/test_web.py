"""The parts of a web page that run without a browser: its arithmetic in Node.js, its files, its runtime from npm."""
import functools
import io
import json
import shutil
import subprocess
import tarfile
import threading
import urllib.request
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files

import conftest
import cv2
import numpy as np
import PIL
import pytest
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import TRANSFORMS, init_default_scope
from PIL import Image

import mvit3_bench.compat  # noqa: F401  before mmdet
from mvit3_bench.datasets.configs import data_sets
from mvit3_bench.deploy.web import runtime
from mvit3_bench.deploy.web.preprocessing import network_input, page_steps
from mvit3_bench.deploy.web.server import page_server, serve
from mvit3_bench.engine.input_size import input_size
from mvit3_bench.errors import UsageError

NODE = shutil.which('node')
node = pytest.mark.skipif(NODE is None, reason='no Node.js in PATH')
# height and width before and after: smaller, larger, both; the last one is what Pillow 13 begins with the rows of
SIZES = [(300, 400, 320, 320), (33, 31, 64, 64), (640, 640, 320, 320), (171, 128, 97, 199), (128, 160, 288, 360),
         pytest.param((389, 449, 100, 400), marks=pytest.mark.skipif(
             int(PIL.__version__.partition('.')[0]) < 13, reason='Pillow before 13 begins with the columns'))]
RUN = '''
import fs from 'node:fs';
import {%s as work} from '%s';
const [folder, ...rest] = process.argv.slice(1);
const {width, height, args} = JSON.parse(fs.readFileSync(`${folder}/job.json`));
const image = {data: new Uint8ClampedArray(fs.readFileSync(`${folder}/image`)), width, height};
const result = work(image, ...args);
fs.writeFileSync(`${folder}/result`, new Uint8Array((result.data ?? result.tensor).buffer));
console.log(JSON.stringify({channels: result.channels, region: result.region}));
'''


def in_node(folder, function: str, picture: np.ndarray, *args) -> tuple[dict, bytes]:
    """Call a function of preprocess.js with a picture, (H, W, 3) RGB -> the rest of its result, and the bytes of it."""
    height, width = picture.shape[:2]
    (folder / 'job.json').write_text(json.dumps(dict(width=width, height=height, args=args)))
    np.dstack([picture, np.full((height, width, 1), 255, np.uint8)]).tofile(folder / 'image')
    script = RUN % (function, (files('mvit3_bench.deploy.web') / 'assets' / 'preprocess.js').as_uri())
    done = subprocess.run([NODE, '--input-type=module', '-e', script, str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), (folder / 'result').read_bytes()


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(256, size=(height, width, 3), dtype=np.uint8)


@node
@pytest.mark.parametrize('interpolation', ['bilinear', 'bicubic'])
@pytest.mark.parametrize('library', ['opencv', 'pillow'])
@pytest.mark.parametrize('size', SIZES)
def test_resize(tmp_path, library, interpolation, size):
    """The bytes of OpenCV and Pillow; of OpenCV's bicubic, which rounds sums of floats, all but one in five hundred."""
    before, (height, width) = noise(*size[:2]), size[2:]
    if library == 'opencv':
        code = dict(bilinear=cv2.INTER_LINEAR, bicubic=cv2.INTER_CUBIC)[interpolation]
        expected = cv2.resize(before, (width, height), interpolation=code)
    else:
        expected = np.array(Image.fromarray(before).resize((width, height), getattr(Image, interpolation.upper())))
    told, data = in_node(tmp_path, 'resize', before, width, height, library, interpolation)
    found = np.frombuffer(data, np.uint8).reshape(height, width, told['channels'])[..., :3]
    apart = np.abs(found.astype(int) - expected)
    exact = (library, interpolation) != ('opencv', 'bicubic')
    assert not apart.any() if exact else apart.max() <= 1 and (apart > 0).mean() < 2e-3


def by_framework(pipeline: list, picture: np.ndarray) -> np.ndarray:
    """What a data set of the config would give of a picture, (H, W, 3) RGB -> (3, H, W) RGB."""
    steps = [TRANSFORMS.build(step) for step in pipeline if 'Load' not in step['type']]
    size = picture.shape[:2]
    data = dict(img=picture[:, :, ::-1].copy(), img_path='', img_id=0, img_shape=size, ori_shape=size, height=size[0],
                width=size[1])
    return Compose(steps)(data)['inputs'].numpy()[::-1]


@node
@pytest.mark.parametrize('path, size, kind', [
    ('cls/mvit3_xxs_in1k.py', (301, 400), 'crop'), ('cls/mvit3_1.0_in1k.py', (417, 300), 'crop'),
    ('study/cifar10.py', (32, 32), 'stretch'), ('det/ssdlite_mvit3_xxs_coco.py', (240, 333), 'stretch'),
    ('det/ssdlite_mvit3_0.5_coco.py', (500, 375), 'stretch'), ('seg/deeplabv3_mvit3_xxs_voc2012.py', (375, 500), 'stretch'),
    ('study/camvid.py', (360, 480), 'fit'), ('study/bccd.py', (480, 640), 'stretch'),
    ('seg/deeplabv3_mvit3_0.5_ade20k.py', (600, 600), 'fit')])
def test_prepare(tmp_path, path, size, kind):
    """What the network gets in a page is what the config's test pipeline gives it."""
    cfg = Config.fromfile(conftest.ROOT / 'configs' / path)
    init_default_scope(cfg.default_scope)
    pipeline = next(iter(data_sets(cfg.test_dataloader).values())).pipeline
    picture, (height, width) = cv2.blur(noise(*size), (5, 5)), input_size(cfg)
    steps = page_steps(pipeline, (height, width))
    told, data = in_node(tmp_path, 'prepare', picture, steps)
    expected = by_framework(pipeline, picture)
    assert (network_input(pipeline, picture, (height, width)).numpy() == expected).all()
    apart = np.abs(np.frombuffer(data, np.float32).reshape(3, height, width) - expected)
    assert steps['kind'] == kind and apart.max() <= (steps['interpolation'] == 'bicubic' and steps['library'] == 'opencv')
    assert told['region']['columns'] == width and told['region']['rows'] == height
    assert (told['region']['width'] == size[1]) == (kind != 'crop')


@node
@pytest.mark.parametrize('size, columns, rows', [((100, 300), 256, 85), ((300, 100), 64, 192)])
def test_other_shapes(tmp_path, size, columns, rows):
    """Where a pipeline keeps the ratio, a picture of another shape is fitted in, and the rest is black."""
    steps = dict(kind='fit', size=[192, 256], library='pillow', interpolation='bilinear')
    told, data = in_node(tmp_path, 'prepare', np.full((*size, 3), 200, np.uint8), steps)
    found = np.frombuffer(data, np.float32).reshape(3, 192, 256)
    pipeline = [dict(type='Resize', scale=(256, 192), keep_ratio=True, backend='pillow'), dict(type='PackSegInputs')]
    init_default_scope('mmseg')
    assert (network_input(pipeline, np.full((*size, 3), 200, np.uint8), (192, 256)).numpy() == found).all()
    assert told['region'] == dict(columns=columns, rows=rows, x=0, y=0, width=size[1], height=size[0])
    assert (found[:, :rows, :columns] == 200).all() and found.sum() == 200 * 3 * rows * columns


@pytest.mark.parametrize('steps, message', [
    ([dict(type='Resize', scale=8), dict(type='RandomFlip')], 'has RandomFlip, which the page cannot repeat'),
    ([dict(type='PackInputs')], 'has 0 resizings'),
    ([dict(type='Resize', scale=8, interpolation='lanczos')], "'lanczos'.*it knows"),
    ([dict(type='ResizeEdge', scale=8, edge='long')], "'long'"),
    ([dict(type='Resize', scale=(8, 16))], 'gives images of 16x8, not 8x8'),
    ([dict(type='Resize', scale=9), dict(type='CenterCrop', crop_size=8)], "'scale': 9}; .* the shorter edge"),
    ([dict(type='ResizeShortSide', scale=(9, 9)), dict(type='CenterCrop', crop_size=8)], r"'scale': \(9, 9\)}"),
    ([dict(type='ResizeShortSide', scale=9, max_size=12), dict(type='CenterCrop', crop_size=8)], "'max_size': 12}"),
    ([dict(type='Resize', scale_factor=2.0)], "'scale_factor': 2.0}"),
    ([dict(type='ResizeEdge', scale=9), *[dict(type='CenterCrop', crop_size=8)] * 2], '1 resizings and 2 crops')])
def test_pipelines_that_a_page_cannot_repeat(steps, message):
    """They are named."""
    with pytest.raises(UsageError, match=message):
        page_steps(steps, (8, 8))


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A registry of npm whose onnxruntime-web is another file, and an empty cache."""
    folder = tmp_path / 'registry' / 'onnxruntime-web' / '-'
    folder.mkdir(parents=True)
    (folder / runtime.cached_archive().name).write_bytes(b'another')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path / 'registry'))
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv('NPM_CONFIG_REGISTRY', f'http://127.0.0.1:{server.server_port}')
        yield server
        server.shutdown()


def test_another_file_is_refused(registry, tmp_path):
    """A package with another checksum is neither kept nor unpacked, and a damaged one in the cache is not taken."""
    runtime.cached_archive().parent.mkdir(parents=True)
    runtime.cached_archive().write_bytes(b'damaged')
    with pytest.raises(runtime.RuntimeDownloadError, match='SHA-512'):
        runtime.write_runtime(tmp_path / 'ort', print)
    assert runtime.cached_archive().read_bytes() == b'damaged' and not (tmp_path / 'ort').exists()


def test_by_the_command(tool, tmp_path, monkeypatch):
    """`mvit3 export --to web` writes the page with the model, and the files that are in the package of npm."""
    pytest.importorskip('mmpretrain')
    archive = tmp_path / 'package.tgz'
    with tarfile.open(archive, 'w:gz') as package:
        for name in runtime.FILES:
            info = tarfile.TarInfo(f'package/dist/{name}')
            info.size = len(name)
            package.addfile(info, io.BytesIO(name.encode()))
    monkeypatch.setattr(runtime, 'fetch_archive', lambda log: archive)
    monkeypatch.chdir(tmp_path)
    outcome = tool('export', conftest.ROOT / 'configs/study/cifar10.py', 'none', '--to', 'web', '--out', 'page')
    assert outcome.code == 0, outcome.output
    assert 'largest deviation of the model in ONNX Runtime' in outcome.output and 'python -m http.server' in outcome.output
    assert {path.name for path in (tmp_path / 'page').rglob('*') if path.is_file()} >= {
        'index.html', 'model.onnx', 'model.json', *runtime.FILES}


def test_without_network(monkeypatch, tmp_path):
    """The message says where the file can be put by hand."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setenv('NPM_CONFIG_REGISTRY', 'http://127.0.0.1:9')
    with pytest.raises(runtime.RuntimeDownloadError, match=f'put it at {tmp_path}'):
        runtime.fetch_archive(print)


def test_server(tmp_path):
    """Types that browsers insist on, and the headers that threads need; this machine alone."""
    for name in ('a.mjs', 'a.wasm'):
        (tmp_path / name).write_text('')
    with page_server(tmp_path) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name, kind in (('a.mjs', 'text/javascript'), ('a.wasm', 'application/wasm')):
            with urllib.request.urlopen(f'http://127.0.0.1:{server.server_port}/{name}') as answer:
                assert answer.headers['Content-Type'] == kind
                assert answer.headers['Cross-Origin-Opener-Policy'] == 'same-origin'
        assert server.server_address[0] == '127.0.0.1'
        with pytest.raises(UsageError, match=f'port {server.server_port} cannot be served'):
            serve(tmp_path, server.server_port)
        server.shutdown()


@pytest.mark.parametrize('flags, message', [
    (['--precision', 'int8'], '--precision and --sensitivity are not possible with --to web'),
    (['--raw'], '--raw is not possible with --to web'), (['--to', 'onnx', '--serve'], '--serve is of web pages'),
    (['--out', 'used'], 'used has letter.txt, which no such export writes'),
    (['--out', 'file'], 'file is a file'), (['--example', 'file'], 'file is no picture')])
def test_bad_input(tool, tmp_path, monkeypatch, flags, message):
    """Refused before anything is fetched or exported."""
    pytest.importorskip('mmpretrain')
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'used').mkdir()
    (tmp_path / 'used' / 'letter.txt').write_text('')
    (tmp_path / 'file').write_text('')
    outcome = tool('export', conftest.ROOT / 'configs/cls/mvit3_xxs_in1k.py', 'none', '--to', 'web', *flags)
    assert outcome.code == 1 and message in outcome.output, outcome.output
    assert not (tmp_path / 'mvit3_xxs_in1k_web').exists()
