"""VGG-16 as in DeepObfuscator's Table 1, the scene network as far as Pittaluga's text goes."""

import pytest
import torch
from torch import nn
from torchvision.models.vgg import cfgs, make_layers

from trainables.nets.backbones import (
    CodeSpec,
    base_channels,
    build_classifier,
    build_encoder,
    code_spec,
)
from trainables.nets.config import EncoderStyle, ModelConfig
from trainables.nets.decoders import MIN_DECODER_CHANNELS, build_decoder
from trainables.nets.normalisation import PerLocationNorm

SCENE = ModelConfig(backbone="scene", width=0.125)


def convolutions(net):
    return [p.weight.shape[:2] for p in net.modules() if isinstance(p, nn.Conv2d)]


def count(net, kind):
    return sum(isinstance(part, kind) for part in net.modules())


def test_at_width_one_vgg_is_torchvisions():
    ours = build_encoder(ModelConfig(backbone="vgg16", cut_point="pool5"), 32, 64)
    reference = make_layers(cfgs["D"], batch_norm=True)
    state = reference.state_dict()
    # Their convolutions have biases, of which the normalisation behind them leaves nothing.
    convolved = [name for name, part in reference.named_modules() if isinstance(part, nn.Conv2d)]
    weights = [state[name] for name in state if name not in {f"{c}.bias" for c in convolved}]
    ours.load_state_dict(dict(zip(ours.state_dict(), weights, strict=True)))
    for part in reference.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.zeros_(part.bias)
    images = torch.rand(2, 3, 32, 64)
    torch.testing.assert_close(ours.eval()(images), reference.eval()(images))


def test_obfuscator_and_classifier_are_table_1s():
    # On the meta device there are shapes and no weights.
    config = ModelConfig(backbone="vgg16", head_width=4096)
    assert config.cut_point == "pool2"
    spec = code_spec(config, 216, 176)
    assert spec == CodeSpec("pool2", (128, 54, 44))
    with torch.device("meta"):
        encoder = build_encoder(config, 216, 176)
        classifier = build_classifier(config, spec, 5)
        code = encoder(torch.rand(2, 3, 216, 176))
        assert code.shape == (2, 128, 54, 44)
        assert classifier(code).shape == (2, 5)
    assert convolutions(encoder) == [(64, 3), (64, 64), (128, 64), (128, 128)]
    assert count(encoder, nn.BatchNorm2d) == 4
    wide = [(256, 128), (256, 256), (256, 256), (512, 256)] + [(512, 512)] * 5
    assert convolutions(classifier) == wide
    # 54x44 halved three times, odd rows and columns dropped: 6x5.
    connected = [tuple(p.weight.shape) for p in classifier.modules() if isinstance(p, nn.Linear)]
    assert connected == [(4096, 512 * 6 * 5), (4096, 4096), (5, 4096)]


def test_the_reconstructor_is_table_1s():
    decoder = build_decoder(CodeSpec("pool2", (128, 54, 44)), 216, 176, 64)
    assert convolutions(decoder) == [(128, 128), (64, 128), (64, 64), (3, 64)]
    order = [type(p) for p in decoder if isinstance(p, nn.Upsample | nn.Conv2d | nn.BatchNorm2d)]
    up, conv, norm = nn.Upsample, nn.Conv2d, nn.BatchNorm2d
    assert order == [norm, up, conv, norm, conv, norm, up, conv, norm, conv]
    assert not decoder[0].affine
    deep = build_decoder(CodeSpec("pool3", (16, 2, 2)), 16, 16, 4)
    narrowest = MIN_DECODER_CHANNELS
    assert convolutions(deep) == [
        (4 * narrowest, 16), (4 * narrowest, 4 * narrowest), (2 * narrowest, 4 * narrowest),
        (2 * narrowest, 2 * narrowest), (narrowest, 2 * narrowest),
        (narrowest, narrowest), (3, narrowest),
    ]  # fmt: skip


def test_the_scene_code_is_a_small_picture_of_unit_variance_behind_a_tanh():
    encoder = build_encoder(SCENE, 32, 48).train()
    assert code_spec(SCENE, 224, 224).shape == (3, 28, 28)
    torch.manual_seed(0)
    images = torch.rand(16, 3, 32, 48)
    before = encoder[:-1](images)
    assert before.shape == (16, *code_spec(SCENE, 32, 48).shape)
    torch.testing.assert_close(before.mean(0), torch.zeros(3, 4, 6), atol=1e-4, rtol=0)
    spread = before.var(0, correction=0)
    torch.testing.assert_close(spread, torch.ones(3, 4, 6), atol=1e-2, rtol=0)
    torch.testing.assert_close(encoder(images), before.tanh())


