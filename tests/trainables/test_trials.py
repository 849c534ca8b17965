"""Whole trials: the same numbers again, after a stop, and at the ends of the leakage scale."""

import pytest
import torch
from PIL import Image
from torch import nn

from tests.trainables.trial_probe import (
    DATA,
    MODEL,
    attack_config,
    finish,
    protect_config,
    without_times,
)
from trainables.attack import AttackTrial
from trainables.attackers.suite import SUITES
from trainables.data.dataset import load_dataset
from trainables.frozen import InLoop, save_network_encoder
from trainables.metrics import leakage, ssim
from trainables.nets.backbones import build_encoder
from trainables.protect import ProtectTrial
from trainables.scores import NotFiniteError


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("stores")


FULL = {
    "rounds": 24,
    "batch_size": 16,
    "lambda1": 1.0,
    "lambda2": 0.1,
    "mu1": 0.01,
    "mu2": 0.1,
    "encoder_lr_decay": 0.1,
    "warmup": 4,
}


def test_protect_trial_repeats_and_resumes_exactly(cache, tmp_path):
    config = protect_config(cache, tmp_path / "e", **FULL)
    whole = [without_times(result) for result in finish(ProtectTrial(config))]
    again = [without_times(result) for result in finish(ProtectTrial(config))]
    assert again == whole
    first = ProtectTrial(config)
    for _ in range(5):
        first.step()  # evaluations come every 2.4 rounds: 5 steps end at round 12
    first.save(tmp_path / "checkpoint.pt")
    torch.manual_seed(999)  # whatever else ran in the process must not matter
    second = ProtectTrial(config)
    second.load(tmp_path / "checkpoint.pt")
    assert [without_times(result) for result in finish(second)] == whole[5:]
    final = whole[-1]
    assert final["status"] == "finished"
    assert final["rounds"] == 24
    assert final["cost/code_bytes"] == 4 * 8 * 8 * 8
    assert -1 <= final["utility/mean_mcc"] <= 1
    assert {"in_loop/decoder", "utility/mcc/Smiling", "encoder_hash", "converged"} <= final.keys()


def test_attack_trial_repeats_and_resumes_exactly(cache, tmp_path):
    finish(ProtectTrial(protect_config(cache, tmp_path / "e", rounds=20, batch_size=16)))
    encoder = tmp_path / "e" / "encoder.pt"
    config = attack_config(cache, tmp_path / "a", encoder, SUITES["quick"])
    whole = [without_times(result) for result in finish(AttackTrial(config))]
    first = AttackTrial(config)
    for _ in range(3):  # in the middle of the second attacker
        first.step()
    first.save(tmp_path / "checkpoint.pt")
    second = AttackTrial(config)
    second.load(tmp_path / "checkpoint.pt")
    assert [without_times(result) for result in finish(second)] == whole[3:]
    results = {entry["attacker"]: entry for entry in whole[-1]["results"]}
    assert list(results) == ["in_loop", *SUITES["quick"]]
    assert all(e["encoder_hash_before"] == e["encoder_hash_after"] for e in results.values())
    assert not results["decoder"]["saturated"]  # 40 steps were its budget
    assert results["attribute"]["num_public"] == 96
    for name in ("originals", "decoder", "decoder_strong", "in_loop"):
        assert (tmp_path / "a" / f"{name}.png").is_file()


@pytest.mark.parametrize("name", ["attribute_other", "attribute_mlp", "generative"])
def test_attackers_that_draw_numbers_resume_exactly(cache, tmp_path, name):
    config = attack_config(cache, tmp_path / "a", "identity", [name], evaluate_every=10)
    whole = [without_times(result) for result in finish(AttackTrial(config))]
    first = AttackTrial(config)
    first.step()
    first.save(tmp_path / "checkpoint.pt")
    torch.rand(3)  # whatever else drew numbers in the meantime
    second = AttackTrial(config)
    second.load(tmp_path / "checkpoint.pt")
    assert [without_times(result) for result in finish(second)] == whole[1:]


def test_labels_trial_trains_nothing_and_has_perfect_utility(cache, tmp_path):
    (result,) = finish(ProtectTrial(protect_config(cache, tmp_path / "l", "labels")))
    assert result["utility/mean_mcc"] == 1.0
    assert result["cost/code_bytes"] == 8
    config = attack_config(cache, tmp_path / "a", tmp_path / "l" / "encoder.pt", ["attribute"])
    results = finish(AttackTrial(config))[-1]["results"]
    assert [entry["attacker"] for entry in results] == ["attribute"]  # no in-loop adversary


def test_a_loss_that_breaks_ends_the_trial_with_round_and_term(cache, tmp_path):
    trial = ProtectTrial(
        protect_config(cache, tmp_path / "d", rounds=40, batch_size=16, encoder_lr=1e30)
    )
    final = finish(trial)[-1]
    assert final["status"] == "diverged"
    assert "was not finite in round" in final["reason"]
    assert not (tmp_path / "d" / "encoder.pt").exists()


