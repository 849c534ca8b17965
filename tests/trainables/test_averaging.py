"""Averages of weights by hand, and that attackers are followed and scored by them."""

import torch
from torch import nn

from tests.trainables.trial_probe import attack_config
from trainables.attack import AttackTrial
from trainables.averaging import WeightAverages


def net_of(value):
    """One weight, and a normalisation whose running mean is 10 times it."""
    net = nn.ModuleDict({"linear": nn.Linear(1, 1, bias=False), "norm": nn.BatchNorm1d(1)})
    with torch.no_grad():
        net["linear"].weight.fill_(value)
        net["norm"].running_mean.fill_(10 * value)
    return net


def averaged(averages):
    weights = averages.weights()["net"]
    return float(weights["linear.weight"]), float(weights["norm.running_mean"])


def test_an_average_by_hand():
    averages = WeightAverages({"net": net_of(7.0)}, decay=0.75)
    averages.update({"net": net_of(1.0)})
    assert averaged(averages) == (1, 10)  # what it was made with does not count
    averages.update({"net": net_of(3.0)})
    assert averaged(averages) == (1.5, 15)  # 3/4 · 1 + 1/4 · 3
    averages.restart()
    averages.update({"net": net_of(5.0)})
    assert averaged(averages) == (5, 50)


def test_the_nets_themselves_stay_as_they_are():
    net = net_of(1.0)
    averages = WeightAverages({"net": net}, decay=0.75)
    for _ in range(2):
        averages.update({"net": net})
    averages.weights()["net"]["linear.weight"].fill_(9.0)
    assert net["linear"].weight.item() == 1
    assert averaged(averages) == (1, 10)


def test_a_state_goes_on_the_same():
    first, second = (WeightAverages({"net": net_of(0.0)}, decay=0.75) for _ in range(2))
    first.update({"net": net_of(1.0)})
    second.load_state_dict(first.state_dict())
    for averages in (first, second):
        averages.update({"net": net_of(3.0)})
    assert averaged(first) == averaged(second) == (1.5, 15)


def test_attackers_are_followed_by_their_average_and_train_on_from_their_own_weights(tmp_path):
    config = attack_config(
        tmp_path / "cache", tmp_path, "identity", ["attribute_linear"], evaluate_every=5
    )
    trial = AttackTrial(config)
    score = trial.step()["train/attribute_linear"]
    own, average = trial.attacker.weights(), trial.averages.weights()
    assert not torch.equal(own["classifier"]["2.weight"], average["classifier"]["2.weight"])
    for name, weight in average["classifier"].items():
        assert torch.equal(weight, trial.best["classifier"][name])
    trial.attacker.load_weights(average)
    assert trial.attacker.monitor(trial.encodings.split_batches("selection")) == score
