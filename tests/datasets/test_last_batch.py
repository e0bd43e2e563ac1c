"""A batch of one image, with which some models cannot train, is an error before the start."""
import conftest
import pytest
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from torch.utils.data import DataLoader

import mvit3_bench.compat  # noqa: F401  before mmseg

pytest.importorskip('mmseg', reason='mmsegmentation is not installed')

from mvit3_bench.datasets.checks.data import check_last_batch  # noqa: E402
from mvit3_bench.errors import UsageError  # noqa: E402
from mvit3_bench.registry import MODELS  # noqa: E402


@pytest.mark.parametrize('options, parts', [
    (['batch_size=8'], ('9 images in batches of 8', 'image_pool', 'train_dataloader.drop_last=True')),
    (['batch_size=1'], ('batches of 1', 'train_dataloader.batch_size to 2 or more')),
    (['batch_size=8', 'drop_last=True'], None),
    (['batch_size=16', 'drop_last=True'], ('no batch in an epoch: 9 images, batches of 16', 'smaller batches')),
    (['batch_size=8', 'dataset.indices=1'], ('1 images in batches of 8', 'two images or more'))])
def test_last_batch_of_one_image(run_dir, tool, monkeypatch, options, parts):
    """A batch norm over 1x1 maps cannot train with one image: said before the start, with the key to set."""
    monkeypatch.setattr('mmengine.runner.Runner.train', lambda runner: None)
    outcome = tool('train', conftest.ROOT / 'configs' / 'seg' / 'deeplabv3_mvit3_xxs_camvid.py', '--mini', '--cfg-options',
                   'train_dataloader.dataset.indices=9', *(f'train_dataloader.{option}' for option in options))
    assert outcome.code == (1 if parts else 0), outcome.output
    assert 'Traceback' not in outcome.output and all(part in outcome.output for part in parts or ()), outcome.output


@pytest.mark.parametrize('head, name', [('deeplabv3', 'decode_head.image_pool'), ('pspnet', 'decode_head.psp_modules.0')])
def test_what_one_image_cannot_train(head, name):
    """The norm that the check names is the one that fails."""
    cfg = Config.fromfile(conftest.ROOT / 'configs' / 'seg' / f'{head}_mvit3_1.0_ade20k.py')
    model = revert_sync_batchnorm(MODELS.build(cfg.model | dict(_scope_='mmseg'))).train()
    loader = DataLoader(range(9), batch_size=8)
    with pytest.raises(UsageError, match=name.replace('.', r'\.')):
        check_last_batch(cfg, model, loader)
    check_last_batch(cfg, model.backbone, loader)
    with pytest.raises(ValueError, match='more than 1 value per channel'):
        model.get_submodule(name)(torch.rand(1, model.backbone.out_channels[-1], 4, 4))
