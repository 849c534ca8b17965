"""Whole trials of every method: repeated, resumed, collapsed, broken."""

import numpy as np
import pytest
import torch
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
from trainables.frozen import load_encoder
from trainables.nets.config import ModelConfig
from trainables.protect import ProtectTrial

DATA48 = DATA.model_copy(update={"image_size": 48, "num_images": 400})
SCENE = ModelConfig(backbone="scene", width=0.125)
VGG = ModelConfig(backbone="vgg16", width=0.125, head_width=32)
SMALL = {"rounds": 10, "batch_size": 16}
METHODS = {
    "label_flip": (SCENE, {**SMALL, "warmup": 4}),
    "obfuscator": (VGG, {**SMALL, "joint_rounds": 3, "adversary_rounds": 3}),
    "noise": (MODEL, {**SMALL, "sigma": 0.2}),
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("stores")


@pytest.mark.parametrize("name", METHODS)
def test_a_protect_trial_repeats_and_resumes_exactly(name, cache, tmp_path):
    model, values = METHODS[name]
    config = protect_config(cache, tmp_path / "e", name, DATA48, model, **values)
    whole = [without_times(result) for result in finish(ProtectTrial(config))]
    assert whole[-1]["status"] in ("finished", "collapsed")
    torch.manual_seed(99)
    assert [without_times(result) for result in finish(ProtectTrial(config))] == whole
    for done in (2, 6):  # in the preparation and after it
        first = ProtectTrial(config)
        for _ in range(done):
            first.step()
        first.save(tmp_path / "checkpoint.pt")
        torch.manual_seed(999)  # whatever else ran in the process must not matter
        second = ProtectTrial(config)
        second.load(tmp_path / "checkpoint.pt")
        assert [without_times(result) for result in finish(second)] == whole[done:]


def check_report(reports, objectives, nets, in_loop):
    """Shares of each objective sum to 1, every net has a gradient, every figure is there."""
    final = reports[-1]
    shares = {name for name in final if name.startswith("train/share/")}
    assert shares == {f"train/share/{name}" for names in objectives for name in names}
    for names in objectives:
        assert sum(final[f"train/share/{name}"] for name in names) == pytest.approx(1, abs=1e-5)
    norms = {name for name in final if name.startswith("train/gradient_norm/")}
    assert norms == {f"train/gradient_norm/{name}" for name in nets}
    assert all(final[name] > 0 for name in norms)
    assert {name for name in final if name.startswith("in_loop/")} == in_loop
    assert {name for name in final if name.startswith("collapse/")} == {
        "collapse/below_0.01",
        "collapse/below_0.5",
        "collapse/total_variance",
    }
    assert {"utility/mean_mcc", "utility/mean_mcc_selection", "cost/parameters"} <= final.keys()


def test_reports_of_label_flip_and_its_adversary_afterwards(cache, tmp_path):
    values = {"rounds": 20, "batch_size": 32, "warmup": 5}
    config = protect_config(cache, tmp_path / "e", "label_flip", model=SCENE, **values)
    reports = finish(ProtectTrial(config))
    check_report(
        reports,
        [("privacy_loss", "desirable_loss")],
        ("encoder", "head", "private_classifier"),
        {"in_loop/attribute"},
    )
    assert "train/gradient_norm/encoder" not in reports[0]  # a warm-up round
    assert "train/selection_in_loop_attribute" in reports[0]
    final = reports[-1]
    assert final["rounds"] == final["train_step"] == 25
    encoder = tmp_path / "e" / "encoder.pt"
    config = attack_config(cache, tmp_path / "a", encoder, ["attribute"], model=SCENE)
    results = {e["attacker"]: e for e in finish(AttackTrial(config))[-1]["results"]}
    assert list(results) == ["in_loop_attribute", "attribute"]
    entry = results["in_loop_attribute"]
    assert entry["kind"] == "attribute"
    # The same net on the same codes, now and then.
    assert entry["selection"] == pytest.approx(final["in_loop/attribute"], abs=1e-9)
    assert entry["encoder_hash_before"] == entry["encoder_hash_after"] == final["encoder_hash"]
    assert entry["metrics"]["balanced_accuracy/Pale_Skin"] == entry["test"]
    assert (entry["steps"], entry["curve"], entry["saturated"]) == (0, [], True)
    without = {**config, "in_loop": False, "output": str(tmp_path / "b")}
    results = finish(AttackTrial(without))[-1]["results"]
    assert [e["attacker"] for e in results] == ["attribute"]


def test_reports_of_the_obfuscator_and_both_its_adversaries_afterwards(cache, tmp_path):
    values = {"rounds": 10, "batch_size": 16, "joint_rounds": 10, "adversary_rounds": 10}
    data, model = DATA48, VGG
    config = protect_config(cache, tmp_path / "e", "obfuscator", data, model, **values)
    reports = finish(ProtectTrial(config))
    check_report(
        reports,
        [
            ("utility_loss_step0", "noise_loss", "reconstruction_loss"),
            ("utility_loss_step1", "inference_loss"),
        ],
        ("encoder", "head", "reconstructor", "attribute_classifier"),
        {"in_loop/decoder", "in_loop/attribute"},
    )
    encoder = tmp_path / "e" / "encoder.pt"
    config = attack_config(cache, tmp_path / "a", encoder, ["decoder"], data, model)
    results = {e["attacker"]: e for e in finish(AttackTrial(config))[-1]["results"]}
    assert list(results) == ["in_loop", "in_loop_attribute", "decoder"]
    for name, score in (("in_loop", "decoder"), ("in_loop_attribute", "attribute")):
        expected = reports[-1][f"in_loop/{score}"]
        assert results[name]["selection"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "values", "shape"),
    [("identity", {}, (3, 32, 32)), ("blur", {"kernel": 0.4}, (3, 4, 4)),
     ("noise", {"sigma": 0.2}, (3, 32, 32))],
)  # fmt: skip
def test_baselines_end_as_files_that_are_attacked(name, values, shape, cache, tmp_path):
    config = protect_config(cache, tmp_path / "e", name, model=SCENE, **SMALL, **values)
    trial = ProtectTrial(config)
    reports = finish(trial)
    check_report(reports, [], ("head",), set())
    final = reports[-1]
    assert final["status"] == "finished"
    assert final["cost/parameters"] == 0
    assert final["cost/code_bytes"] == 4 * np.prod(shape)
    encoder = load_encoder(str(tmp_path / "e" / "encoder.pt"), 32, 32)
    assert (encoder.kind, encoder.spec.shape) == (name, shape)
    images = torch.rand(2, 3, 32, 32)
    sent = encoder.encode(images, images)
    torch.testing.assert_close(sent, trial.protector.encoder(images), rtol=0, atol=0)
    if name == "identity":
        assert torch.equal(sent, images)
    names = ["attribute", "decoder"]
    path = tmp_path / "e" / "encoder.pt"
    attack = attack_config(cache, tmp_path / "a", path, names, model=SCENE, max_steps=20)
    results = finish(AttackTrial(attack))[-1]["results"]
    assert [e["attacker"] for e in results] == names
    assert {e["encoder_hash_before"] for e in results} == {final["encoder_hash"]}
    again = {**attack, "output": str(tmp_path / "b")}
    assert without_times(strip(finish(AttackTrial(again))[-1]["results"])) == without_times(
        strip(results)
    )


