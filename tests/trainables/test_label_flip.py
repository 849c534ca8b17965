"""The updates of Pittaluga's method: who moves, by which loss, on which batches, in which mode."""

import math

import pytest
import torch
from torch import nn

from tests.trainables.protector_probe import (
    Drawn,
    every_weight_moved,
    forbidden,
    make_batch,
    make_setting,
    moved,
    snapshot,
)
from trainables.losses import exclusive_logits
from trainables.nets.config import EncoderStyle, ModelConfig
from trainables.nets.normalisation import PerLocationNorm
from trainables.protectors import base
from trainables.protectors.label_flip import LabelFlip, LabelFlipConfig

SCENE = ModelConfig(backbone="scene", width=0.125)
RESNET = ModelConfig(width=0.125, cut_point="conv3")
BACKBONES = pytest.mark.parametrize("model", [SCENE, RESNET], ids=["scene", "resnet"])
CLASSIFIERS = {"head", "private_classifier"}


def make(model=RESNET, utility=(0, 2), private=(1,), setting=None, **values):
    torch.manual_seed(0)
    values = {"rounds": 10, "batch_size": 8, "warmup": 0, **values}
    more = setting or {}
    setting = make_setting(model, utility=utility, private=private, **more)
    return LabelFlip(LabelFlipConfig(**values), setting)


def two(seed=1):
    return make_batch(seed), make_batch(seed + 1)


class Answers(nn.Module):
    """A classifier that answers the same logits whatever the codes, and still has a gradient."""

    def __init__(self, logits):
        super().__init__()
        self.logits = torch.tensor(logits)
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, codes):
        return self.logits + self.weight * codes.flatten(1).sum(dim=1, keepdim=True)


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


