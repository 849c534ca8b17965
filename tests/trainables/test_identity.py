"""The identity model: settings, files, preprocessing, programs, and the network nobody brought."""

import json
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from trainables.data.config import DataConfig
from trainables.data.dataset import load_dataset
from trainables.identity import (
    IdentityConfig,
    IdentityModel,
    attacker_rows,
    build_identity,
    check_identity,
)
from trainables.identity.mobilefacenet import MobileFaceNet, fold, load_mobilefacenet
from trainables.identity.model import View, make_view
from trainables.identity.safetensors import read_safetensors


def _file_config(name, path, **more):
    return IdentityConfig(identity_model=name, identity_weights=path, **more)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    config = DataConfig(num_images=400, image_size=(16, 20), fractions=(0.2, 0.4, 0.2, 0.2))
    return load_dataset(config, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """MobileFaceNet with random weights and statistics, as torch saves them."""
    torch.manual_seed(0)
    net = MobileFaceNet()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    path = tmp_path_factory.mktemp("weights") / "face.pt"
    torch.save(net.state_dict(), path)
    return path


def test_files_are_demanded_and_refused(tmp_path):
    for name in ("mobilefacenet", "torchscript", "exported"):
        with pytest.raises(ValueError, match=f"a file is needed.*identity_model='{name}'"):
            IdentityConfig(identity_model=name)
    for name in ("none", "public"):
        with pytest.raises(ValueError, match="only there.*got identity_model"):
            _file_config(name, tmp_path / "x.pt")
    assert _file_config("exported", "x.pt2").identity_weights.is_absolute()


def test_sizes_and_ranges_that_a_model_cannot_have_are_refused():
    with pytest.raises(ValueError, match=r"identity_range.*low below high; got \[1.0, 0.0\]"):
        _file_config("exported", "x", identity_range=(1, 0))
    with pytest.raises(ValueError, match=r"identity_size.*\[160, 160\]"):
        _file_config("mobilefacenet", "x", identity_size=(160, 160))
    with pytest.raises(ValueError, match="identity_crop"):
        _file_config("mobilefacenet", "x", identity_crop=(0.5, 1.5))
    config = _file_config("exported", "x", identity_size=(160, 160), identity_range=(-1, 1))
    assert IdentityConfig(**json.loads(config.model_dump_json())) == config


def test_default_range_is_the_networks():
    low, high = IdentityConfig().identity_range
    assert (low, high) == ((0 - 127.5) / 128, (255 - 127.5) / 128)


def test_view_of_a_stored_celeba_image_is_the_face_models_crop(tmp_path):
    # Stored: a square of 0.8 of the width around the face. Φ: 0.65 of it and 7/6 of that high.
    data = DataConfig(source="celeba", root=tmp_path, image_size=48)
    left, top, right, bottom = make_view(IdentityConfig(), data).box
    assert right - left == pytest.approx(0.65 / 0.8)
    assert bottom - top == pytest.approx(0.65 * 112 / 96 / 0.8)
    assert left + right == pytest.approx(1)
    assert top + bottom == pytest.approx(1)
    # DeepObfuscator's upright images show more above and below.
    tall = data.model_copy(update={"image_size": (216, 176)})
    left, top, right, bottom = make_view(IdentityConfig(), tall).box
    assert right - left == pytest.approx(0.65 / 0.8)
    assert bottom - top == pytest.approx(0.65 * 112 / 96 / (0.8 * 216 / 176))


def test_view_of_other_sources_keeps_the_aspect():
    left, top, right, bottom = make_view(IdentityConfig(), DataConfig(image_size=48)).box
    assert (top, bottom) == (0, 1)
    assert (right - left) == pytest.approx(96 / 112)
    own = IdentityConfig(identity_crop=(0.5, 0.25))
    assert make_view(own, DataConfig()).box == (0.375, 0.25, 0.625, 0.75)


def test_view_cuts_resizes_and_scales():
    images = torch.zeros(1, 3, 20, 10)
    images[:, :, 5:15, 1:9] = 1
    view = View((0.1, 0.25, 0.9, 0.75), (6, 4), -2, 4)
    torch.testing.assert_close(view(images), torch.full((1, 3, 6, 4), 4.0))
    torch.testing.assert_close(view(images * 0.5), torch.full((1, 3, 6, 4), 1.0))
    # Grain shrinks to grey: of 64 pixels each, not of the few that are hit.
    grain = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert View(size=(8, 8))(grain).std() < 0.1 < grain.std()


def test_view_of_the_mirrored_image_is_the_mirrored_view():
    view = View((0.1, 0.03, 0.9, 0.9), (11, 9))
    images = torch.rand(2, 3, 23, 17, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(view(images.flip(3)), view(images).flip(3))


def test_folding_changes_no_feature(weights):
    net = load_mobilefacenet(weights)
    images = torch.rand(2, 3, 112, 96) * 2 - 1
    with torch.no_grad():
        plain = net(images)
        folded = fold(net)
        assert not any(isinstance(part, nn.BatchNorm2d) for part in folded.modules())
        torch.testing.assert_close(folded(images), plain, atol=1e-4, rtol=1e-4)
    assert plain.shape == (2, 128)


def test_mobilefacenet_is_frozen_and_passes_gradients(weights, dataset):
    model = build_identity(_file_config("mobilefacenet", weights), dataset, weights.parent)
    assert isinstance(model, IdentityModel)
    images = torch.rand(18, 3, 16, 20, requires_grad=True)
    features = model.train()(images)
    assert features.shape == (18, model.num_features) == (18, 128)
    assert not model.net.training
    features.sum().backward()
    assert images.grad.abs().flatten(1).sum(dim=1).min() > 0
    assert not any(weight.requires_grad for weight in model.parameters())
    # More than a chunk at once, and alone: the same.
    torch.testing.assert_close(model(images[17:]), features[17:], atol=1e-4, rtol=1e-4)
    assert not model(images.detach()).requires_grad
    assert model(images[:0]).shape == (0, 128)


def test_hash_tells_weights_and_preprocessing_apart(weights, dataset, tmp_path):
    config = _file_config("mobilefacenet", weights)
    model = build_identity(config, dataset, tmp_path)
    assert build_identity(config, dataset, tmp_path).hash == model.hash
    cropped = config.model_copy(update={"identity_crop": (0.5, 0.5)})
    assert build_identity(cropped, dataset, tmp_path).hash != model.hash
    state = torch.load(weights)
    state["linear1.conv.weight"][0, 0] += 1e-3
    torch.save(state, tmp_path / "other.pt")
    other = build_identity(_file_config("mobilefacenet", tmp_path / "other.pt"), dataset, tmp_path)
    assert other.hash != model.hash
    assert json.loads(json.dumps(model.describe()))["size"] == [112, 96]


def test_files_that_hold_no_mobilefacenet_are_refused(weights, tmp_path):
    def refused(path, match):
        with pytest.raises(ValueError, match=match):
            check_identity(_file_config("mobilefacenet", path))

    check_identity(_file_config("mobilefacenet", weights))
    refused(tmp_path / "absent.pt", "attack.identity_weights: no file at .*absent.pt")
    (tmp_path / "text.pt").write_text("no weights")
    refused(tmp_path / "text.pt", "text.pt is readable neither")
    (tmp_path / "text.safetensors").write_text("no weights")
    refused(tmp_path / "text.safetensors", "is no safetensors file")
    state = torch.load(weights)
    torch.save({**state, "conv1.conv.weight": torch.zeros(64, 1, 3, 3)}, tmp_path / "grey.pt")
    refused(tmp_path / "grey.pt", r"'conv1.conv.weight' must have shape \[64, 3, 3, 3\], got \[64")
    torch.save(
        {**state, "conv1.conv.weight": torch.full((64, 3, 3, 3), torch.nan)},
        path := (tmp_path / "nan.pt"),
    )
    refused(path, "'conv1.conv.weight' is not all finite")
    del state["conv2.prelu.weight"]
    torch.save(state, tmp_path / "less.pt")
    refused(tmp_path / "less.pt", "'conv2.prelu.weight'.*got nothing")


def _write_safetensors(path, header, data):
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def test_safetensors_by_hand(tmp_path):
    header = {
        "__metadata__": {"made": "here"},
        "a": {"dtype": "F32", "shape": [2, 1], "data_offsets": [2, 10]},
        "b": {"dtype": "F16", "shape": [], "data_offsets": [0, 2]},
        "c": {"dtype": "F32", "shape": [0], "data_offsets": [10, 10]},
    }
    data = np.float16(0.5).tobytes() + np.array([1.5, -2], dtype="<f4").tobytes()
    tensors = read_safetensors(_write_safetensors(tmp_path / "x", header, data))
    assert set(tensors) == {"a", "b", "c"}
    assert tensors["a"].tolist() == [[1.5], [-2.0]]
    assert tensors["b"].item() == 0.5
    assert tensors["c"].shape == (0,)
    with pytest.raises(ValueError, match="'a' of shape .* needs 8 bytes, .* 2 to 10 of 6"):
        read_safetensors(_write_safetensors(tmp_path / "short", header, data[:6]))
    header["b"]["dtype"] = "F4"
    with pytest.raises(ValueError, match="'b' is of type F4; known: F64, F32"):
        read_safetensors(_write_safetensors(tmp_path / "type", header, data))


def test_safetensors_agree_with_the_library(tmp_path):
    library = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
    tensors = {"x": torch.randn(3, 4), "y": torch.arange(5), "z": torch.randn(2).bfloat16()}
    library.save_file(tensors, tmp_path / "x.safetensors", {"note": "hello"})
    for name, value in read_safetensors(tmp_path / "x.safetensors").items():
        torch.testing.assert_close(value, tensors[name], rtol=0, atol=0)


class _Program(nn.Module):
    """Features anyone can compute: the means of the left and of the right half, per channel."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return self.weight * nn.functional.adaptive_avg_pool2d(x, (1, 2)).flatten(1)


def _save_program(name, path, batch=None):
    example = torch.rand(batch or 3, 3, 24, 16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == "torchscript":
            torch.jit.save(torch.jit.trace(_Program(), example), path)
        else:
            shapes = None if batch else ({0: torch.export.Dim("batch")},)
            torch.export.save(
                torch.export.export(_Program(), (example,), dynamic_shapes=shapes), path
            )
    return path


@pytest.mark.parametrize(
    ("name", "batch"), [("torchscript", None), ("exported", None), ("exported", 2)]
)
def test_programs_of_the_user(name, batch, tmp_path, dataset):
    path = _save_program(name, tmp_path / "face.pt2", batch)
    config = _file_config(
        name, path, identity_size=(24, 16), identity_range=(-1, 3), identity_crop=(1, 1)
    )
    check_identity(config)
    model = build_identity(config, dataset, tmp_path)
    images = torch.zeros(5, 3, 16, 20, requires_grad=True)
    with torch.no_grad():
        images[:, 1, :, 10:] = torch.arange(5).view(5, 1, 1) / 4
        images[:, 1, :, 9:11] = images[:, 1, :, :1]
    features = model.train()(images)
    assert features.shape == (5, 6)
    assert model.num_features == 6
    # Black becomes −1, doubled by the weight.
    torch.testing.assert_close(features[:, [0, 1, 4, 5]], torch.full((5, 4), -2.0))
    assert (features[1:, 3] > features[:-1, 3]).all()
    features.sum().backward()
    assert images.grad.abs().sum() > 0


def test_programs_that_do_not_fit_are_refused(tmp_path):
    path = _save_program("exported", tmp_path / "face.pt2")
    with pytest.raises(ValueError, match="attack.identity_size.*takes no images of 112x96"):
        check_identity(_file_config("exported", path))
    with pytest.raises(ValueError, match="is no program that identity_model='torchscript'"):
        check_identity(_file_config("torchscript", path))
    (tmp_path / "text.pt2").write_text("print('hello')")
    for name in ("torchscript", "exported"):
        with pytest.raises(ValueError, match="text.pt2 is no program"):
            check_identity(_file_config(name, tmp_path / "text.pt2"))
        with pytest.raises(ValueError, match="no file at"):
            check_identity(_file_config(name, tmp_path / "absent.pt2"))


def test_none_is_no_model(dataset, tmp_path):
    check_identity(IdentityConfig())
    assert build_identity(IdentityConfig(), dataset, tmp_path) is None
    assert attacker_rows(IdentityConfig(), dataset).tolist() == dataset.rows("public").tolist()
