"""A page in Chromium, on a telephone and on a desk: it computes what PyTorch computes, and says what it cannot do."""
import json
import shutil
import threading
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import conftest
import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from test_export import whole

from mvit3_bench.datasets.configs import data_sets, meta_of_test
from mvit3_bench.datasets.mini.scenes import OUTINGS, draw_scene
from mvit3_bench.deploy.web.page import write_page
from mvit3_bench.deploy.web.preprocessing import network_input
from mvit3_bench.deploy.web.runtime import RuntimeDownloadError, fetch_archive
from mvit3_bench.deploy.web.server import page_server
from mvit3_bench.deploy.wrappers import wrap
from mvit3_bench.engine.input_size import input_size

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
pytestmark = [
    pytest.mark.slow(reason='an export and a browser for each task'),
    pytest.mark.skipif(not find_spec('playwright'), reason="playwright missing: pip install -e '.[docs]'"),
    pytest.mark.skipif(CHROMIUM is None, reason='no Chromium in PATH')]
WIDTHS = dict(desktop=(1280, 900), phone=(360, 740))
CONFIGS = dict(classification='study/cifar10.py', detection='det/ssdlite_mvit3_xxs_coco.py', segmentation='study/camvid.py')
PLAIN = ['--no-sandbox', '--disable-gpu', '--use-fake-device-for-media-stream']
# WebGPU that is computed by the processor: the way of a GPU, minutes for a picture of 320 pixels
SOFTWARE_GPU = ['--no-sandbox', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader']


@dataclass
class Page:
    """A page that is served, and the model in it."""
    address: str
    wrapper: torch.nn.Module
    pipeline: list
    scope: str

    def images(self, picture: Path) -> torch.Tensor:
        """A file as the framework's own pipeline reads it: (1, 3, H, W), RGB."""
        from mmcv.transforms import LoadImageFromFile
        init_default_scope(self.scope)  # a page of another task may have been made since
        arguments = next(dict(step) for step in self.pipeline if step['type'].endswith('LoadImageFromFile'))
        arguments.pop('type')
        image = LoadImageFromFile(**arguments)(dict(img_path=str(picture)))['img']
        return network_input(self.pipeline, image[:, :, ::-1], self.wrapper.size)


@pytest.fixture(scope='module')
def pages(tmp_path_factory):
    """Task -> its page, written when it is first asked for."""
    try:
        fetch_archive(print)
    except RuntimeDownloadError as error:
        pytest.skip(str(error))
    made, servers = {}, []

    def page(task: str) -> Page:
        if task not in made:
            folder = tmp_path_factory.mktemp(task)
            cfg = Config.fromfile(conftest.ROOT / 'configs' / CONFIGS[task])
            changes = {'model.test_cfg.max_per_class': 20, 'model.test_cfg.max_per_img': 100} if task == 'detection' else {}
            model, size = whole(CONFIGS[task], **changes), input_size(cfg)
            pipeline = next(iter(data_sets(cfg.test_dataloader).values())).pipeline
            write_page(model, size, folder, pipeline=pipeline, meta=meta_of_test(cfg), name=task, note='random weights')
            servers.append(page_server(folder))
            threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
            made[task] = Page(f'http://localhost:{servers[-1].server_port}/', wrap(model, size), pipeline,
                              cfg.default_scope)
        return made[task]
    yield page
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope='module')
def browser():
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        def launch(flags: list[str]):
            return playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        with launch(PLAIN) as plain:
            plain.with_flags = launch
            yield plain


def opened(browser, address: str, width: str = 'desktop', **context):
    """The page, ready, with what went wrong in ``page.problems``."""
    across, down = WIDTHS[width]
    page = browser.new_context(viewport=dict(width=across, height=down), **context).new_page()
    page.problems = []
    page.on('console', lambda message: page.problems.append(message.text)
            if message.type in ('error', 'warning') and 'No available adapters' not in message.text else None)
    page.on('pageerror', lambda error: page.problems.append(str(error)))
    page.on('request', lambda request: page.problems.append(f'another host: {request.url}')
            if not request.url.startswith((address.partition('?')[0], 'blob:', 'data:')) else None)
    page.goto(address)
    page.wait_for_selector('body[data-state]', timeout=180_000)
    assert page.get_attribute('body', 'data-state') == 'ready', page.inner_text('#problem')
    return page


