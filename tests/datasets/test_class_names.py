"""What a config says of its data sets."""
import pytest
from mmengine.config import Config

import mvit3_bench.compat  # noqa: F401  before mmpretrain
from mvit3_bench.datasets.configs import meta_of_test, short_names
from mvit3_bench.errors import UsageError

pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')


def test_names_of_classes(tmp_path):
    """Those of the class, of ``classes`` as mmpretrain has it, of ``metainfo``, or of the file that either names."""
    (tmp_path / 'names.txt').write_text('cat\ndog\n')

    def names(**dataset) -> list[str]:
        cfg = Config(dict(default_scope='mmpretrain', test_dataloader=dict(dataset=dict(type='ImageNet', **dataset))))
        return short_names(meta_of_test(cfg), False)
    assert len(names()) == 1000 and names()[0] == 'tench'
    for found in (names(classes=['cat', 'dog']), names(metainfo=dict(classes=['cat', 'dog'])),
                  names(classes=str(tmp_path / 'names.txt')), names(metainfo=dict(classes=str(tmp_path / 'names.txt')))):
        assert found == ['cat', 'dog']
    assert short_names(dict(classes=['road']), True) == ['background', 'road']
    with pytest.raises(UsageError, match='neither the checkpoint nor the config names the classes'):
        short_names({}, False)
