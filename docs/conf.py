"""The documentation as a site: `make docs` (docs/README.md says how pages are added)."""
import re
import shutil
import sys
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.ext import apidoc

import mvit3_bench

DOCS = Path(__file__).parent
ROOT = DOCS.parent

project = 'mvit3_bench'
version = release = mvit3_bench.__version__
html_title = f'{project} {release}'
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'sphinx_copybutton']
exclude_patterns = ['_build', 'README.md']  # the list of pages for the code host; the site has a sidebar

myst_heading_anchors = 6  # the anchors of the code host

default_role = 'literal'
smartquotes_action = 'D'  # dashes only
add_module_names = False
autodoc_default_options = {
    'members': True, 'show-inheritance': True, 'member-order': 'bysource',
    'ignore-module-all': True}  # what a package takes from its modules stands with these
autodoc_inherit_docstrings = False  # torch's text on `forward`, over and over
autodoc_preserve_defaults = True
maximum_signature_line_length = 100
napoleon_use_ivar = True
# Their inventories are on the network, and the site is built without one.
_OTHERS = '|'.join([*sys.stdlib_module_names, 'torch', 'numpy', 'PIL', 'pycocotools', 'submitit',
                    'mm(engine|cv|det|seg|pretrain)'])
nitpick_ignore_regex = [('py:.*', rf'({_OTHERS})\..*'), ('py:class', r'mvit3_bench\..*\._\w+')]  # and private base classes

# a page as `mvit3 export --to web` writes it: the rule for it is in the Makefile
EXAMPLE = DOCS / '_example' / 'live'
LIVE = '''## A live example

MobileViTv3, trained on drawn scenes when this site was built. It starts when it comes into sight.

<iframe class="live" src="live/index.html" title="A model that runs in this browser" loading="lazy" allow="camera"></iframe>

<a href="live/index.html">The example as a page.</a>'''
MISSING = '''## A live example

It is missing from this build of the site: `make docs` makes it, if it can fetch onnxruntime-web.'''
html_extra_path = [EXAMPLE.parent.name] if EXAMPLE.is_dir() else []

html_theme = 'furo'
html_favicon = 'favicon.svg'
html_static_path = ['_static']
html_css_files = ['site.css']
html_js_files = ['sortable.js']
html_show_copyright = html_show_sourcelink = False
html_copy_source = False
html_domain_indices = False  # the API pages are one already


def write_api_pages(app) -> None:
    """One page a package, of all its modules."""
    shutil.rmtree(DOCS / 'api', ignore_errors=True)
    apidoc.main(['-q', '--no-toc', '--templatedir', str(DOCS / '_templates' / 'apidoc'),
                 '--output-dir', str(DOCS / 'api'), str(ROOT / 'mvit3_bench')])


def show_example(app, page: str, text: list[str]) -> None:
    """The page of web.md shows a model in a frame, if `make docs` could make one."""
    if page == 'web':
        found = (EXAMPLE / 'index.html').is_file()
        text[0] = text[0].replace('<!-- live example -->', LIVE if found else MISSING)


def read_included(app, path: Path, page: str, text: list[str]) -> None:
    """Links of the README in the root lead from there, but stand on a page in docs/."""
    if (DOCS / path).resolve() == ROOT / 'README.md':
        text[0] = re.sub(r'\]\((?!\w+:|#)', '](../', text[0])


def follow_links(app, doctree: nodes.document) -> None:
    """Links to the READMEs lead to the pages that have their place: the front page, and the first steps."""
    included = {'README': app.config.root_doc, str(ROOT / 'README'): 'first_steps'}
    for node in doctree.findall(addnodes.pending_xref):
        node['reftarget'] = included.get(node['reftarget'], node['reftarget'])


def without_factory(app, what, name, obj, options, signature: str | None, returns: str | None):
    """Default values that a dataclass makes anew are shown as Python, so that Sphinx can read the signature."""
    return signature and signature.replace('<factory>', '...'), returns


def setup(app) -> None:
    app.connect('source-read', show_example)
    app.connect('env-get-outdated', lambda *_: ['web'])  # the example may have come or gone
    app.connect('builder-inited', write_api_pages)
    app.connect('autodoc-process-signature', without_factory)
    app.connect('include-read', read_included)
    app.connect('doctree-read', follow_links, priority=400)  # before Sphinx gathers the files to be downloaded