# Says yes with 0.75, no with 0.75, yes with 0.9; the labels are yes, no, no: it errs on the third.
LOGITS = [[math.log(3)], [-math.log(3)], [math.log(9)]]
LABELS = torch.tensor([[0.0, 1, 0], [0, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        # -(log 0.25 + log 0.25 + log 0.1) / 3: against what it says.
        ("flip", (math.log(4) + math.log(4) + math.log(10)) / 3),
        # -(log 0.25 + log 0.25 + log 0.9) / 3: against the label.
        ("gan", (math.log(4) + math.log(4) + math.log(10 / 9)) / 3),
        # (log 0.75 + log 0.75 + log 0.1) / 3: minus its own loss.
        ("negative", (2 * math.log(0.75) + math.log(0.1)) / 3),
    ],
)
def test_privacy_term_of_an_update_by_hand(kind, expected):
    protector = make(privacy_loss=kind)
    protector.private_classifier = Answers(LOGITS)
    batch = make_batch(size=3)._replace(labels=LABELS)
    terms = protector.encoder_update(batch, make_batch(2, size=3))
    assert terms["privacy_loss"].item() == pytest.approx(expected, rel=1e-5)


def test_flip_is_gan_where_the_classifier_is_right_and_its_opposite_where_it_is_wrong():
    flip, gan = make(), make(privacy_loss="gan")

    def slopes(protector):
        logits = torch.tensor(LOGITS, requires_grad=True)
        protector.privacy_loss(logits, LABELS[:, 1:2]).backward()
        return (3 * logits.grad.flatten()).tolist()

    # Downhill all three lose confidence under flip; gan makes the error more confident still.
    assert slopes(flip) == pytest.approx([0.75, -0.75, 0.9])
    assert slopes(gan) == pytest.approx([0.75, -0.75, -0.1])


def test_the_encoders_gradient_is_the_privacy_terms_plus_alpha_times_the_desirable_ones():
    task, desirable = two()

    def gradient(alpha):
        protector = make(alpha=alpha)
        terms = protector.encoder_update(task, desirable)
        assert ("desirable_loss" in terms) == (alpha > 0)
        return [weight.grad.clone() for weight in protector.encoder.parameters()]

    protector = make()
    both = protector.encoder.train()(torch.cat([task.images, desirable.images]))
    protector.private_classifier.train()
    protector.head.train()
    terms = (
        protector.privacy_loss(protector.private_classifier(both[:8]), task.labels[:, 1:2]),
        protector.desirable_loss(protector.head(both[8:]), desirable),
    )
    weights = list(protector.encoder.parameters())
    privacy, utility = (torch.autograd.grad(term, weights, retain_graph=True) for term in terms)
    # α = 0 leaves nothing of the desirable attributes.
    torch.testing.assert_close(gradient(0.0), list(privacy), rtol=1e-3, atol=1e-5)
    expected = [p + 0.5 * u for p, u in zip(privacy, utility, strict=True)]
    torch.testing.assert_close(gradient(0.5), expected, rtol=1e-3, atol=1e-5)


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


def test_each_classifier_learns_its_own_attributes_on_its_own_batch():
    protector = make(private=(1,), utility=(0, 2))
    task, desirable = two()
    with torch.no_grad():
        codes = protector.encoder.eval()(torch.cat([task.images, desirable.images]))
        private = protector.private_classifier.train()(codes[:8])
        utility = protector.head.train()(codes[8:])
    bce = nn.functional.binary_cross_entropy_with_logits
    terms = protector.classifier_update(task, desirable)
    expected = bce(private, task.labels[:, 1:2]).item()
    assert terms["private_classifier_loss"].item() == pytest.approx(expected, rel=1e-4)
    expected = bce(utility, desirable.labels[:, [0, 2]]).item()
    assert terms["desirable_classifier_loss"].item() == pytest.approx(expected, rel=1e-4)


EXCLUSIVE, CATEGORIES = {"exclusive": True}, {"exclusive": True, "num_categories": 4}


@pytest.mark.parametrize(
    ("private", "utility", "setting", "values", "expected"),
    [
        ((1,), (0,), {}, {}, [(1,), (0,)]),
        ((1,), (0, 2), {}, {}, [(1,), ()]),  # they may go together
        ((1,), (0, 2), EXCLUSIVE, {}, [(1,), (0, 2)]),
        ((1,), (0, 2), EXCLUSIVE, {"desirable": "separate"}, [(1,), ()]),
        ((1,), (0, 2), {}, {"desirable": "exclusive"}, [(1,), (0, 2)]),
        ((1, 2), (0,), {}, {}, [(), (0,)]),  # no one way to balance two private attributes
        ((1,), (0,), {}, {"balanced": False}, [(), ()]),
        ((1,), (0,), CATEGORIES, {}, [(1,), (0,)]),
        ((1,), (0, 2), CATEGORIES, {}, [(1,), (0, 2)]),
        ((1,), (0, 2), CATEGORIES, {"desirable": "separate"}, [(1,), (0, 2)]),
        ((1,), (0, 2, 3), CATEGORIES, {}, [(1,), (0, 2, 3)]),
        ((1, 3), (0, 2), CATEGORIES, {}, [(), (0, 2)]),
        ((1,), (0, 2), CATEGORIES, {"balanced": False}, [(), ()]),
    ],
)
def test_which_batches_are_balanced(private, utility, setting, values, expected):
    protector = make(private=private, utility=utility, setting=setting, **values)
    drawn = Drawn(attributes=4)
    protector.round(drawn, forbidden)
    # The classifiers' and the encoder's are made alike.
    assert drawn.balanced == expected * 2


@pytest.mark.parametrize(
    ("exclusive", "desirable", "utility", "outputs"),
    [
        (True, "auto", (0, 2), 3),
        (False, "auto", (0, 2), 2),
        (True, "separate", (0, 2), 2),
        (False, "exclusive", (0, 2), 3),
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


def test_desirable_loss_of_classes_by_hand():
    # Probabilities 1/8, 2/8, 5/8 of columns 0, 2 and none; one image of each.
    scores = torch.tensor([[0.0, math.log(2), math.log(5)]]).expand(3, -1)
    labels = torch.tensor([[1.0, 1, 0], [0, 1, 1], [0, 0, 0]])
    batch = make_batch(size=3)._replace(labels=labels)
    loss = make(setting=EXCLUSIVE).desirable_loss(scores, batch)
    assert loss.item() == pytest.approx((math.log(8) + math.log(4) + math.log(8 / 5)) / 3)
    # Each by itself: log 3 says yes with 0.75, 0 is undecided.
    loss = make().desirable_loss(torch.tensor([[math.log(3), 0.0]] * 3), batch)
    first = (math.log(4 / 3) + 2 * math.log(4)) / 3
    assert loss.item() == pytest.approx((first + math.log(2)) / 2)


@pytest.mark.parametrize("normalisation", ["per_location", "batch", "per_location_bias", "none"])
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
    assert len(per_location) == {"batch": 0, "none": 1}.get(normalisation, 11)
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


def test_a_measured_round_tells_shares_and_gradients():
    protector, drawn = make(warmup=1, alpha=0.25), Drawn()
    terms = protector.round(drawn, forbidden, measure=True)
    measured = {name for name in terms if "/" in name}
    assert measured == {f"gradient_norm/{name}" for name in CLASSIFIERS}
    terms = {name: float(v) for name, v in protector.round(drawn, forbidden, True).items()}
    sizes = {
        "privacy_loss": terms["privacy_loss"],
        "desirable_loss": 0.25 * terms["desirable_loss"],
    }
    for name, size in sizes.items():
        assert terms[f"share/{name}"] == pytest.approx(size / sum(sizes.values()), rel=1e-5)
    assert all(terms[f"gradient_norm/{name}"] > 0 for name in protector.nets())


def test_shares_of_a_negative_term_are_magnitudes():
    protector = make(privacy_loss="negative")
    terms = protector.round(Drawn(), forbidden, measure=True)
    assert terms["privacy_loss"] < 0
    assert terms["share/privacy_loss"] > 0
    total = terms["share/privacy_loss"] + terms["share/desirable_loss"]
    assert total.item() == pytest.approx(1)


def test_the_private_classifier_is_the_one_in_the_loop():
    protector = make(private=(1, 2), utility=(0,))
    assert protector.in_loop_classifier() is protector.private_classifier
    assert protector.in_loop_decoder() is None
    with torch.no_grad():
        codes = protector.encoder(make_batch().images)
        assert protector.private_classifier(codes).shape == (8, 2)


@pytest.mark.parametrize("cut_point", ["conv3", "fc"])
def test_the_scale_of_single_outputs_does_not_hide_them_from_the_adversary(cut_point):
    protector = make(ModelConfig(width=0.125, cut_point=cut_point))
    codes = torch.randn(8, *protector.code.shape)
    channels = torch.linspace(-3, 3, codes.shape[1]).exp()
    scaled = codes * channels.view(1, -1, *[1] * (codes.dim() - 2))
    net, head = protector.private_classifier.train(), protector.head.train()
    torch.testing.assert_close(net(scaled), net(codes), rtol=0.05, atol=0.05)
    assert (head(scaled) - head(codes)).abs().max() > 0.1


def test_something_must_be_private():
    config = LabelFlipConfig()
    with pytest.raises(ValueError, match="data.private names none"):
        config.check_fits(SCENE, 32, 32, 0)
    config.check_fits(SCENE, 32, 32, 1)
    with pytest.raises(ValueError, match="needs a private attribute"):
        make(private=())
