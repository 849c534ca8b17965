"""Layers of a step timed alone: each as it was called, alike ones once."""

import pytest
import torch
from torch import nn

from benchmarks.layer_times import alone, recorded
from trainables.nets.modes import frozen


def test_a_layer_is_recorded_as_the_step_called_it() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
    images = torch.rand(2, 3, 8, 8)
    with recorded([net]) as calls:
        net(images)
        with frozen(net, batch_statistics=False):
            net(images)
        with torch.no_grad():
            net.eval()(images)
    assert [type(call.layer).__name__ for call in calls] == 3 * ["Conv2d", "BatchNorm2d", "ReLU"]
    assert [call.wanted for call in calls] == 6 * [True] + 3 * [False]
    asked = [[p.requires_grad for p in call.layer.parameters()] for call in calls]
    assert asked[0] == asked[1] == asked[6] == [True, True]
    assert asked[3] == asked[4] == [False, False]
    assert [calls[i].layer.training for i in (1, 4, 7)] == [True, False, False]
    # The map between two layers asks for its gradient only where something before it does.
    assert [calls[i].inputs[0].requires_grad for i in (0, 1, 4)] == [False, True, False]


def test_timing_leaves_the_net_alone_and_takes_alike_calls_once() -> None:
    net = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1))
    images = torch.rand(2, 4, 8, 8, requires_grad=True)
    with recorded([net]) as calls:
        net(images)
    mean = net[1].running_mean.clone()
    # Shorter than any layer can be: what is best so far counts.
    known = {call.key: 1e-12 for call in calls}
    assert len(known) == 2
    found = alone(calls, "fp32", known)
    assert (found.multiplying, found.other) == pytest.approx((2e-12, 1e-12))
    assert torch.equal(net[1].running_mean, mean)
    assert all(p.grad is None for p in net.parameters())