def test_weights_that_break_in_the_last_update_are_a_divergence_not_a_result(cache, tmp_path):
    trial = ProtectTrial(protect_config(cache, tmp_path / "n", rounds=10, batch_size=16))
    while trial.protector.rounds < 9:
        trial.step()
    update = trial.protector.update

    def breaking(private, public):
        terms = update(private, public)
        with torch.no_grad():
            next(trial.protector.encoder.parameters()).fill_(float("nan"))
        return terms

    trial.protector.update = breaking
    final = trial.step()
    assert (final["done"], final["status"]) == (True, "diverged")
    assert "not finite after round 10" in final["reason"]
    assert not (tmp_path / "n" / "encoder.pt").exists()


def test_codes_that_are_not_finite_are_no_privacy(cache, tmp_path):
    broken = build_encoder(MODEL, 32, 32)
    with torch.no_grad():
        next(broken.parameters()).fill_(float("nan"))
    path = tmp_path / "nan.pt"
    save_network_encoder(path, MODEL, 32, 32, broken, InLoop())
    with pytest.raises(ValueError, match="not all finite"):
        AttackTrial(attack_config(cache, tmp_path / "a", path, ["attribute"]))


def test_an_attacker_that_breaks_is_an_error_not_a_low_score(cache, tmp_path):
    trial = AttackTrial(attack_config(cache, tmp_path / "a", "identity", ["attribute"]))
    with torch.no_grad():
        for weight in trial.attacker.classifier.parameters():
            weight.fill_(float("nan"))
    with pytest.raises(NotFiniteError, match="'attribute' answered with numbers not finite"):
        trial.step()


def test_an_encoder_that_moves_under_attack_is_an_error(cache, tmp_path):
    path = tmp_path / "moving.pt"
    save_network_encoder(path, MODEL, 32, 32, build_encoder(MODEL, 32, 32), InLoop())
    config = attack_config(cache, tmp_path / "a", path, ["attribute"], max_steps=20)
    trial = AttackTrial(config)
    with torch.no_grad():
        next(trial.encoder.net.parameters()).add_(1e-6)
    with pytest.raises(RuntimeError, match="moved"):
        trial.step()


@pytest.mark.slow
@pytest.mark.slow
def test_ends_of_the_leakage_scale(cache, tmp_path):
    """Identity is the ceiling, a constant the floor, and nothing falls below it."""
    settings = {"evaluate_every": 50, "max_steps": 800, "patience": 3, "min_delta": 0.005}
    names = ["decoder", "attribute"]

    def attack(encoder, output, seed=7):
        config = attack_config(cache, tmp_path / output, encoder, names, **settings)
        config["seed"] = seed
        return {e["attacker"]: e for e in finish(AttackTrial(config))[-1]["results"]}

    floor, ceiling = attack("constant", "floor"), attack("identity", "ceiling")
    assert ceiling["decoder"]["test"] > 0.9
    assert ceiling["attribute"]["test"] > 0.75
    # Without a code the best anyone can draw is the mean image: the floor is that, not less.
    dataset = load_dataset(DATA, cache)
    public, test = (
        torch.from_numpy(dataset.store.images[dataset.rows(split)].copy()).permute(0, 3, 1, 2) / 255
        for split in ("public", "test")
    )
    mean_image = public.mean(0, keepdim=True).expand_as(test)
    assert floor["decoder"]["test"] > ssim(mean_image.contiguous(), test).mean() - 0.03
    assert floor["attribute"]["test"] == 0.5

    torch.manual_seed(0)
    blind = build_encoder(MODEL, 32, 32)
    for part in blind.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.zeros_(part.weight)  # the code is the same whatever the image is
    path = tmp_path / "blind.pt"
    save_network_encoder(path, MODEL, 32, 32, blind, InLoop())
    constant = attack(path, "blind")
    for name in names:
        assert leakage(constant[name]["test"], floor[name]["test"], ceiling[name]["test"]) < 0.05
    # Nor does the attacker of a map that tells nothing fall below the floor.
    assert constant["decoder"]["test"] > floor["decoder"]["test"] - 0.05

    # Sending the image hides nothing, whichever attacker's initialisation measured the ceiling.
    hides_nothing = attack("identity", "open", seed=8)
    for name in names:
        assert (
            leakage(hides_nothing[name]["test"], floor[name]["test"], ceiling[name]["test"]) > 0.9
        )


@pytest.mark.parametrize("count", [0, 3])
def test_only_as_many_pictures_are_kept_as_are_asked_for(cache, count, tmp_path):
    config = attack_config(cache, tmp_path / "kept", "identity", ["decoder"])
    results = finish(AttackTrial({**config, "pictures": count}))[-1]["results"]
    strips = {path.name for path in tmp_path.glob("kept/*.png")} - {"others.png"}
    if not count:
        assert not (tmp_path / "kept").exists()
        assert [result["reconstructions"] for result in results] == [None]
        return
    assert strips == {"decoder.png", "originals.png"}
    with Image.open(tmp_path / "kept" / "originals.png") as strip:
        assert strip.size == (count * DATA.width, DATA.height)
