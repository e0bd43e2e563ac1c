"""segmentation_models_pytorch takes our backbones from timm as `tu-mobilevitv3_*`."""
import pytest
import segmentation_models_pytorch as smp
import torch

import mvit3_bench.integrations  # noqa: F401

DECODERS = ('Unet', 'FPN', 'DeepLabV3Plus', 'PSPNet')


@pytest.mark.parametrize('name', ['mobilevitv3_s', 'mobilevitv3_050'])
@pytest.mark.parametrize('decoder', DECODERS)
def test_training_step(decoder, name):
    """A step of training reaches every parameter of the backbone that runs, and lowers nothing to NaN."""
    model = getattr(smp, decoder)(f'tu-{name}', encoder_weights=None, classes=3)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    logits = model(torch.rand(2, 3, 96, 128))
    assert logits.shape == (2, 3, 96, 128)
    torch.nn.functional.cross_entropy(logits, torch.randint(3, (2, 96, 128))).backward()
    without = [key for key, value in model.encoder.named_parameters() if value.grad is None]
    assert not without
    optimizer.step()
    assert model.eval()(torch.rand(1, 3, 96, 96)).isfinite().all()


@pytest.mark.parametrize('decoder', DECODERS)
def test_odd_sizes(decoder):
    """Where smp allows any size, the output has it; elsewhere smp says which sizes it wants."""
    model = getattr(smp, decoder)('tu-mobilevitv3_050', encoder_weights=None, classes=3).eval()
    images = torch.rand(1, 3, 101, 75)
    if model.requires_divisible_input_shape:
        with pytest.raises(RuntimeError, match='height and width divisible by'):
            model(images)
    else:
        assert model(images).shape == (1, 3, 101, 75)
