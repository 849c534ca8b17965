"""Where a recipe's results lie, and that nobody does the same twice or loses what is done."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trainables.experiments import inputs, preparation, runner
from trainables.experiments.brought import Brought
from trainables.experiments.config import PlannedEncoder, load_experiment
from trainables.experiments.progress import ProgressNote
from trainables.experiments.rows import rows
from trainables.experiments.runner import Place, Unit, is_done, run_unit, run_units, units
from trainables.experiments.store import encoder_folder

SHORT = ["protector.rounds=4", "protector.warmup=1", "attack.max_steps=10"]


def planned(name: str, *words: str, size: str = "tiny", encoder: str = "") -> PlannedEncoder:
    experiment = load_experiment(name, size, list(words))
    return next(one for one in experiment.encoders if one.name.startswith(encoder))


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Photographs of six scenes."""
    root = tmp_path / "photographs"
    draws = np.random.default_rng(0)
    for scene in ("coast", "forest", "street", "bedroom", "kitchen", "highway"):
        (root / scene).mkdir(parents=True)
        for number in range(4):
            pixels = draws.integers(0, 255, (20, 20, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / scene / f"{number}.png")
    return root


def folder_of(root: Path, work: Path) -> Path:
    inputs._known_images.cache_clear()  # as another process would see it
    encoder = planned("pittaluga-table1", f"data.root={root}", size="small")
    return encoder_folder(encoder, 0, work).path


def test_results_belong_to_images_not_to_a_folder(photographs: Path, tmp_path: Path) -> None:
    first = folder_of(photographs, tmp_path)
    moved = tmp_path / "moved"
    shutil.copytree(photographs, moved)
    assert folder_of(moved, tmp_path) == first
    # An image more, in the same folder: other results, and none of the earlier passes for one.
    shutil.copyfile(moved / "coast" / "0.png", moved / "coast" / "9.png")
    assert folder_of(moved, tmp_path) != first
    assert folder_of(photographs, tmp_path) == first


def test_a_processor_that_only_imitates_bfloat16_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(gain: float, *words: str, device: str = "cpu") -> list[str]:
        monkeypatch.setattr(preparation, "bfloat16_gain", lambda device: gain)
        said: list[str] = []
        preparation.prepare([planned("xiao-table2", *words)], tmp_path, device, said.append)
        return [line for line in said if "bf16" in line]

    (line,) = told(0.2, "precision=bf16")
    assert line.startswith("precision=bf16: a convolution takes 5.0 times as long as in fp32")
    assert not told(0.2)
    assert not told(1.0, "precision=bf16")
    assert not told(0.2, "precision=bf16", device="cuda")


def test_weights_count_by_what_is_in_them(tmp_path: Path) -> None:
    def folder(name: str, content: bytes) -> Path:
        (tmp_path / name).write_bytes(content)
        words = ["model.perceptual=vgg16", f"model.perceptual_weights={tmp_path / name}"]
        return encoder_folder(planned("xiao-table1", *words), 0, tmp_path).path

    assert folder("a", b"one") == folder("b", b"one")
    assert folder("c", b"another") != folder("b", b"one")


def test_what_codes_tell_of_people_is_measured_of_an_encoder_that_was_attacked_before(
    tmp_path: Path,
) -> None:
    """Two tables share an encoder, and only one of them asks for its codes."""
    encoder = planned("xiao-table3", *SHORT, encoder="fc-undefended")
    unit = Unit(encoder, 0)
    run_unit(unit, tmp_path, "cpu", 1)
    folder = encoder_folder(encoder, 0, tmp_path)
    measured, attacks = folder.codes, folder.attacks
    assert measured["lda_score"] > 0
    written = {path: path.stat().st_mtime_ns for path in (folder.path / "attacks").iterdir()}
    (folder.path / "codes.json").unlink()
    assert not is_done(unit, tmp_path)
    run_unit(unit, tmp_path, "cpu", 1)
    assert folder.codes == measured
    assert folder.attacks == attacks
    assert {path: path.stat().st_mtime_ns for path in written} == written


def test_two_runs_do_not_train_the_same_encoder_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Unit] = []
    train = runner._train

    def count(unit: Unit, *rest: Any) -> None:
        trained.append(unit)
        train(unit, *rest)

    monkeypatch.setattr(runner, "_train", count)
    experiment = load_experiment("pittaluga-collapse", "tiny", SHORT[:2])
    wanted = units(experiment, ["per-location"])
    here = Place(lambda: ThreadPoolExecutor(2), "cpu", 1)
    # The same unit twice: what two recipes that share it would ask for at once.
    assert not run_units([*wanted, *wanted], tmp_path, here, lambda text: None)
    assert trained == wanted


