"""What the tests of label flip share."""

import torch

from tests.trainables.protector_probe import make_batch, make_setting
from trainables.nets.config import ModelConfig
from trainables.protectors.label_flip import LabelFlip, LabelFlipConfig

SCENE = ModelConfig(backbone="scene", width=0.125)
RESNET = ModelConfig(width=0.125, cut_point="conv3")
CLASSIFIERS = {"head", "private_classifier"}


def make(model=RESNET, utility=(0, 2), private=(1,), setting=None, **values):
    torch.manual_seed(0)
    values = {"rounds": 10, "batch_size": 8, "warmup": 0, **values}
    more = setting or {}
    setting = make_setting(model, utility=utility, private=private, **more)
    return LabelFlip(LabelFlipConfig(**values), setting)


def two(seed=1):
    return make_batch(seed), make_batch(seed + 1)