def open_picture(page, picture: Path) -> None:
    page.set_input_files('#picture', picture)
    page.wait_for_function('() => document.querySelector("input#picture").value === ""')


def saved(page, tmp_path: Path, picture: str) -> dict:
    """What the page saves, once it shows a picture."""
    for _ in range(100):
        with page.expect_download() as download:
            page.click('#save')
        download.value.save_as(tmp_path / 'saved.json')
        record = json.loads((tmp_path / 'saved.json').read_text())
        if record['picture']['name'] == picture:
            return record
        page.wait_for_timeout(100)
    raise AssertionError(f'{picture} is not shown but {record["picture"]}; {page.inner_text("body")}')


def outputs_of(record: dict) -> list[torch.Tensor]:
    return [torch.tensor(value['data'], dtype=torch.int64 if name == 'labels' else torch.float32).view(value['dims'])
            for name, value in record['outputs'].items()]


@pytest.fixture(scope='module')
def pictures(tmp_path_factory) -> list[Path]:
    """A scene as a PNG, and a larger one as a JPEG that is turned by its EXIF entry."""
    from PIL import Image
    folder = tmp_path_factory.mktemp('pictures')
    scene = draw_scene(np.random.default_rng(5), 1, OUTINGS).image
    cv2.imwrite(str(folder / 'scene.png'), cv2.resize(scene[:120, :120], (320, 240))[:, :, ::-1])
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(cv2.resize(scene, (480, 640))).save(folder / 'turned.jpg', quality=95, exif=exif)
    return sorted(folder.iterdir())


@pytest.mark.parametrize('width', WIDTHS)
@pytest.mark.parametrize('task', CONFIGS)
def test_equal_to_pytorch(pages, browser, pictures, tmp_path, task, width):
    """Files through the page and through the framework: within 1e-3 standard deviations; nothing scrolls sideways."""
    served = pages(task)
    page = opened(browser, served.address, width)
    for picture in pictures:
        open_picture(page, picture)
        record = saved(page, tmp_path, picture.name)
        assert served.wrapper.deviation(served.images(picture), outputs_of(record)) < 1e-3, picture.name
    assert record['backend'] == 'wasm' and record['picture'] == dict(name='turned.jpg', width=640, height=480)
    assert record['largest_difference'] < 1e-3 and record['equal_labels'] > 0.99
    assert page.locator('#list li').count() > 0
    assert page.evaluate('document.documentElement.scrollWidth - innerWidth') <= 0
    assert page.problems == [] and not page.is_visible('#problem')


