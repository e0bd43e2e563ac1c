"""The model index is that of the configs, and reads as OpenMMLab's tools read it."""
from pathlib import Path

import pytest
from conftest import ROOT
from mmengine.config import Config

pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')
pytest.importorskip('mmdet', reason='mmdetection is not installed')
pytest.importorskip('mmseg', reason='mmsegmentation is not installed')

from mvit3_bench.paper import counts, model_index  # noqa: E402
from mvit3_bench.paper.counts import measure  # noqa: E402
from mvit3_bench.paper.published import published  # noqa: E402


def measured_here(cfg: Config, every: int) -> dict:
    """Counts of a config: of one in ``every`` from its built model, of the others from the committed file."""
    paths = list(counts.counts())
    path = Path(cfg.filename).relative_to(ROOT / 'configs').as_posix()
    return measure(cfg) if path not in paths or paths.index(path) % every == 0 else counts.counts()[path]


@pytest.mark.parametrize('every', [5, pytest.param(1, marks=pytest.mark.slow)])
def test_not_stale(monkeypatch, every):
    """What is committed is what the configs and the published figures give; slow: every model built, a minute."""
    monkeypatch.setattr(counts, 'measure', lambda cfg: measured_here(cfg, every))
    rendered = model_index.render(ROOT)
    for path, content in rendered.items():
        assert (ROOT / path).read_text() == content, f'{path} is stale: python -m mvit3_bench.paper.model_index'
    assert {path.relative_to(ROOT).as_posix() for path in ROOT.glob('configs/*/metafile.yml')} <= set(rendered)


def test_only_in_a_repository(tmp_path, monkeypatch):
    """From an installed package nothing is written."""
    monkeypatch.setattr(model_index, '__file__', str(tmp_path / 'mvit3_bench' / 'paper' / 'model_index.py'))
    with pytest.raises(SystemExit, match='is not the repository'):
        model_index.main()
    assert not list(tmp_path.iterdir())


def test_read_by_the_library():
    """The library of model indices reads it, with every row of the published tables that has a config."""
    load_model_index = pytest.importorskip('modelindex.load_model_index')
    index = load_model_index.load(str(ROOT / 'model-index.yml'))
    index.build_models_with_collections()
    found = {model.name: model for model in index.models}
    with_config = [row for row in published() if (ROOT / 'configs' / row.config).is_file()]
    assert len(found) == len(with_config) >= 19
    for row in with_config:
        model = found[row.config.split('/')[1].removesuffix('.py')]
        assert list(model.results[0].metrics.values()) == [row.value]
        assert abs(model.metadata.parameters / 1e6 - row.params_M) < 0.1
