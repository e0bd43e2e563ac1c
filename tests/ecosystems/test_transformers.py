"""transformers takes our backbones from timm, without a network: TimmBackbone in its models, TimmWrapper as a classifier."""
import timm
import torch
import transformers

from mvit3_bench.integrations.timm import save_for_hub
from mvit3_bench.models.archs import get_arch

WIDTHS = get_arch('v3', 'xxs').widths
SMALL = dict(d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
             encoder_ffn_dim=32, decoder_ffn_dim=32)


def backbone(*indices):
    """The config of our backbone, with random weights."""
    return transformers.TimmBackboneConfig(backbone='mobilevitv3_xxs', use_pretrained_backbone=False, out_indices=indices)


def trains(model, **labels):
    """A step of training that reaches the first convolution of our backbone."""
    loss = model.train()(pixel_values=torch.rand(2, 3, 96, 96), **labels).loss
    loss.backward()
    key, weight = next((key, value) for key, value in model.named_parameters() if key.endswith('stem.conv.weight'))
    assert loss.isfinite() and weight.grad.abs().sum() > 0, key


def boxes():
    return [dict(class_labels=torch.tensor([1]), boxes=torch.tensor([[0.5, 0.5, 0.4, 0.3]]))] * 2


def test_rt_detr():
    config = transformers.RTDetrConfig(
        backbone_config=backbone(2, 3, 4), encoder_in_channels=list(WIDTHS[2:]), encoder_hidden_dim=32, d_model=32,
        encoder_ffn_dim=32, decoder_ffn_dim=32, decoder_in_channels=[32] * 3, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, num_queries=20, num_denoising=0, num_labels=3)
    trains(transformers.RTDetrForObjectDetection(config), labels=boxes())


def test_detr():
    config = transformers.DetrConfig(backbone_config=backbone(4), use_timm_backbone=False, backbone=None, num_queries=10,
                                     num_labels=3, **SMALL)
    trains(transformers.DetrForObjectDetection(config), labels=boxes())


def test_mask2former():
    config = transformers.Mask2FormerConfig(
        backbone_config=backbone(1, 2, 3, 4), feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_layers=1,
        decoder_layers=2, num_attention_heads=2, dim_feedforward=32, encoder_feedforward_dim=32, num_queries=10,
        num_labels=3, train_num_points=64)
    masks = torch.zeros(1, 96, 96)
    masks[:, 20:60, 20:60] = 1
    trains(transformers.Mask2FormerForUniversalSegmentation(config), mask_labels=[masks] * 2,
           class_labels=[torch.tensor([1])] * 2)


def test_upernet():
    config = transformers.UperNetConfig(backbone_config=backbone(1, 2, 3, 4), hidden_size=32, num_labels=3,
                                        auxiliary_in_channels=WIDTHS[3], auxiliary_channels=16)
    trains(transformers.UperNetForSemanticSegmentation(config), labels=torch.randint(3, (2, 96, 96)))


def test_wrapper(tmp_path):
    """A classifier that trains a step, is saved, and comes back the same; so does one of `mvit3 convert --to hub`."""
    config = transformers.TimmWrapperConfig(architecture='mobilevitv3_xxs', num_labels=4)
    model = transformers.TimmWrapperForImageClassification(config)
    trains(model, labels=torch.tensor([0, 3]))
    model.eval().save_pretrained(tmp_path)
    again = transformers.AutoModelForImageClassification.from_pretrained(tmp_path).eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(again(images).logits, model(images).logits, atol=1e-6)
    model = timm.create_model('mobilevitv3_xxs', num_classes=5).eval()
    save_for_hub(tmp_path / 'hub', 'mobilevitv3_xxs', model.state_dict())
    again = transformers.AutoModelForImageClassification.from_pretrained(tmp_path / 'hub').eval()
    with torch.no_grad():
        assert torch.allclose(again(images).logits, model(images), atol=1e-6)