def test_latency(pages, browser, tmp_path):
    """Median and p90 of fifty runs, on the page and in the file."""
    page = opened(browser, pages('classification').address)
    page.click('#measure')
    page.wait_for_function('() => document.getElementById("latency").textContent.startsWith("median")', timeout=60_000)
    times = saved(page, tmp_path, 'example')['latency_ms']
    assert 5 <= times['runs'] == len(times['times']) <= 50
    assert times['median'] == np.sort(times['times'])[times['runs'] // 2] <= times['p90'] <= max(times['times'])
    assert 'ms, p90' in page.inner_text('#latency') and page.problems == []


def test_no_picture(pages, browser, pictures, tmp_path):
    """Something else than a picture is named, what was shown stays, and the next picture works."""
    page = opened(browser, pages('classification').address)
    (tmp_path / 'letter.png').write_text('no picture')
    page.set_input_files('#picture', tmp_path / 'letter.png')
    page.wait_for_selector('#problem:not([hidden])')
    assert page.inner_text('#problem') == 'letter.png is no picture that this browser can read (image/png).'
    open_picture(page, pictures[0])
    saved(page, tmp_path, pictures[0].name)
    assert not page.is_visible('#problem') and page.problems == []


@pytest.mark.parametrize('allowed', [False, True])
def test_camera(pages, browser, allowed):
    """Refused, the page says so and goes on; allowed, it runs until it is stopped."""
    served = pages('classification')
    page = opened(browser, served.address, 'phone', permissions=['camera'] if allowed else [])
    page.click('#camera')
    if allowed:
        page.wait_for_function('() => document.getElementById("latency").textContent.startsWith("live")', timeout=60_000)
        assert page.get_attribute('#camera', 'aria-pressed') == 'true'
        page.click('#camera')
    else:
        page.wait_for_selector('#problem:not([hidden])')
        assert page.inner_text('#problem').startswith('The camera was not allowed.')
    page.wait_for_selector('#camera[aria-pressed=false]')
    page.click('#example')
    page.wait_for_function('() => document.getElementById("stage").width < 200')
    assert page.problems == []


def test_camera_makes_way(pages, browser):
    """What else the user asks for while the camera runs is done, and ends it."""
    page = opened(browser, pages('classification').address, 'phone', permissions=['camera'])
    live = '() => document.getElementById("latency").textContent.startsWith("live")'
    page.click('#camera')
    page.wait_for_function(live, timeout=60_000)
    page.click('#example')
    page.wait_for_function('() => document.getElementById("stage").width < 200')
    assert page.get_attribute('#camera', 'aria-pressed') == 'false'
    page.click('#camera')
    page.wait_for_selector('#camera[aria-pressed=true]')
    page.click('#measure')
    page.wait_for_function('() => document.getElementById("latency").textContent.includes("runs of the network")',
                           timeout=60_000)
    assert page.get_attribute('#camera', 'aria-pressed') == 'false' and page.problems == []


def test_dropped(pages, browser, tmp_path):
    """The address of a picture, dropped on the page, and one that cannot be read from there."""
    page = opened(browser, pages('classification').address)
    drop = '''address => {
      const data = new DataTransfer();
      data.setData('text/uri-list', address);
      document.querySelector('figure').dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true}));
    }'''
    page.evaluate(drop, pages('classification').address + 'example.png')
    saved(page, tmp_path, 'example.png')
    assert page.problems == []
    page.evaluate(drop, 'http://localhost:9/picture.png')
    page.wait_for_selector('#problem:not([hidden])')
    assert 'Save the picture and open the file.' in page.inner_text('#problem')


def test_webgpu(pages, browser, pictures, tmp_path):
    """Where there is a GPU the page uses it; one that the processor computes only if the address asks for it."""
    served = pages('classification')
    with browser.with_flags(SOFTWARE_GPU) as gpu:
        page = opened(gpu, served.address)
        assert 'because the only WebGPU here is computed by the processor' in page.inner_text('#status')
        page = opened(gpu, served.address + '?backend=webgpu')
        assert page.inner_text('#status').startswith('Ready. WebGPU: ')
        open_picture(page, pictures[0])
        record = saved(page, tmp_path, pictures[0].name)
        assert record['backend'] == 'webgpu'
        assert served.wrapper.deviation(served.images(pictures[0]), outputs_of(record)) < 1e-3


@pytest.mark.parametrize('lack, reason', [
    ('delete Navigator.prototype.gpu', 'because this browser has no WebGPU'),
    ('Object.defineProperty(navigator, "gpu", {value: {requestAdapter: async () => null}})',
     'because this browser finds no GPU that it can use'),
    ('Object.defineProperty(navigator, "gpu", {value: {requestAdapter: async () => ({info: {}, features: new Set()})}})',
     'because WebGPU cannot run the model: ')])
def test_without_webgpu(pages, browser, lack, reason):
    """WebAssembly in its place, and the page says why."""
    context = browser.new_context()
    context.add_init_script(lack)
    page = context.new_page()
    page.goto(pages('classification').address)
    page.wait_for_selector('body[data-state=ready]', timeout=60_000)
    assert reason in page.inner_text('#status') and 'WebAssembly on the processor' in page.inner_text('#status')


def test_as_a_file(browser, tmp_path):
    """Opened without a server, the page says what to do."""
    from importlib.resources import files
    for asset in (files('mvit3_bench.deploy.web') / 'assets').iterdir():
        (tmp_path / asset.name).write_bytes(asset.read_bytes())
    page = browser.new_page()
    page.goto((tmp_path / 'index.html').as_uri())
    assert page.inner_text('h1') == 'This page needs a server' and 'http.server' in page.inner_text('#status')
