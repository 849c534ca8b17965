"""Batches that could not be drawn are refused before anything starts."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from study.checks import check_inputs
from study.loading import load_config
from trainables.errors import ConfigError

COUNTS = {"alley": 60, "beach": 60, "coast": 60, "dam": 60}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_photographs(tmp_path / "photographs", COUNTS)


def write_photographs(root: Path, counts: dict[str, int]) -> Path:
    rng = np.random.default_rng(0)
    for category, count in counts.items():
        (root / category).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / category / f"{number}.png")
    return root


def check(root: Path, *words: str) -> None:
    settings = (
        f"data.root={root}", "data.image_size=32", "data.private=[alley]",
        "data.utility=[beach, coast]", "protector.batch_size=8", "attack.batch_size=8",
    )  # fmt: skip
    check_inputs(load_config("pittaluga-scenes", [*settings, *words]))


def test_what_can_be_drawn_is_taken(root: Path) -> None:
    check(root)
    check(root, "protector.name=[label_flip, none, noise]")


def test_a_batch_must_hold_every_part_of_its_task(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"balanced by beach, coast: batch_size: 2 balanced .* 2"):
        check(root, "protector.batch_size=2")
    with pytest.raises(
        ConfigError, match=r"attack: batches of the 'public' split .* by alley, dam"
    ):
        check(root, "data.private=[alley, dam]", "attack.batch_size=2")


def test_a_category_needs_an_image_in_every_split_that_asks_for_one(tmp_path: Path) -> None:
    few = write_photographs(tmp_path / "few", {**COUNTS, "coast": 1})
    official = write_photographs(tmp_path / "official" / "train", COUNTS).parent
    write_photographs(official / "test", {"alley": 4, "beach": 4, "dam": 4})
    check(official, "data.split=official")
    for category in ("beach", "dam"):
        for path in (official / "train" / category).iterdir():
            path.rename(official / "test" / category / f"moved-{path.name}")
    with pytest.raises(ConfigError, match=r"private' split .* column 1 has no positive image"):
        check(official, "data.split=official")
    with pytest.raises(ConfigError, match=r"'coast' has a single value \(0\) in the '\w+' split"):
        check(few, "data.private=[coast]", "data.utility=[beach]")


def test_classes_that_go_together_are_no_classes() -> None:
    words = ("protector.name=label_flip", "protector.desirable=exclusive")
    with pytest.raises(ConfigError, match="'exclusive' has one class per image"):
        check_inputs(load_config("quickstart", words))


def test_who_draws_no_public_images_needs_no_batch_of_them() -> None:
    # 640 of 4,000 avatars are public, 2,560 private.
    check_inputs(load_config("quickstart", ("protector.name=none", "protector.batch_size=1000")))
    with pytest.raises(ConfigError, match="'public' split has 640"):
        check_inputs(load_config("quickstart", ("protector.batch_size=1000",)))


def test_a_recipes_ranges_are_for_those_who_search_them() -> None:
    config = load_config("quickstart", ("protector.name=noise",))
    assert "protector.encoder_lr" in config.dropped
    assert list(config.space.domains) == ["protector.sigma"]
    several = load_config("quickstart", ("protector.name=[label_flip, identity]",))
    assert several.spaces["label_flip"].domains["protector.encoder_lr"].ends() == [0.002, 0.006]
    assert several.protectors["identity"].encoder_lr == 1e-3  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="rounds"):
        load_config("quickstart", ("protector.name=[label_flip, none]", "protector.rounds=[1, 2]"))


def test_the_reference_point_is_no_choice() -> None:
    with pytest.raises(ConfigError, match="labels is a reference point, nothing to choose"):
        load_config("quickstart", ("protector.name=[label_flip, labels]",))
