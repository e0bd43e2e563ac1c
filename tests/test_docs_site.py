"""The documentation as a site: built without a warning, and every page as a reader sees it, in a real browser.

Slow: builds the site and opens its pages twice; needs Chromium and the extra `docs`.
"""
import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
from conftest import ROOT

WIDTHS = dict(desktop=(1280, 900), phone=(375, 812))
CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
         '--disable-component-update', '--disable-sync']
MISSING = [name for name in ('sphinx', 'myst_parser', 'furo', 'sphinx_copybutton', 'playwright')
           if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} missing: pip install -e '.[docs]'"),
    pytest.mark.skipif(CHROMIUM is None, reason='no Chromium in PATH')]

# What a reader would have to scroll all of the page for (in Furo a box around the content), not just a table or a listing.
TOO_WIDE = '''() => {
  const page = document.querySelector('.content') || document.body;
  const scrolls = element => element !== page
    && (['auto', 'scroll'].includes(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
  return [...page.querySelectorAll('*')]
    .filter(element => element.getBoundingClientRect().right > innerWidth + 1 && !scrolls(element.parentElement))
    .map(element => element.outerHTML.slice(0, 100));
}'''
SIDEWAYS = '() => { scrollTo(10000, 0); const x = scrollX; scrollTo(0, 0); return x; }'
LINKS = '() => [...document.querySelectorAll("a[href]")].map(link => link.href)'
ANCHORS = '() => [...document.querySelectorAll("[id]")].map(element => element.id)'


@dataclass
class Visit:
    """What was seen of a page at one width."""
    problems: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    sideways: int = 0
    too_wide: list[str] = field(default_factory=list)


@pytest.fixture(scope='module')
def site(tmp_path_factory) -> Path:
    """The site, built as `make docs` builds it."""
    folder = tmp_path_factory.mktemp('site')
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))
    command = [sys.executable, '-m', 'sphinx', '-W', '--keep-going', '-n', '-q', str(ROOT / 'docs'), str(folder)]
    built = subprocess.run(command, env=dict(os.environ, PYTHONPATH=path), capture_output=True, text=True)
    assert built.returncode == 0 and not built.stderr, built.stderr
    return folder


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args) -> None:
        pass


@pytest.fixture(scope='module')
def address(site):
    """Where the site is served."""
    with ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}/'
        server.shutdown()


@pytest.fixture(scope='module')
def browser():
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


def watched(page, address: str, problems: list[str]) -> None:
    """Note down all that goes wrong in a browser's page, and all that it asks other hosts for."""
    # Chromium itself says so of a page that asks for WebGPU, as the live example does
    page.on('console', lambda message: problems.append(f'console: {message.text}')
            if message.type in ('error', 'warning') and message.text != 'No available adapters.' else None)
    page.on('pageerror', lambda error: problems.append(f'error: {error}'))
    page.on('requestfailed', lambda request: problems.append(f'failed: {request.url} {request.failure}'))
    page.on('response', lambda response: problems.append(f'{response.status}: {response.url}')
            if response.status >= 400 else None)
    page.on('request', lambda request: problems.append(f'another host: {request.url}')
            if not request.url.startswith((address, 'data:')) else None)


@pytest.fixture(scope='module')
def visits(site, address, browser) -> dict[tuple[str, str], Visit]:
    """Page and width -> what was seen there."""
    seen = {}
    for width, (across, down) in WIDTHS.items():
        context = browser.new_context(viewport=dict(width=across, height=down))
        for name in sorted(path.relative_to(site).as_posix() for path in site.rglob('*.html')):
            page, visit = context.new_page(), Visit()
            watched(page, address, visit.problems)
            page.goto(address + name, wait_until='networkidle')
            visit.links, visit.anchors = page.evaluate(LINKS), set(page.evaluate(ANCHORS))
            visit.sideways, visit.too_wide = page.evaluate(SIDEWAYS), page.evaluate(TOO_WIDE)
            page.close()
            seen[name, width] = visit
        context.close()
    return seen


def test_pages(site):
    """Each page of docs/, the README and a page of each package; the paper's page with its figure and pictures."""
    pages = {path.relative_to(ROOT / 'docs').with_suffix('.html') for path in (ROOT / 'docs').rglob('*.md')}
    packages = {path.parent.relative_to(ROOT) for path in (ROOT / 'mvit3_bench').rglob('__init__.py')
                if '.mim' not in path.parts}
    pages |= {Path('api', '.'.join(package.parts) + '.html') for package in packages}
    pages -= {Path('README.html')}  # the index
    assert sorted(page for page in pages if not (site / page).is_file()) == []
    paper = (site / 'results' / 'paper.html').read_text(encoding='utf-8')
    pictures = {Path(name).name for name in re.findall('<img [^>]*src="([^"]+)"', paper)}
    assert {'figure1.svg', *(file.name for file in (ROOT / 'docs' / 'results' / 'pictures').glob('*.jpg'))} <= pictures


