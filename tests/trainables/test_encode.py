"""Exported codes: what the files hold, and that an outsider's attack on them beats nobody."""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from tests.trainables.trial_probe import MODEL, attack_config, finish, protect_config
from trainables.attack import AttackTrial
from trainables.data.config import DataConfig
from trainables.data.dataset import load_dataset
from trainables.encode import main
from trainables.frozen import load_encoder
from trainables.protect import ProtectTrial

README = Path(__file__).resolve().parents[2] / "README.md"
DATA = DataConfig(
    num_images=3000, image_size=32, private=("Pale_Skin",), utility=("Smiling", "Eyeglasses")
)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A study's folder with one undefended encoder in it."""
    results = tmp_path_factory.mktemp("results")
    encoder = results / "seen" / "encoders" / "abc"
    config = protect_config(results / "cache", encoder, "none", DATA, rounds=40, batch_size=32)
    finish(ProtectTrial(config))
    text = yaml.safe_dump({"data": DATA.model_dump(mode="json")})
    (results / "seen" / "study.yaml").write_text(text, encoding="utf-8")
    return results


@pytest.fixture(scope="module")
def codes(results):
    path = results / "codes.npz"
    assert main([str(results / "seen" / "encoders" / "abc"), str(path)]) == 0
    return path


def test_an_export_holds_what_an_attacker_meets(results, codes):
    dataset = load_dataset(DATA, results / "cache")
    sizes = [len(dataset.rows(split)) for split in ("public", "selection", "test")]
    with np.load(codes) as columns:
        names = ("public", "selection", "test")
        assert [(columns["split"] == name).sum() for name in names] == sizes
        assert not np.isin(columns["row"], dataset.rows("private")).any()
        np.testing.assert_array_equal(columns["labels"], dataset.store.labels[columns["row"]])
        np.testing.assert_array_equal(columns["person"], dataset.store.identities[columns["row"]])
        assert tuple(columns["attributes"]) == dataset.attribute_names
        # As the encoder sends them: not standardised.
        encoder = load_encoder(str(results / "seen" / "encoders" / "abc" / "encoder.pt"), 32, 32)
        row = int(columns["row"][-1])
        image = torch.from_numpy(np.array(dataset.store.images[row])).permute(2, 0, 1) / 255
        with torch.no_grad():
            expected = encoder.encode(image.unsqueeze(0), torch.zeros(1, 1)).numpy()[0]
        np.testing.assert_allclose(columns["z"][-1], expected, rtol=1e-4, atol=1e-5)


def test_parquet_holds_the_same(results, codes, capsys):
    path = results / "codes.parquet"
    assert main([str(results / "seen" / "encoders" / "abc"), str(path)]) == 0
    assert "values to" in capsys.readouterr().out
    table = pq.read_table(path)
    with np.load(codes) as columns:
        shape = ",".join(map(str, columns["z"].shape[1:]))
        assert table.schema.metadata[b"z_shape"].decode() == shape
        flat = np.stack(table["z"].to_numpy())
        np.testing.assert_array_equal(flat, columns["z"].reshape(len(flat), -1))
        assert table["split"].to_pylist() == columns["split"].tolist()
        index = list(columns["attributes"]).index("Pale_Skin")
        np.testing.assert_array_equal(table["Pale_Skin"].to_numpy(), columns["labels"][:, index])


@pytest.mark.parametrize(
    ("folder", "name", "message"),
    [
        ("missing", "codes.npz", "is no encoder of a study"),
        ("abc", "codes.csv", "the name must end in .npz or .parquet"),
    ],
)
def test_bad_input_is_one_line(results, capsys, folder, name, message):
    assert main([str(results / "seen" / "encoders" / folder), str(results / name)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_the_readmes_outsider_does_not_beat_the_suite(results, codes, monkeypatch):
    """The README's own lines, on codes of an undefended encoder, against `standard`'s attackers."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (attack,) = [block for block in blocks if "sklearn" in block]
    assert len(attack.strip().splitlines()) <= 14
    monkeypatch.chdir(codes.parent)
    output = io.StringIO()
    with redirect_stdout(output):
        exec(attack.replace("Male", "Pale_Skin"), {})
    outsider = float(output.getvalue())
    names = ["attribute", "attribute_other", "attribute_linear", "attribute_mlp"]
    encoder = results / "seen" / "encoders" / "abc" / "encoder.pt"
    times = {"evaluate_every": 50, "patience": 4, "min_steps": 400, "max_steps": 1500}
    config = attack_config(results / "cache", results / "a", encoder, names, DATA, MODEL, **times)
    config["in_loop"] = False
    suite = {entry["attacker"]: entry for entry in finish(AttackTrial(config))[-1]["results"]}
    worst = max(suite.values(), key=lambda entry: entry["selection"])["test"]
    num_test = len(load_dataset(DATA, results / "cache").rows("test"))
    error = 2 * (outsider * (1 - outsider) / num_test) ** 0.5
    assert outsider > 0.6, "an attack that finds nothing would beat nobody"
    assert worst >= outsider - error, (worst, outsider, error)
