"""What is kept of codes, through whole trials and of encoders that are not well."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tests.trainables.trial_probe import DATA, finish, protect_config
from trainables import kept_codes
from trainables.data.dataset import load_dataset
from trainables.frozen import FrozenEncoder, planted_encoder
from trainables.kept_codes import CODES_FILE, PICTURE_FILE, evenly, keep_codes
from trainables.nets.backbones import CodeSpec
from trainables.protect import ProtectTrial

MOST_BYTES = 150_000


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("stores")


@pytest.fixture(scope="module")
def dataset(cache):
    return load_dataset(DATA, cache)


class Broken(nn.Module):
    """Sends one number for every image, whatever is on it."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, images):
        return torch.full((len(images), 6, 4, 4), self.value)


def keep(encoder, dataset, folder, count=8):
    keep_codes(encoder, dataset, dataset.store.images, torch.device("cpu"), folder, count)
    names = sorted(path.name for path in folder.glob("*"))
    kept = None
    if CODES_FILE in names:
        with np.load(folder / CODES_FILE, allow_pickle=False) as file:
            kept = {name: file[name] for name in file.files}
    return names, kept


@pytest.mark.parametrize("count", [8, 0])
def test_a_trial_keeps_codes_and_their_picture_beside_the_encoder(cache, dataset, tmp_path, count):
    config = protect_config(cache, tmp_path / "e", rounds=10, batch_size=16)
    finish(ProtectTrial({**config, "pictures": count}))
    files = {path.name: path for path in (tmp_path / "e").iterdir()}
    if not count:
        assert files.keys() == {"encoder.pt"}
        return
    assert files.keys() == {"encoder.pt", CODES_FILE, PICTURE_FILE}
    assert sum(files[name].stat().st_size for name in (CODES_FILE, PICTURE_FILE)) < MOST_BYTES
    rows = dataset.rows("test")
    with np.load(files[CODES_FILE], allow_pickle=False) as kept:
        assert kept["codes"].shape == (len(rows), 50)
        assert kept["codes"].dtype == np.float16
        assert float(np.abs(kept["codes"]).max()) == 1.0
        assert 0.5 < float(kept["share"]) <= 1.0
        assert int(kept["num_values"]) == 8 * 8 * 8
        assert kept["utility"].tolist() == ["Smiling", "Eyeglasses"]
        assert kept["private"].tolist() == ["Pale_Skin"]
        names = ["Smiling", "Eyeglasses", "Pale_Skin"]
        columns = [dataset.attribute_names.index(name) for name in names]
        assert np.array_equal(kept["labels"], dataset.store.labels[rows][:, columns])
    with Image.open(files[PICTURE_FILE]) as strip:
        assert strip.size == (count * DATA.width, DATA.height)
        pixels = np.asarray(strip).reshape(8, 4, count * 8, 4, 3)
    assert (pixels == pixels[:, :1, :, :1]).all(), "8 by 8 places, each 4 by 4 pixels"


def test_what_is_kept_is_the_same_at_every_run(cache, tmp_path):
    for name in ("a", "b"):
        finish(ProtectTrial(protect_config(cache, tmp_path / name, rounds=10, batch_size=16)))
    for name in (CODES_FILE, PICTURE_FILE):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_labels_have_codes_and_no_picture(cache, dataset, tmp_path):
    finish(ProtectTrial(protect_config(cache, tmp_path / "l", "labels")))
    names = sorted(path.name for path in (tmp_path / "l").iterdir())
    assert names == [CODES_FILE, "encoder.pt"]
    with np.load(tmp_path / "l" / CODES_FILE, allow_pickle=False) as kept:
        assert len(np.unique(kept["codes"], axis=0)) == 4, "two attributes"
        assert int(kept["num_values"]) == 2