def test_nothing_goes_wrong(visits):
    """Nothing on the console, no error, no failed request, and none to another host."""
    assert {key: visit.problems for key, visit in visits.items() if visit.problems} == {}


def test_no_page_scrolls_sideways(visits):
    """Wide tables, code and figures scroll within themselves; nothing is cut off."""
    assert {key: (visit.sideways, visit.too_wide) for key, visit in visits.items()
            if visit.sideways or visit.too_wide} == {}


def test_links_resolve(site, address, visits):
    """Each link within the site leads to a file, and to an anchor of it that exists."""
    broken = []
    for (name, width), visit in visits.items():
        for link in visit.links:
            target, anchor = urldefrag(link)
            if not target.startswith(address):
                assert target.startswith('https://') or target.startswith('http://'), (name, link)
                continue
            path = unquote(target.removeprefix(address)) or 'index.html'
            if not (site / path).is_file() or anchor and unquote(anchor) not in visits[path, width].anchors:
                broken.append((name, link))
    assert broken == []


def test_live_example(site):
    """A model in a frame if `make docs` made one, otherwise a sentence in its place."""
    text = (site / 'web.html').read_text(encoding='utf-8')
    if (ROOT / 'docs' / '_example' / 'live').is_dir():
        assert '<iframe class="live" src="live/index.html"' in text and (site / 'live' / 'model.onnx').is_file()
    else:
        assert 'It is missing from this build' in text and not (site / 'live').exists()


@pytest.mark.parametrize('word, page', [('out_indices', 'api/mvit3_bench.models.html'), ('Slurm', 'distributed.html')])
def test_search(address, browser, word, page):
    """The search works without a network."""
    problems, tab = [], browser.new_page()
    watched(tab, address, problems)
    tab.goto(f'{address}search.html?q={word}', wait_until='networkidle')
    tab.wait_for_selector('#search-results li a')
    found = [urldefrag(link).url for link in tab.eval_on_selector_all('#search-results li a', 'all => all.map(a => a.href)')]
    tab.close()
    assert address + page in found
    assert problems == []


@pytest.mark.parametrize('width', WIDTHS)
def test_leaderboard(site, browser, width):
    """As a file, without a server: a click on a heading sorts by number, up and down, and the filters leave what fits."""
    problems, (across, down) = [], WIDTHS[width]
    tab = browser.new_page(viewport=dict(width=across, height=down))
    watched(tab, 'file://', problems)
    tab.goto((site / 'leaderboard.html').as_uri())
    area = tab.locator('.sortable')
    count = area.locator('tbody tr').count()
    assert count > 40 and area.get_by_role('status').inner_text() == f'{count} of {count}'

    def column(name: str) -> list[str]:
        place = area.locator('th').all_inner_texts().index(name)
        return area.locator('tbody tr:visible').evaluate_all(f'rows => rows.map(row => row.cells[{place}].innerText)')

    for name in ('parameters (M)', 'top-1 (%)', 'ONNX Runtime, batch 1 (ms)'):
        button, head = (area.get_by_role(role, name=name, exact=True) for role in ('button', 'columnheader'))
        for order in ('ascending', 'descending'):
            button.focus()
            tab.keyboard.press('Enter')
            assert head.get_attribute('aria-sort') == order
            values = [float(text) for text in column(name) if text != '-']
            assert values == sorted(values, reverse=order == 'descending') and len(set(values)) > 10
            assert column(name)[len(values):] == ['-'] * (count - len(values))
    assert area.locator('th[aria-sort=ascending], th[aria-sort=descending]').count() == 1
    area.get_by_role('button', name='model', exact=True).click()
    initials = [name[0].lower() for name in column('model')]
    assert initials == sorted(initials) and len(initials) == count

    area.get_by_label('Filter').fill('mobilevitv3')
    area.get_by_label('Most parameters (M)').fill('3')
    assert column('model') and all('MobileViTv3' in name for name in column('model'))
    assert all(float(value) <= 3 for value in column('parameters (M)'))
    assert area.get_by_role('status').inner_text() == f'{len(column("model"))} of {count}'
    area.get_by_label('Runtime').select_option('OpenVINO')
    shown = [name for name in area.locator('th:visible').all_inner_texts() if ', ' in name]
    assert shown and all(name.startswith('OpenVINO, ') for name in shown)
    area.get_by_label('Filter').fill('no such model')
    assert area.locator('tbody tr:visible').count() == 0
    assert tab.evaluate(SIDEWAYS) == 0 and tab.evaluate(TOO_WIDE) == []
    assert problems == []
    tab.close()
