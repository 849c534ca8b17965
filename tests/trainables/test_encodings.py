"""Codes as attackers get them: standardised, flipped before encoding, the same cached or not."""

import numpy as np
import pytest
import torch
from torch import nn

from trainables import encodings as encodings_module
from trainables.data.config import DataConfig
from trainables.data.dataset import load_dataset
from trainables.encodings import Encodings
from trainables.frozen import (
    FixedCode,
    FrozenEncoder,
    InLoop,
    constant_encoder,
    fixed_encoder,
    identity_encoder,
    load_encoder,
    save_fixed_encoder,
    save_labels_encoder,
    save_network_encoder,
)
from trainables.nets.backbones import (
    CodeSpec,
    base_channels,
    build_adversary,
    build_encoder,
    code_spec,
)
from trainables.nets.config import EncoderStyle, ModelConfig
from trainables.nets.decoders import build_decoder

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    config = DataConfig(num_images=400, image_size=32, private=("Beard",))
    return load_dataset(config, tmp_path_factory.mktemp("stores"))


class Scaled(nn.Module):
    """The image, scaled and shifted per channel."""

    def __init__(self, scale, shift):
        super().__init__()
        self.scale, self.shift = scale, shift

    def forward(self, images):
        return images * self.scale + self.shift


def scaled(scale, shift=0.0):
    return FrozenEncoder("network", CodeSpec("input", (3, 32, 32)), Scaled(scale, shift))


@pytest.mark.parametrize(("scale", "shift"), [(1e-4, 0.0), (1e4, 0.0), (1.0, 100.0)])
def test_scale_and_offset_of_an_encoder_do_not_reach_the_attacker(dataset, scale, shift):
    plain = Encodings(scaled(1.0), dataset, CPU)
    other = Encodings(scaled(scale, shift), dataset, CPU)
    for a, b in zip(plain.split_batches("test"), other.split_batches("test"), strict=True):
        torch.testing.assert_close(a.codes, b.codes, atol=2e-3, rtol=1e-3)


