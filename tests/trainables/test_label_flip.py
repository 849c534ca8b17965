"""The updates of Pittaluga's method: who moves, on which batches, in which mode."""

import pytest
import torch
from torch import nn

from tests.trainables.label_flip_probe import CLASSIFIERS, RESNET, SCENE, make, two
from tests.trainables.protector_probe import (
    Drawn,
    every_weight_moved,
    forbidden,
    make_batch,
    moved,
    snapshot,
)
from trainables.losses import exclusive_logits
from trainables.nets.config import EncoderStyle
from trainables.nets.normalisation import PerLocationNorm
from trainables.protectors import base
from trainables.protectors.label_flip import LabelFlipConfig

BACKBONES = pytest.mark.parametrize("model", [SCENE, RESNET], ids=["scene", "resnet"])


@BACKBONES
def test_classifier_update_moves_the_classifiers_alone(model):
    protector = make(model)
    protector.encoder_update(*two(7))  # gradients lie about from before
    before = snapshot(protector)
    protector.classifier_update(*two())
    # Not even a running statistic of the encoder.
    assert moved(before, snapshot(protector)) == (CLASSIFIERS, CLASSIFIERS)
    for name in CLASSIFIERS:
        assert every_weight_moved(protector, before, name)


@BACKBONES
def test_encoder_update_moves_the_encoder_alone(model):
    protector = make(model)
    protector.classifier_update(*two(7))
    before = snapshot(protector)
    protector.encoder_update(*two())
    assert moved(before, snapshot(protector)) == ({"encoder"}, {"encoder"})
    assert every_weight_moved(protector, before, "encoder")


@BACKBONES
def test_warmup_leaves_the_encoders_weights_alone_and_gives_it_statistics(model):
    protector, drawn = make(model, warmup=2), Drawn()
    before = snapshot(protector)
    for _ in range(2):
        assert set(protector.round(drawn, forbidden)) == {
            "private_classifier_loss",
            "desirable_classifier_loss",
        }
    assert moved(before, snapshot(protector)) == (CLASSIFIERS, {*CLASSIFIERS, "encoder"})
    assert len(drawn.batches) == 4
    terms = protector.round(drawn, forbidden)
    assert {"privacy_loss", "desirable_loss"} <= set(terms)
    assert "encoder" in moved(before, snapshot(protector))[0]
    assert protector.config.total_rounds == 12


def test_modes():
    protector, seen = make(warmup=1), []

    def note(name):
        def hook(net, *_):
            norms = [part for part in net.modules() if isinstance(part, nn.BatchNorm2d)]
            tracking = {norm.track_running_stats for norm in norms}
            seen.append((name, net.training, tracking))

        return hook

    for name, net in protector.nets().items():
        net.register_forward_hook(note(name))
    drawn = Drawn()
    for _ in range(2):
        protector.round(drawn, forbidden)
    classifiers = [("private_classifier", True, {True}), ("head", True, {True})]
    assert [(name, training) for name, training, _ in seen[::3]] == [
        ("encoder", True),  # warm-up: it has no running statistics yet
        ("encoder", False),  # as every later attacker finds it
        ("encoder", True),
    ]
    assert seen[1:3] == classifiers
    assert seen[4:6] == classifiers
    # In the encoder's own update the classifiers normalise by the batch and keep their statistics.
    assert seen[7:] == [("private_classifier", True, {False}), ("head", True, {False})]
    assert len(seen) == 9


def test_at_alpha_zero_the_service_still_learns():
    protector = make(alpha=0.0)
    before = snapshot(protector)
    terms = protector.round(Drawn(), forbidden)
    assert every_weight_moved(protector, before, "head")
    assert "desirable_classifier_loss" in terms
    assert "desirable_loss" not in terms


def test_encoder_and_classifiers_get_different_batches():
    protector, drawn, seen = make(adversary_steps=2), Drawn(), []
    protector.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    protector.round(drawn, forbidden)
    # Two classifier updates and the encoder's, each on a batch of either task, none used twice.
    assert len(drawn.batches) == 6
    expected = [
        torch.cat([drawn.batches[index].images, drawn.batches[index + 1].images])
        for index in (0, 2, 4)
    ]
    assert len(seen) == 3
    for images, pair in zip(seen, expected, strict=True):
        torch.testing.assert_close(images, pair, rtol=0, atol=0)


EXCLUSIVE, CATEGORIES = {"exclusive": True}, {"exclusive": True, "num_categories": 4}


