"""Lower precision: inside the networks alone, and only while they are trained."""

import time
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from tests.trainables.trial_probe import attack_config, finish, protect_config, without_times
from trainables import precision
from trainables.attack import AttackTrial
from trainables.checkpoint import load_state
from trainables.nets.perceptual import PublicFeatures
from trainables.precision import bfloat16_gain, computed_in, faster_precision
from trainables.protect import ProtectTrial


def small_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3))


def noted_types(net):
    """The types of what every layer returns, noted at each call."""
    types = []
    for layer in net:
        layer.register_forward_hook(lambda _, __, output: types.append(output.dtype))
    return types


def test_nets_compute_in_bfloat16_and_hand_on_float32():
    net, images = small_net(), torch.rand(4, 3, 8, 8)
    before = net(images)
    types = noted_types(net)
    with computed_in("bf16", [net]):
        inside = net(images)
        assert not torch.is_autocast_enabled("cpu")  # losses are computed in float32
        assert (inside @ inside).dtype == torch.float32
    assert set(types) == {torch.bfloat16}
    assert inside.dtype == torch.float32
    torch.testing.assert_close(inside, before, rtol=0.05, atol=0.05)
    assert not torch.equal(inside, before)
    assert torch.equal(net(images), before)  # as if nothing had been


def test_full_precision_changes_nothing():
    net, images = small_net(), torch.rand(4, 3, 8, 8)
    types = noted_types(net)
    with computed_in("fp32", [net]):
        inside = net(images)
    assert set(types) == {torch.float32}
    assert torch.equal(inside, net(images))


def test_gradients_and_weights_stay_in_float32_and_point_the_same_way():
    gradients = {}
    for chosen in ("fp32", "bf16"):
        net = small_net()
        with computed_in(chosen, [net]):
            net(
                torch.rand(16, 3, 8, 8, generator=torch.Generator().manual_seed(1))
            ).square().mean().backward()
        assert all(
            weight.dtype == weight.grad.dtype == torch.float32 for weight in net.parameters()
        )
        gradients[chosen] = torch.cat([weight.grad.flatten() for weight in net.parameters()])
    cosine = nn.functional.cosine_similarity(gradients["fp32"], gradients["bf16"], dim=0)
    assert 0.999 < float(cosine) < 1


def test_every_map_of_a_perceptual_network_is_float32():
    features = PublicFeatures(2).eval()
    with computed_in("bf16", [features]):
        maps = features(torch.rand(2, 3, 32, 32))
    assert len(maps) > 1
    assert all(one.dtype == torch.float32 for one in maps)


def test_an_error_within_a_net_leaves_nothing_in_lower_precision():
    net = small_net()
    with computed_in("bf16", [net]):
        with pytest.raises(RuntimeError):
            net(torch.rand(4, 5, 8, 8))  # five channels
        assert not torch.is_autocast_enabled("cpu")
    assert net(torch.rand(4, 3, 8, 8)).dtype == torch.float32


def test_the_faster_precision_is_chosen_and_no_gain_is_full_precision():
    device = torch.device("cpu")
    quick = {"fp32": 0.01, "bf16": 0.002}
    assert faster_precision(lambda chosen: time.sleep(quick[chosen]), device) == "bf16"
    slow = {"fp32": 0.004, "bf16": 0.004}
    assert faster_precision(lambda chosen: time.sleep(slow[chosen]), device) == "fp32"


def test_what_bfloat16_gains_is_timed(monkeypatch):
    slow = {"fp32": 0.001, "bf16": 0.01}

    @contextmanager
    def taking(chosen, nets):
        time.sleep(slow[chosen])
        yield

    monkeypatch.setattr(precision, "computed_in", taking)
    assert bfloat16_gain(torch.device("cpu")) < 1
    slow["fp32"] = 0.1
    assert bfloat16_gain(torch.device("cpu")) > 1


ROUNDS = {"rounds": 20, "batch_size": 32, "lambda1": 1.0, "mu1": 1e-3, "mu2": 0.1}


def losses(reports):
    return torch.tensor([report["train/utility_loss"] for report in reports])


def test_a_training_in_bfloat16_follows_the_one_in_float32(tmp_path):
    config = protect_config(tmp_path, tmp_path / "full", **ROUNDS)
    lower = {**config, "output": str(tmp_path / "lower"), "precision": "bf16"}
    full = finish(ProtectTrial(config))
    half = finish(ProtectTrial(lower))
    assert not torch.equal(losses(full), losses(half))
    torch.testing.assert_close(losses(half), losses(full), rtol=0.1, atol=0.02)
    again = finish(ProtectTrial(lower))
    assert [without_times(one) for one in again] == [without_times(one) for one in half]
    weights = load_state(tmp_path / "lower" / "encoder.pt")["encoder"].values()
    assert {value.dtype for value in weights if value.is_floating_point()} == {torch.float32}


def test_an_attack_in_bfloat16_follows_the_one_in_float32(tmp_path):
    config = attack_config(tmp_path, tmp_path, "identity", ["decoder", "attribute"])
    results = {}
    for chosen in ("fp32", "bf16"):
        report = finish(AttackTrial({**config, "precision": chosen}))[-1]
        results[chosen] = {one["attacker"]: one["selection"] for one in report["results"]}
    assert results["fp32"] != results["bf16"]
    assert results["bf16"]["decoder"] == pytest.approx(results["fp32"]["decoder"], abs=0.05)
