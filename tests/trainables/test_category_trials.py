"""Whole trials on categories: a folder each, of different size, one of them private."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.trainables.trial_probe import attack_config, finish, protect_config
from trainables.attack import AttackTrial
from trainables.data.config import DataConfig
from trainables.nets.config import ModelConfig
from trainables.protect import ProtectTrial

SCENE = ModelConfig(backbone="scene", width=0.125)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("stores")


COLOURS = {
    "army": (60, 90, 60),
    "beach": (200, 180, 90),
    "city": (90, 90, 110),
    "dam": (60, 60, 200),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Four categories of different size: noisy squares of a colour each."""
    root, generator = tmp_path_factory.mktemp("places"), np.random.default_rng(0)
    for (name, colour), count in zip(COLOURS.items(), (150, 100, 75, 75), strict=True):
        (root / name).mkdir()
        for index in range(count):
            noise = generator.integers(-40, 40, (32, 32, 3))
            pixels = np.clip(np.asarray(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return root


@pytest.mark.parametrize("utility", ["all", ("beach", "dam")])
@pytest.mark.parametrize("name", ["label_flip", "none"])
def test_categories_are_protected_and_attacked(name, utility, places, cache, tmp_path):
    data = DataConfig(
        source="folder", root=places, image_size=32, private=("city",), utility=utility
    )
    values = {"rounds": 40, "batch_size": 24, "encoder_lr": 3e-3}
    values |= {"warmup": 5} if name == "label_flip" else {}
    config = protect_config(cache, tmp_path / "e", name, data, SCENE, **values)
    trial = ProtectTrial(config)
    assert trial.protector.setting.num_categories == 4
    assert trial.protector.setting.exclusive
    if name == "label_flip":
        assert (
            trial.protector.num_outputs
            == trial.protector.utility_logits(torch.rand(1, 3, 32, 32)).shape[1] + 1
        )
    final = finish(trial)[-1]
    assert final["status"] == "finished"
    named = {n.rsplit("/", 1)[1] for n in final if n.startswith("utility/mcc/")}
    assert named == ({"army", "beach", "dam"} if utility == "all" else {"beach", "dam"})
    drawn = trial.private.state_dict()
    columns = "0,1,3" if utility == "all" else "1,3"
    if name == "none":
        assert drawn == {"": 0, columns: 40}
    else:  # the classifiers' batches in all 45 rounds, the encoder's after the warm-up
        assert drawn == {"": 0, "2": 85, columns: 85}
    path = tmp_path / "e" / "encoder.pt"
    attack = attack_config(cache, tmp_path / "a", path, ["attribute"], data, SCENE, max_steps=60)
    trial = AttackTrial(attack)
    assert trial.target.categorical
    results = {e["attacker"]: e for e in finish(trial)[-1]["results"]}
    assert ("in_loop_attribute" in results) == (name == "label_flip")
    if name == "none":
        # Colours are easily told, and the service leaves them in.
        assert final["utility/mean_mcc"] > 0.5
        assert results["attribute"]["test"] > 0.6
    else:
        expected = final["in_loop/attribute"]
        assert results["in_loop_attribute"]["selection"] == pytest.approx(expected, abs=1e-9)