def strip(results):
    """Results without the place of their pictures."""
    return [{k: v for k, v in e.items() if k != "reconstructions"} for e in results]


def test_a_fixed_code_is_not_judged_as_a_constrained_one(cache, tmp_path, monkeypatch):
    config = protect_config(cache, tmp_path / "e", "identity", model=SCENE, **SMALL)
    # Dark images: every pixel's share of the mean square is small, the images still differ.
    figures = {
        "collapse/below_0.01": 0.9,
        "collapse/below_0.5": 1.0,
        "collapse/total_variance": 0.05,
    }
    monkeypatch.setattr("trainables.protect.collapse_report", lambda *_: figures)
    assert finish(ProtectTrial(config))[-1]["status"] == "finished"


@pytest.mark.parametrize(
    ("name", "model", "values"),
    [("label_flip", SCENE, {"warmup": 2}), ("none", MODEL, {}), ("reconstruction", MODEL, {})],
)
def test_an_encoder_that_says_nothing_has_collapsed(name, model, values, cache, tmp_path):
    config = protect_config(cache, tmp_path / "e", name, model=model, **SMALL, **values)
    trial = ProtectTrial(config)
    update = trial.protector.update

    def silencing(private, public):
        terms = update(private, public)
        with torch.no_grad():
            for weight in trial.protector.encoder.parameters():
                weight.zero_()
        return terms

    trial.protector.update = silencing
    reports = finish(trial)
    final = reports[-1]
    assert (final["done"], final["status"]) == (True, "collapsed")
    assert final["collapse/below_0.01"] == 1
    assert final["collapse/total_variance"] == pytest.approx(0, abs=1e-9)
    told = "100% of its outputs hardly vary" if name == "label_flip" else "only 0.00% of its code"
    assert f"but the encoder collapsed: {told}" in final["reason"]
    # It is reported as any other: all figures, and the file.
    assert final["utility/mean_mcc"] == 0
    expected = {"label_flip": "in_loop/attribute", "reconstruction": "in_loop/decoder"}.get(name)
    assert [k for k in final if k.startswith("in_loop/")] == ([expected] if expected else [])
    if name == "label_flip":
        assert final["in_loop/attribute"] == 0.5
    assert {"cost/parameters", "utility/mean_mcc_selection", "encoder_hash"} <= final.keys()
    assert (tmp_path / "e" / "encoder.pt").is_file()


