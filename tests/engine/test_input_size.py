"""The size of the images that a config sees, whatever form the pipeline gives it in."""
import pytest
from mmcv.transforms import CenterCrop
from mmengine.config import Config

from mvit3_bench.engine.input_size import input_size


@pytest.mark.parametrize('step, size', [
    (dict(type='Resize', scale=256), (256, 256)), (dict(type='mmcv.Resize', scale=(320, 160)), (160, 320)),
    (dict(type='CenterCrop', crop_size=224), (224, 224)),
    (dict(type=CenterCrop, crop_size=192), (192, 192)), (dict(type='Resize', scale_factor=0.5), (64, 64))])
def test_input_size(step, size):
    """A number for both sides, a scale of (width, height), and no scale at all."""
    assert input_size(Config(dict(test_pipeline=[step], model=dict(data_preprocessor=dict(size=64))))) == size


def test_pipeline_of_the_loader():
    """What the loader has counts, not a variable of the file."""
    step = dict(type='CenterCrop', crop_size=48)
    loader = dict(dataset=dict(type='CustomDataset', pipeline=[step]))
    assert input_size(Config(dict(test_pipeline=[step | dict(crop_size=32)], test_dataloader=loader, model={}))) == (48, 48)


def test_none_in_the_config():
    """A key that a config sets to None is as one that it lacks."""
    with pytest.raises(ValueError, match='no fixed size'):
        input_size(Config(dict(test_pipeline=None, model=dict(data_preprocessor=None))))