def test_codes_have_zero_mean_and_unit_variance_over_the_public_split(dataset):
    encodings = Encodings(scaled(3.0, 1.0), dataset, CPU)
    rows = dataset.rows("public")
    codes = encodings.public_batch(rows, np.zeros(len(rows), bool)).codes
    torch.testing.assert_close(codes.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(codes.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-4, rtol=0)


def test_constant_codes_stay_finite(dataset):
    encodings = Encodings(constant_encoder(), dataset, CPU)
    for batch in encodings.split_batches("selection"):
        assert (batch.codes == 0).all()


def test_the_flipped_image_is_encoded_not_the_code(dataset):
    model = ModelConfig(width=0.125, cut_point="conv3")
    torch.manual_seed(0)
    net = build_encoder(model, 32, 32).eval().requires_grad_(False)
    encoder = FrozenEncoder("network", code_spec(model, 32, 32), net)
    cached = Encodings(encoder, dataset, CPU)
    streamed = Encodings(encoder, dataset, CPU, budget_bytes=0)
    rows = dataset.rows("public")[[3, 1, 7, 5]]
    flip = np.array([True, False, True, False])
    batch = cached.public_batch(rows, flip)
    originals = torch.from_numpy(dataset.store.images[rows].copy()).permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(batch.images[0], originals[0].flip(2))
    torch.testing.assert_close(batch.images[1], originals[1])
    expected = cached.standardise(net(originals[0].flip(2).unsqueeze(0)))
    torch.testing.assert_close(batch.codes[0], expected[0], atol=1e-4, rtol=1e-3)
    # With or without the cache an attacker sees the same.
    again = streamed.public_batch(rows, flip)
    torch.testing.assert_close(again.codes, batch.codes, atol=1e-4, rtol=1e-3)
    for a, b in zip(cached.split_batches("test"), streamed.split_batches("test"), strict=True):
        torch.testing.assert_close(a.codes, b.codes, atol=1e-4, rtol=1e-3)


def test_encoders_without_a_net(dataset, tmp_path):
    images, labels = torch.rand(2, 3, 32, 32), torch.tensor([[1.0, 0, 1], [0, 1, 1]])
    assert identity_encoder(32, 32).encode(images, labels) is images
    assert constant_encoder().encode(images, labels).unique().tolist() == [0.0]
    save_labels_encoder(tmp_path / "labels.pt", (0, 2))
    encoder = load_encoder(str(tmp_path / "labels.pt"), 32, 32)
    assert encoder.encode(images, labels).tolist() == [[1, 1], [0, 1]]
    assert encoder.spec.shape == (2,)


def test_saved_network_is_the_same_frozen(tmp_path):
    model = ModelConfig(width=0.125, cut_point="conv2")
    net, spec = build_encoder(model, 32, 48), code_spec(model, 32, 48)
    decoder = build_decoder(spec, 32, 48, base_channels(model))
    images = torch.rand(4, 3, 32, 48)
    net(images)  # running statistics off their start
    save_network_encoder(tmp_path / "e.pt", model, 32, 48, net, InLoop(decoder))
    encoder = load_encoder(str(tmp_path / "e.pt"), 32, 48)
    torch.testing.assert_close(encoder.encode(images, images), net.eval()(images))
    assert encoder.in_loop.decoder is not None
    before = encoder.hash()
    encoder.encode(images, images)
    assert encoder.hash() == before
    with torch.no_grad():
        next(net.parameters())[0, 0, 0, 0] += 1e-6
    save_network_encoder(tmp_path / "f.pt", model, 32, 48, net, InLoop())
    assert load_encoder(str(tmp_path / "f.pt"), 32, 48).hash() != before
    with pytest.raises(ValueError, match="32x48"):
        load_encoder(str(tmp_path / "e.pt"), 64, 64)


def test_saved_style_and_classifier_are_there_again(tmp_path):
    model = ModelConfig(width=0.125, cut_point="conv3")
    style, size = EncoderStyle(normalisation="per_location", constrained=True), (32, 48)
    net = build_encoder(model, *size, style)
    classifier = build_adversary(model, code_spec(model, *size), 2)
    images = torch.rand(4, 3, 32, 48)
    classifier(net(images))
    path = tmp_path / "e.pt"
    save_network_encoder(path, model, *size, net, InLoop(classifier=classifier), style, 2)
    encoder = load_encoder(str(path), *size)
    codes = encoder.encode(images, images)
    torch.testing.assert_close(codes, net.eval()(images))
    assert codes.abs().max() < 1  # behind a tanh
    assert encoder.in_loop.decoder is None
    torch.testing.assert_close(encoder.in_loop.classifier(codes), classifier.eval()(codes))
    frozen = [*encoder.net.parameters(), *encoder.in_loop.classifier.parameters()]
    assert not any(weight.requires_grad for weight in frozen)


@pytest.mark.parametrize(
    ("code", "shape"),
    [
        (FixedCode("identity"), (3, 32, 32)),
        (FixedCode("blur", 0.5), (3, 4, 4)),
        (FixedCode("noise", 0.3), (3, 32, 32)),
    ],
)
def test_saved_fixed_code_is_the_same_again(tmp_path, code, shape):
    images, labels = torch.rand(2, 3, 32, 32), torch.zeros(2, 3)
    save_fixed_encoder(tmp_path / "c.pt", code)
    loaded, made = load_encoder(str(tmp_path / "c.pt"), 32, 32), fixed_encoder(code, 32, 32)
    codes = loaded.encode(images, labels, seed=3)
    assert codes.shape[1:] == loaded.spec.shape == shape
    torch.testing.assert_close(codes, made.encode(images, labels, seed=3), rtol=0, atol=0)
    assert loaded.hash() == made.hash()
    assert loaded.stochastic is (code.kind == "noise")


def test_fixed_codes_of_another_strength_have_another_hash():
    codes = [FixedCode(k, s) for k in ("blur", "noise") for s in (0.1, 0.2)]
    hashes = {fixed_encoder(code, 32, 32).hash() for code in codes}
    assert len(hashes) == 4


def noisy(sigma=0.3):
    return fixed_encoder(FixedCode("noise", sigma), 32, 32)


def test_noise_differs_between_batches_and_repeats_with_the_same_batch(dataset):
    encodings = Encodings(noisy(), dataset, CPU)
    rows = dataset.rows("public")[:8]
    plain, mirrored = np.zeros(8, bool), np.ones(8, bool)

    def noise(chosen, flip):
        batch = encodings.public_batch(chosen, flip)
        return batch.codes * encodings.scale + encodings.mean - batch.images

    first = noise(rows, plain)
    assert first.std().item() == pytest.approx(0.3, rel=0.03)
    torch.testing.assert_close(noise(rows, plain), first, rtol=0, atol=0)
    # The same images in another batch, or mirrored, are sent again: under other noise.
    for other in (noise(rows[::-1].copy(), plain).flip(0), noise(rows, mirrored)):
        assert torch.corrcoef(torch.stack([first.flatten(), other.flatten()]))[0, 1].abs() < 0.05


def test_an_evaluation_of_noisy_codes_is_the_same_again(dataset):
    encodings = Encodings(noisy(), dataset, CPU)
    again = Encodings(noisy(), dataset, CPU)
    for split in ("selection", "test"):
        once, twice, other = (
            torch.cat([batch.codes for batch in one.split_batches(split)])
            for one in (encodings, encodings, again)
        )
        torch.testing.assert_close(once, twice, rtol=0, atol=0)
        torch.testing.assert_close(once, other, rtol=0, atol=0)


def test_splits_and_their_batches_are_under_different_noise(dataset, monkeypatch):
    monkeypatch.setattr(encodings_module, "ENCODE_BATCH", 8)
    encodings = Encodings(noisy(), dataset, CPU)
    noises = [
        (batch.codes * encodings.scale + encodings.mean - batch.images).flatten()
        for split in ("selection", "test")
        for batch in list(encodings.split_batches(split))[:2]
    ]
    correlations = torch.corrcoef(torch.stack(noises))
    assert (correlations - torch.eye(4)).abs().max() < 0.05


def test_views_are_encoded_anew_and_the_same_again_for_a_seed(dataset):
    encodings = Encodings(scaled(3.0, 1.0), dataset, CPU)
    rows, flip = dataset.rows("public")[:16], np.zeros(16, bool)
    plain, views = encodings.public_batch(rows, flip), encodings.public_batch(rows, flip, views=1)
    again = encodings.public_batch(rows, flip, views=1)
    assert torch.equal(views.codes, again.codes)
    assert not torch.equal(views.codes, encodings.public_batch(rows, flip, views=2).codes)
    assert not torch.allclose(views.images, plain.images, atol=0.01)
    # The code is that of the view, standardised as all codes are.
    codes = encodings.standardise(views.images * 3.0 + 1.0)
    torch.testing.assert_close(views.codes, codes, atol=1e-4, rtol=1e-4)
    assert torch.equal(views.labels, plain.labels)
