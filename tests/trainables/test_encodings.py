"""Codes as attackers get them: standardised, flipped before encoding, the same cached or not."""

import numpy as np
import pytest
import torch
from torch import nn

from trainables.data.config import DataConfig
from trainables.data.dataset import load_dataset
from trainables.encodings import Encodings
from trainables.frozen import (
    FrozenEncoder,
    constant_encoder,
    identity_encoder,
    load_encoder,
    save_labels_encoder,
    save_network_encoder,
)
from trainables.nets.backbones import CodeSpec, base_channels, build_encoder, code_spec
from trainables.nets.config import ModelConfig
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
    net = build_encoder(model).eval().requires_grad_(False)
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
    net, spec = build_encoder(model), code_spec(model, 32, 48)
    decoder = build_decoder(spec, 32, 48, base_channels(model))
    images = torch.rand(4, 3, 32, 48)
    net(images)  # running statistics off their start
    save_network_encoder(tmp_path / "e.pt", model, 32, 48, net, decoder)
    encoder = load_encoder(str(tmp_path / "e.pt"), 32, 48)
    torch.testing.assert_close(encoder.encode(images, images), net.eval()(images))
    assert encoder.in_loop_decoder is not None
    before = encoder.hash()
    encoder.encode(images, images)
    assert encoder.hash() == before
    with torch.no_grad():
        next(net.parameters())[0, 0, 0, 0] += 1e-6
    save_network_encoder(tmp_path / "f.pt", model, 32, 48, net, None)
    assert load_encoder(str(tmp_path / "f.pt"), 32, 48).hash() != before
    with pytest.raises(ValueError, match="32x48"):
        load_encoder(str(tmp_path / "e.pt"), 64, 64)
