"""What tests of protectors share: batches, who drew which, and which nets moved."""

import torch
from torch import nn

from trainables.data.batches import Batch
from trainables.nets.config import ModelConfig
from trainables.protectors.base import Setting

BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def make_batch(seed=1, size=8, side=32, attributes=3):
    """Random images and labels; no column of the labels is constant."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(size, 3, side, side, generator=generator)
    labels = (torch.rand(size, attributes, generator=generator) > 0.5).float()
    labels[0], labels[1] = 0, 1
    return Batch(images, labels, torch.arange(size))


class Drawn:
    """Hands over batches, each with a seed of its own, and keeps what was asked for."""

    def __init__(self, side=32, attributes=3, size=8):
        self.side, self.attributes, self.size = side, attributes, size
        self.balanced = []
        self.batches = []

    def __call__(self, balanced=()):
        self.balanced.append(balanced)
        batch = make_batch(100 + len(self.batches), self.size, self.side, self.attributes)
        self.batches.append(batch)
        return batch


def forbidden(balanced=()):
    raise AssertionError("no batch of this split is needed")


def make_setting(model=None, side=32, utility=(0, 2), private=(1,), **more):
    model = model or ModelConfig(width=0.125, cut_point="conv3")
    cpu = torch.device("cpu")
    return Setting(model, side, side, utility, cpu, private_columns=private, **more)


def snapshot(protector):
    """A copy of every net's state, the perceptual network's included."""
    states = {name: net.state_dict() for name, net in protector.nets().items()}
    if protector.setting.perceptual is not None:
        states["perceptual"] = protector.setting.perceptual.state_dict()
    return {
        name: {key: value.clone() for key, value in state.items()} for name, state in states.items()
    }


def moved(before, after):
    """Names of the nets of which weights moved, and of those of which running statistics did."""
    weights, statistics = set(), set()
    for name, state in after.items():
        for key, value in state.items():
            if not torch.equal(value, before[name][key]):
                (statistics if key.endswith(BUFFERS) else weights).add(name)
    return weights, statistics


def every_weight_moved(protector, before, name):
    """Whether each parameter tensor of a net is another than before."""
    net = protector.nets()[name]
    return all(not torch.equal(p, before[name][key]) for key, p in net.named_parameters())


class Answers(nn.Module):
    """A net that answers the same whatever the codes, and still has and passes on a gradient."""

    def __init__(self, answer):
        super().__init__()
        self.answer = torch.as_tensor(answer)
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, codes):
        return self.answer + self.weight * codes.sum()