@pytest.mark.parametrize("name", ["identity", "noise", "blur"])
def test_encoders_that_need_no_training_are_kept_alike(cache, tmp_path, name):
    finish(ProtectTrial(protect_config(cache, tmp_path / "f", name, rounds=10, batch_size=16)))
    assert {CODES_FILE, PICTURE_FILE} <= {path.name for path in (tmp_path / "f").iterdir()}


def test_a_planted_attribute_is_all_that_codes_tell_apart(dataset, tmp_path):
    (column,) = dataset.private_columns
    encoder = planted_encoder(CodeSpec("conv1", (4, 3, 3)), (column,))
    _, kept = keep(encoder, dataset, tmp_path)
    assert kept["codes"].shape[1] == 1
    assert float(kept["share"]) == pytest.approx(1.0)
    has_it = kept["labels"][:, 2] == 1
    low, high = sorted((kept["codes"][has_it], kept["codes"][~has_it]), key=np.mean)
    assert low.max() < high.min()


def test_a_collapsed_encoder_has_codes_of_zeros_and_a_grey_picture(dataset, tmp_path):
    encoder = FrozenEncoder("network", CodeSpec("conv1", (6, 4, 4)), Broken(0.3))
    names, kept = keep(encoder, dataset, tmp_path)
    assert names == [PICTURE_FILE, CODES_FILE]
    assert kept["codes"].shape[1] == 1
    assert not kept["codes"].any()
    with Image.open(tmp_path / PICTURE_FILE) as strip:
        assert strip.getcolors() == [(8 * DATA.width * DATA.height, (128, 128, 128))]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_of_codes_that_are_not_finite_nothing_is_kept(dataset, tmp_path, value):
    encoder = FrozenEncoder("network", CodeSpec("conv1", (6, 4, 4)), Broken(value))
    assert keep(encoder, dataset, tmp_path) == ([], None)


def test_no_room_on_the_disk_ends_no_trial(dataset, tmp_path, monkeypatch):
    def full(content, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept_codes, "write_bytes", full)
    encoder = FrozenEncoder("network", CodeSpec("conv1", (6, 4, 4)), Broken(0.3))
    assert keep(encoder, dataset, tmp_path) == ([], None)


def test_of_large_codes_fewer_are_held(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(kept_codes, "MAX_VALUES", 6 * 4 * 4 * 20 + 1)
    encoder = FrozenEncoder("network", CodeSpec("conv1", (6, 4, 4)), Broken(0.3))
    _, kept = keep(encoder, dataset, tmp_path)
    assert len(kept["codes"]) == 20


def test_rows_are_taken_from_all_over():
    rows = np.arange(100, 110)
    assert evenly(rows, 4).tolist() == [100, 102, 105, 107]
    assert evenly(rows, 10).tolist() == evenly(rows, 99).tolist() == rows.tolist()


def test_the_artifacts_of_an_encoder_of_faces_are_small(tmp_path):
    """Noise of 500 images of 64 pixels with 40 attributes: nothing of it can be packed."""
    draw = np.random.default_rng(0)
    names = tuple(f"Attribute_{number}" for number in range(40))
    store = SimpleNamespace(
        images=draw.integers(0, 256, (500, 64, 64, 3), dtype=np.uint8),
        labels=draw.integers(0, 2, (500, 40), dtype=np.uint8),
    )
    large = SimpleNamespace(
        store=store, config=SimpleNamespace(height=64, width=64), rows=lambda _: np.arange(500),
        utility_columns=list(range(39)), private_columns=[39],
        utility_names=names[:39], private_names=names[39:],
    )  # fmt: skip

    class Noise(nn.Module):
        def forward(self, images):
            noise = torch.Generator().manual_seed(0)
            return torch.randn(len(images), 16, 64, 64, generator=noise)

    encoder = FrozenEncoder("network", CodeSpec("conv1", (16, 64, 64)), Noise())
    found, kept = keep(encoder, large, tmp_path)
    assert kept["codes"].shape == (500, 50)
    assert sum((tmp_path / name).stat().st_size for name in found) < MOST_BYTES