@pytest.mark.parametrize(
    ("private", "utility", "setting", "values", "expected"),
    [
        # `f` must learn how common an attribute is, unless the attributes are categories.
        ((1,), (0,), {}, {}, [(1,), ()]),
        ((1,), (0, 2), {}, {}, [(1,), ()]),
        ((1,), (0, 2), EXCLUSIVE, {}, [(1,), ()]),
        ((1,), (0, 2), EXCLUSIVE, {"desirable": "separate"}, [(1,), ()]),
        ((1, 2), (0,), {}, {}, [(), ()]),  # no one way to balance two private attributes
        ((1,), (0,), CATEGORIES, {}, [(1,), (0,)]),
        ((1,), (0, 2), CATEGORIES, {}, [(1,), (0, 2)]),
        ((1,), (0, 2), CATEGORIES, {"desirable": "separate"}, [(1,), (0, 2)]),
        ((1,), (0, 2, 3), CATEGORIES, {}, [(1,), (0, 2, 3)]),
        ((1, 3), (0, 2), CATEGORIES, {}, [(1, 3), (0, 2)]),
    ],
)
def test_which_batches_are_balanced(private, utility, setting, values, expected):
    protector = make(private=private, utility=utility, setting=setting, **values)
    drawn = Drawn(attributes=4)
    protector.round(drawn, forbidden)
    # The classifiers' and the encoder's are made alike.
    assert drawn.balanced == expected * 2


def test_attributes_that_go_together_cannot_share_classes():
    with pytest.raises(ValueError, match="protector.desirable: 'exclusive' has one class per"):
        make(utility=(0, 2), desirable="exclusive", setting={"exclusive": False})


@pytest.mark.parametrize(
    ("exclusive", "desirable", "utility", "outputs"),
    [
        (True, "auto", (0, 2), 3),
        (False, "auto", (0, 2), 2),
        (True, "separate", (0, 2), 2),
        (True, "auto", (0,), 1),  # one attribute and none of it are a yes and a no
        (True, "exclusive", (0,), 1),
    ],
)
def test_attributes_that_exclude_each_other_have_a_class_for_none(
    exclusive, desirable, utility, outputs
):
    setting = {"exclusive": exclusive}
    protector = make(utility=utility, desirable=desirable, setting=setting)
    assert protector.num_outputs == outputs
    images = make_batch().images
    raw = protector.head.eval()(protector.encoder.eval()(images))
    assert raw.shape == (8, outputs)
    protector.encoder.train()
    protector.head.train()
    logits = protector.utility_logits(images)
    assert logits.shape == (8, len(utility))
    expected = exclusive_logits(raw) if outputs > len(utility) else raw
    torch.testing.assert_close(logits, expected)


@pytest.mark.parametrize(
    "normalisation", ["per_location", "batch", "per_location_bias", "none", "none_bias"]
)
def test_the_style_reaches_the_encoder(normalisation, monkeypatch):
    asked, build = [], base.build_encoder

    def noting(model, height, width, style):
        asked.append(style)
        return build(model, height, width, style)

    monkeypatch.setattr(base, "build_encoder", noting)
    protector = make(normalisation=normalisation)
    assert asked == [EncoderStyle(normalisation=normalisation, constrained=True)]
    assert isinstance(protector.encoder[-1], nn.Tanh)
    per_location = [p for p in protector.encoder.modules() if isinstance(p, PerLocationNorm)]
    # Conv3 of a ResNet-18 has ten normalised convolutions; the code's own comes on top.
    assert len(per_location) == {"batch": 0, "none": 1, "none_bias": 1}.get(normalisation, 11)
    with torch.no_grad():
        assert protector.encoder.train()(make_batch().images).abs().max() < 1


def test_rates_are_staged_after_the_warmup_and_the_classifiers_keep_theirs():
    protector = make(rounds=4, warmup=2, encoder_lr=1e-2, encoder_lr_decay=0.1, encoder_lr_stages=1)
    drawn, rates = Drawn(), []
    for _ in range(6):
        protector.round(drawn, forbidden)
        rates.append(protector.optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx([1e-2] * 4 + [1e-3] * 2)
    for name in CLASSIFIERS:
        assert protector.optimisers()[name].param_groups[0]["lr"] == protector.config.adversary_lr
    # Every net has an optimiser of its own.
    for optimiser, net in (("protector", "encoder"), *((name, name) for name in CLASSIFIERS)):
        held = protector.optimisers()[optimiser].param_groups[0]["params"]
        assert [id(p) for p in held] == [id(p) for p in protector.nets()[net].parameters()]


def test_the_private_classifier_is_the_one_in_the_loop():
    protector = make(private=(1, 2), utility=(0,))
    assert protector.in_loop_classifier() is protector.private_classifier
    assert protector.in_loop_decoder() is None
    with torch.no_grad():
        codes = protector.encoder(make_batch().images)
        assert protector.private_classifier(codes).shape == (8, 2)


def test_something_must_be_private():
    config = LabelFlipConfig()
    with pytest.raises(ValueError, match="data.private names none"):
        config.check_fits(SCENE, 32, 32, 0)
    config.check_fits(SCENE, 32, 32, 1)
    with pytest.raises(ValueError, match="needs a private attribute"):
        make(private=())