def test_every_scene_convolution_is_normalised_per_location_and_nothing_has_a_bias():
    encoder = build_encoder(SCENE, 32, 32)
    assert count(encoder, nn.Conv2d) == 7
    assert count(encoder, PerLocationNorm) == 7
    assert count(encoder, nn.BatchNorm2d) == 0
    assert not [name for name, _ in encoder.named_parameters() if "bias" in name]
    for normalisation in ("per_location", "batch", "none"):
        other = build_encoder(SCENE, 32, 32, EncoderStyle(normalisation=normalisation))
        assert not [name for name, _ in other.named_parameters() if "bias" in name]
        # Constrained even where the style does not ask for it.
        assert isinstance(other[-1], nn.Tanh)
        assert count(other, nn.BatchNorm2d) == (7 if normalisation == "batch" else 0)


def test_the_scene_encoder_sees_112_pixels():
    config = ModelConfig(backbone="scene", width=0.0625)
    encoder = build_encoder(config, 160, 160, EncoderStyle(normalisation="none")).eval().double()
    for weight in encoder.parameters():
        # Positive weights and images: every ReLU is open, nothing cancels.
        nn.init.uniform_(weight, 0.01, 0.02)
    torch.manual_seed(0)
    # A max pool passes gradients to one pixel in four; over several images every edge gets some.
    images = torch.rand(8, 3, 160, 160, dtype=torch.double, requires_grad=True)
    encoder[:-2](images)[:, :, 10, 10].sum().backward()
    seen = images.grad.abs().sum(dim=(0, 1)) > 0
    for side in (seen.any(0), seen.any(1)):
        pixels = side.nonzero().flatten()
        assert int(pixels[-1] - pixels[0]) + 1 == 112


@pytest.mark.parametrize(("side", "pools"), [(3, 0), (4, 1), (28, 3)])
def test_the_scene_classifier_pools_while_there_is_room(side, pools):
    spec = CodeSpec("code", (3, side, side))
    classifier = build_classifier(SCENE, spec, 2)
    assert classifier(torch.rand(4, 3, side, side)).shape == (4, 2)
    assert count(classifier, nn.MaxPool2d) == pools
    assert count(classifier, nn.Conv2d) == 2 * (pools + 1)
    assert count(classifier, nn.BatchNorm2d) == 2 * (pools + 1)
    assert convolutions(classifier)[-1][0] == base_channels(SCENE) * min(4, 2**pools)


def test_the_scene_classifier_of_images_has_no_bottleneck():
    classifier = build_classifier(SCENE, CodeSpec("input", (3, 32, 48)), 2)
    assert classifier(torch.rand(4, 3, 32, 48)).shape == (4, 2)
    base = base_channels(SCENE)
    factors = [1, 2, 2, 4, 4, 4, 4, 4, 4, 4]
    assert [out for out, _ in convolutions(classifier)] == [base * factor for factor in factors]


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "vgg16", "scene"])
def test_small_pictures_and_whole_images_are_classified_and_decoded(backbone):
    config = ModelConfig(backbone=backbone, width=0.125)
    for spec in (CodeSpec("image", (3, 4, 6)), CodeSpec("input", (3, 32, 48))):
        codes = torch.rand(2, *spec.shape)
        logits = build_classifier(config, spec, 5)(codes)
        assert logits.shape == (2, 5)
        pictures = build_decoder(spec, 32, 48, 8)(codes)
        assert pictures.shape == (2, 3, 32, 48)
        assert pictures.min() >= 0
        assert pictures.max() <= 1


def test_behind_a_small_picture_comes_what_follows_stride_8():
    image, input_ = CodeSpec("image", (3, 8, 8)), CodeSpec("input", (3, 64, 64))
    for backbone, cut in (("resnet18", "conv3"), ("vgg16", "pool3")):
        config = ModelConfig(backbone=backbone, cut_point=cut, width=0.125)
        rest = convolutions(build_classifier(config, code_spec(config, 64, 64), 2))
        small = convolutions(build_classifier(config, image, 2))
        assert small == [(code_spec(config, 64, 64).shape[0], 3), *rest]
        encoder = convolutions(build_encoder(config, 64, 64))
        assert convolutions(build_classifier(config, input_, 2)) == encoder + rest


@pytest.mark.parametrize("backbone", ["resnet18", "vgg16", "scene"])
def test_codes_of_another_backbone_are_refused(backbone):
    config = ModelConfig(backbone=backbone, width=0.125)
    with pytest.raises(ValueError, match=f"cut_point 'stem' has no {backbone} behind it; one of"):
        build_classifier(config, CodeSpec("stem", (3, 8, 8)), 2)