def breakable(cache, output):
    values = {"rounds": 40, "batch_size": 16, "warmup": 4}
    return ProtectTrial(protect_config(cache, output, "label_flip", model=SCENE, **values))


@pytest.mark.parametrize("done", [6, 8])
def test_a_loss_of_label_flip_that_breaks_is_named_with_its_round(done, cache, tmp_path):
    trial = breakable(cache, tmp_path / "e")
    privacy_loss = trial.protector.privacy_loss

    def breaking(logits, labels):
        loss = privacy_loss(logits, labels)
        return loss * float("nan") if trial.protector.rounds == done else loss

    trial.protector.privacy_loss = breaking
    final = finish(trial)[-1]
    assert final["status"] == "diverged"
    # Round 9 is measured: its shares and gradients break too, and are not what is to blame.
    assert final["reason"] == f"privacy_loss was not finite in round {done + 1}"
    assert not (tmp_path / "e" / "encoder.pt").exists()


@pytest.mark.parametrize("player", ["desirable", "private"])
def test_a_classifier_of_label_flip_that_breaks_is_named(player, cache, tmp_path):
    # The private one breaks `privacy_loss` in the same round, which precedes it by alphabet alone.
    trial = breakable(cache, tmp_path / "e")
    trial.step()
    net = trial.protector.head if player == "desirable" else trial.protector.private_classifier
    nn.init.constant_(next(net.parameters()), float("nan"))
    broken = trial.protector.rounds + 1
    final = finish(trial)[-1]
    assert final["reason"] == f"{player}_classifier_loss was not finite in round {broken}"


def test_whoever_draws_no_public_images_trains_with_fewer_of_them_than_a_batch(cache, tmp_path):
    few = DATA.model_copy(update={"fractions": (0.8, 0.02, 0.08, 0.1)})  # 12 public images
    for name in ("none", "label_flip"):
        config = protect_config(cache, tmp_path / name, name, few, rounds=2, batch_size=64)
        assert finish(ProtectTrial(config))[-1]["status"] == "finished"
    with pytest.raises(ValueError, match="12 images, got 64"):
        ProtectTrial(protect_config(cache, tmp_path / "r", data=few, rounds=2, batch_size=64))


def test_augmented_training_repeats_and_differs_from_plain_training(cache, tmp_path):
    ends = []
    for folder, augment in (("a", True), ("b", True), ("c", False)):
        values = {"rounds": 4, "batch_size": 16, "augment": augment}
        config = protect_config(cache, tmp_path / folder, "none", **values)
        ends.append(finish(ProtectTrial(config))[-1]["encoder_hash"])
    assert ends[0] == ends[1]
    assert ends[0] != ends[2]
