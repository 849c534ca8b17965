"""What the tests of the obfuscator share."""

import torch

from tests.trainables.protector_probe import Drawn, make_batch, make_setting
from trainables.nets.config import ModelConfig
from trainables.protectors.obfuscator import Obfuscator, ObfuscatorConfig

SIDE = 48
VGG = ModelConfig(backbone="vgg16", width=0.125, head_width=32)
RESNET = ModelConfig(width=0.125, cut_point="conv3")
ADVERSARIES = {"reconstructor", "attribute_classifier"}


def make(model=VGG, seed=0, private=(1,), utility=(0, 2), setting=None, **values):
    torch.manual_seed(seed)
    values = {"rounds": 10, "batch_size": 8, "joint_rounds": 0, "adversary_rounds": 0, **values}
    setting = make_setting(model, SIDE, utility, private, **(setting or {}))
    return Obfuscator(ObfuscatorConfig(**values), setting)


def batch(seed=1, **values):
    return make_batch(seed, side=SIDE, **values)


def draw(attributes=3):
    return Drawn(SIDE, attributes)
