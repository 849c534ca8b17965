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


def take(averages, net, value):
    """An optimiser's step to a value, in place as all are, and an update."""
    net.load_state_dict(net_of(value).state_dict())
    averages.update()


def averaged(averages):
    weights = averages.weights()["net"]
    return float(weights["linear.weight"]), float(weights["norm.running_mean"])


def test_an_average_by_hand():
    net = net_of(7.0)
    averages = WeightAverages({"net": net}, decay=0.75)
    take(averages, net, 1.0)
    assert averaged(averages) == (1, 10)  # what it was made with does not count
    take(averages, net, 3.0)
    assert averaged(averages) == (1.5, 15)  # 3/4 · 1 + 1/4 · 3
    averages.restart()
    take(averages, net, 5.0)
    assert averaged(averages) == (5, 50)


def test_weights_that_were_not_finite_are_forgotten():
    net = net_of(1.0)
    averages = WeightAverages({"net": net}, decay=0.75)
    for value in (1.0, float("inf")):
        take(averages, net, value)
    averages.restart()
    take(averages, net, 2.0)
    assert averaged(averages) == (2, 20)


def test_counters_are_the_latest():
    net = net_of(1.0)
    averages = WeightAverages({"net": net}, decay=0.75)
    for count in (3, 8):
        net["norm"].num_batches_tracked.fill_(count)
        averages.update()
    assert averages.weights()["net"]["norm.num_batches_tracked"] == 8


def test_the_nets_themselves_stay_as_they_are():
    net = net_of(1.0)
    averages = WeightAverages({"net": net}, decay=0.75)
    for _ in range(2):
        averages.update()
    averages.weights()["net"]["linear.weight"].fill_(9.0)
    assert net["linear"].weight.item() == 1
    assert averaged(averages) == (1, 10)


def test_a_state_goes_on_the_same():
    net = net_of(0.0)
    first, second = (WeightAverages({"net": net}, decay=0.75) for _ in range(2))
    take(first, net, 1.0)
    second.load_state_dict(first.state_dict())
    for averages in (first, second):
        take(averages, net, 3.0)
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