def test_a_result_that_cannot_be_written_keeps_its_checkpoint(tmp_path: Path) -> None:
    class Trial:
        def load(self, path: Path) -> None:
            assert path.read_text() == "nearly done"

        def step(self) -> dict[str, Any]:
            return {"done": True, "progress": 1.0}

    def full(report: dict[str, Any]) -> None:
        raise OSError(28, "No space left on device")

    checkpoint = tmp_path / "training.checkpoint"
    checkpoint.write_text("nearly done")
    note = ProgressNote(tmp_path / "progress.json", 1)
    with pytest.raises(OSError, match="No space left"):
        runner._finish(Trial(), checkpoint, note, full)
    assert checkpoint.exists()
    kept: list[dict[str, Any]] = []
    runner._finish(Trial(), checkpoint, note, kept.append)
    assert kept == [{"done": True, "progress": 1.0}]
    assert not checkpoint.exists()


def test_an_attack_says_when_it_was_best(tmp_path: Path) -> None:
    encoder = planned("pittaluga-table1", *SHORT, "attack.evaluate_every=2", encoder="flip-first")
    run_unit(Unit(encoder, 0), tmp_path, "cpu", 1)
    folder = encoder_folder(encoder, 0, tmp_path)
    (attack,) = (entry for entry in folder.attacks if entry["curve"])
    best = max(score for _, score, _ in attack["curve"])
    (step, *_) = (at for at, score, _ in attack["curve"] if score == best)
    experiment = load_experiment("pittaluga-table1", "tiny", [*SHORT, "attack.evaluate_every=2"])
    by_role = {row["role"]: row for row in rows(experiment, tmp_path, Brought())}
    assert by_role["private"]["best_step"] == step
    assert by_role["private"]["steps"] == attack["curve"][-1][0] >= step
    assert "best_step" not in by_role["in_loop_attribute"]


def test_a_row_says_how_the_loop_ended(tmp_path: Path) -> None:
    experiment = load_experiment("deepobfuscator-table4", "tiny")
    folder = encoder_folder(experiment.encoders[0], 0, tmp_path)
    folder.path.mkdir(parents=True)
    training = {
        "status": "finished", "train/classifier_loss": 0.2, "train/utility_loss_step1": 0.3,
        "train/share/utility_loss": 0.9, "train/selection_mcc": 0.8, "made": {},
    }  # fmt: skip
    (folder.path / "protect.json").write_text(json.dumps(training))
    (row,) = rows(experiment, tmp_path, Brought())
    kept = {name: value for name, value in row.items() if "loss" in name or "train" in name}
    assert kept == {"last_round/classifier_loss": 0.2, "last_round/utility_loss_step1": 0.3}


def test_of_a_diverged_network_it_is_not_said_whether_it_collapses(tmp_path: Path) -> None:
    experiment = load_experiment("pittaluga-collapse", "tiny")
    made = {"code": "", "machine": "", "torch": ""}
    for encoder, status in zip(experiment.encoders, ("diverged", "collapsed"), strict=False):
        folder = encoder_folder(encoder, 0, tmp_path)
        folder.path.mkdir(parents=True)
        (folder.path / "protect.json").write_text(json.dumps({"status": status, "made": made}))
    diverged, collapsed = rows(experiment, tmp_path, Brought())
    assert "collapsed" not in diverged
    assert collapsed["collapsed"] == 1.0
