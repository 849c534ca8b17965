"""What encoder and classifiers of Pittaluga's method minimise, by hand and by their gradients."""

import math

import pytest
import torch
from torch import nn

from tests.trainables.label_flip_probe import CLASSIFIERS, make, two
from tests.trainables.protector_probe import Answers, Drawn, forbidden, make_batch
from trainables.nets.config import ModelConfig

# Says yes with 0.75, no with 0.75, yes with 0.8; the labels are yes, no, no: it errs on the third.
LOGITS = [[math.log(3)], [-math.log(3)], [math.log(4)]]
LABELS = torch.tensor([[0.0, 1, 0], [0, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        # -(log 0.25 + log 0.25 + log 0.2) / 3: against what it says.
        ("flip", (math.log(4) + math.log(4) + math.log(5)) / 3),
        # -(log 0.25 + log 0.25 + log 0.8) / 3: against the label.
        ("gan", (math.log(4) + math.log(4) + math.log(5 / 4)) / 3),
        # (log 0.75 + log 0.75 + log 0.2) / 3: minus its own loss.
        ("negative", (2 * math.log(0.75) + math.log(0.2)) / 3),
    ],
)
def test_privacy_term_of_an_update_by_hand(kind, expected):
    protector = make(privacy_loss=kind)
    protector.private_classifier = Answers(LOGITS)
    batch = make_batch(size=3)._replace(labels=LABELS)
    terms = protector.encoder_update(batch, make_batch(2, size=3))
    assert terms["privacy_loss"].item() == pytest.approx(expected, rel=1e-5)


def test_gan_and_negative_weigh_several_private_categories_as_their_classifier_does():
    categories = {"num_categories": 4}
    logits = torch.tensor([[1.0, -0.5], [0.3, 0.8], [-1.2, 0.1]])
    labels = torch.tensor([[1.0, 0], [0, 1], [0, 0]])
    gan, negative = (
        make(private=(0, 1), utility=(2,), setting=categories, privacy_loss=kind)
        for kind in ("gan", "negative")
    )
    own = gan.private_loss(logits, labels)
    assert negative.privacy_loss(logits, labels).item() == pytest.approx(-own.item())
    # Three equal parts: having one category counts 1.5, lacking it 0.75.
    weights = torch.where(labels > 0, 1.5, 0.75)
    wrong = nn.functional.softplus(torch.where(labels > 0, logits, -logits))
    expected = (weights * wrong).mean().item()
    assert gan.privacy_loss(logits, labels).item() == pytest.approx(expected)


def test_flip_is_gan_where_the_classifier_is_right_and_its_opposite_where_it_is_wrong():
    flip, gan = make(), make(privacy_loss="gan")

    def slopes(protector):
        logits = torch.tensor(LOGITS, requires_grad=True)
        protector.privacy_loss(logits, LABELS[:, 1:2]).backward()
        return (3 * logits.grad.flatten()).tolist()

    # Downhill all three lose confidence under flip; gan makes the error more confident still.
    assert slopes(flip) == pytest.approx([0.75, -0.75, 0.8])
    assert slopes(gan) == pytest.approx([0.75, -0.75, -0.2])


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


def test_desirable_loss_of_classes_by_hand():
    # Probabilities 1/8, 2/8, 5/8 of columns 0, 2 and none; one image of each.
    scores = torch.tensor([[0.0, math.log(2), math.log(5)]]).expand(3, -1)
    labels = torch.tensor([[1.0, 1, 0], [0, 1, 1], [0, 0, 0]])
    batch = make_batch(size=3)._replace(labels=labels)
    loss = make(setting={"exclusive": True}).desirable_loss(scores, batch)
    assert loss.item() == pytest.approx((math.log(8) + math.log(4) + math.log(8 / 5)) / 3)
    # Each by itself: log 3 says yes with 0.75, 0 is undecided.
    loss = make().desirable_loss(torch.tensor([[math.log(3), 0.0]] * 3), batch)
    first = (math.log(4 / 3) + 2 * math.log(4)) / 3
    assert loss.item() == pytest.approx((first + math.log(2)) / 2)


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


@pytest.mark.parametrize("cut_point", ["conv3", "fc"])
def test_the_scale_of_single_outputs_does_not_hide_them_from_the_adversary(cut_point):
    protector = make(ModelConfig(width=0.125, cut_point=cut_point))
    codes = torch.randn(8, *protector.code.shape)
    channels = torch.linspace(-3, 3, codes.shape[1]).exp()
    scaled = codes * channels.view(1, -1, *[1] * (codes.dim() - 2))
    net, head = protector.private_classifier.train(), protector.head.train()
    assert not list(net[0].parameters())
    torch.testing.assert_close(net(scaled), net(codes), rtol=0.05, atol=0.05)
    assert (head(scaled) - head(codes)).abs().max() > 0.1
