"""What each step of DeepObfuscator's cycle minimises, by hand and by its gradients."""

import math

import pytest
import torch
from pytorch_msssim import ms_ssim as library_ms_ssim
from torch import nn

from tests.trainables.obfuscator_probe import ADVERSARIES, SIDE, batch, draw, make
from tests.trainables.protector_probe import Answers, forbidden
from trainables.losses import ms_ssim_loss, utility_loss


def picture(seed, side=SIDE):
    coarse = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, (side, side), mode="bilinear")


def test_step_0_by_hand():
    """`L(C) + λ2 (L(AR2) - L(AR1))`, with `L(AR)` one minus MS-SSIM (eq. 6, 8 and 9)."""
    protector = make(lambda2=0.5, seed=3)
    image, noise = picture(0), 0.05 * torch.randn(1, 3, SIDE, SIDE)
    target, rebuilt = 0.5 * image + 0.5 * picture(1), image + noise
    protector.target.image.copy_(target)
    protector.reconstructor = Answers(rebuilt.expand(4, -1, -1, -1))
    protector.head = Answers(torch.tensor([[math.log(3), 0.0]] * 4))
    labels = torch.tensor([[1.0, 0, 1]] * 4)
    images = image.expand(4, -1, -1, -1)
    protector.measuring = True
    one = batch(size=4)._replace(images=images, labels=labels)
    terms = {k: v.item() for k, v in protector.defend_against_reconstruction(one).items()}

    def away(other):
        return 1 - library_ms_ssim(rebuilt, other, data_range=1.0, win_size=3).item()

    expected = {
        # The labels yes, yes have probability 3/4 and 1/2.
        "utility_loss_step0": (math.log(4 / 3) + math.log(2)) / 2,
        "noise_loss": away(target),
        "reconstruction_loss": away(image),
    }
    sizes = [w * v for w, v in zip((1, 0.5, 0.5), expected.values(), strict=True)]
    shares = {f"share/{k}": s / sum(sizes) for k, s in zip(expected, sizes, strict=True)}
    assert terms == pytest.approx(expected | shares, abs=1e-5)
    # What is compared is told apart.
    assert abs(expected["noise_loss"] - expected["reconstruction_loss"]) > 0.05


def test_step_1_by_hand():
    """`L(C) - λ1 L(AC)` (eq. 5)."""
    protector = make(lambda1=2.0)
    protector.head = Answers(torch.zeros(2, 2))
    protector.attribute_classifier = Answers(torch.tensor([[math.log(3)], [math.log(3)]]))
    labels = torch.tensor([[0.0, 1, 0], [0, 0, 0]])
    protector.measuring = True
    one = batch(size=2)._replace(labels=labels)
    terms = {k: v.item() for k, v in protector.defend_against_inference(one, one).items()}
    inference = (math.log(4 / 3) + math.log(4)) / 2
    total = math.log(2) + 2 * inference
    assert terms == pytest.approx(
        {
            "utility_loss_step1": math.log(2),
            "inference_loss": inference,
            "share/utility_loss_step1": math.log(2) / total,
            "share/inference_loss": 2 * inference / total,
        },
        rel=1e-4,
    )


def gradients(net):
    return [weight.grad.clone() for weight in net.parameters()]


def test_the_encoders_gradients_are_those_of_the_two_objectives():
    one, weights = batch(), {"lambda1": 2.0, "lambda2": 0.5}
    for step, losses in (
        (lambda p: p.defend_against_reconstruction(one), ("noise", "reconstruction")),
        (lambda p: p.defend_against_inference(one, one), ("inference",)),
    ):
        protector = make(**weights)
        step(protector)
        found = gradients(protector.encoder)
        other = make(**weights)  # the same nets again
        for net in other.nets().values():
            net.train()
        codes = other.encoder(one.images)
        rebuilt = other.reconstructor(codes)
        values = {
            "noise": 0.5 * ms_ssim_loss(rebuilt, other.target.image),
            "reconstruction": -0.5 * ms_ssim_loss(rebuilt, one.images),
            "inference": -2.0 * utility_loss(other.attribute_classifier(codes), one.labels[:, 1:2]),
        }
        loss = utility_loss(other.head(codes), one.labels[:, [0, 2]])
        loss = loss + sum(values[name] for name in losses)
        expected = torch.autograd.grad(loss, list(other.encoder.parameters()))
        torch.testing.assert_close(found, list(expected), rtol=1e-3, atol=1e-5)


def test_joint_training_is_of_utility_alone_and_leaves_no_gradient_behind():
    protector, one = make(joint_rounds=2), batch()
    protector.encoder.train()
    logits = protector.head.train()(protector.encoder(one.images))
    expected = utility_loss(logits, one.labels[:, [0, 2]])
    terms = protector.joint_update(one)
    assert terms["utility_loss"].item() == pytest.approx(expected.item(), rel=1e-4)
    # The next update starts from no gradient, as one of nets that never had any.
    other = make(seed=1, joint_rounds=2)
    other.load_state_dict(protector.state_dict())
    found = []
    for each in (protector, other):
        each.joint_update(batch(2))
        found.append([*gradients(each.encoder), *gradients(each.head)])
    torch.testing.assert_close(*found)


def test_adversaries_and_classifier_learn_on_the_fixed_encoder():
    protector, one = make(), batch()
    with torch.no_grad():
        codes = protector.encoder.eval()(one.images)
        rebuilt = protector.reconstructor.train()(codes)
        private = protector.attribute_classifier.train()(codes)
        utility = protector.head.train()(codes)
    terms = protector.adversary_update(one) | protector.recover_classifier(one)
    expected = {
        "reconstructor_loss": ms_ssim_loss(rebuilt, one.images).item(),
        "attribute_classifier_loss": utility_loss(private, one.labels[:, 1:2]).item(),
        "classifier_loss": utility_loss(utility, one.labels[:, [0, 2]]).item(),
    }
    assert {k: v.item() for k, v in terms.items()} == pytest.approx(expected, rel=1e-4)


def test_adversaries_learn_what_they_are_there_for():
    protector, one = make(adversary_lr=3e-3), batch()
    curve = [protector.adversary_update(one) for _ in range(30)]
    for name in ("reconstructor_loss", "attribute_classifier_loss"):
        assert curve[-1][name] < 0.8 * curve[0][name]


def test_a_private_task_of_its_own_is_what_the_attribute_loss_is_of():
    protector = make(setting={"num_categories": 4})
    one, task = batch(1), batch(2)
    protector.attribute_classifier = Answers(torch.full((8, 1), math.log(3)))
    terms = protector.defend_against_inference(one, task)
    rate = task.labels[:, 1].mean().item()
    assert rate != one.labels[:, 1].mean().item()
    expected = rate * math.log(4 / 3) + (1 - rate) * math.log(4)
    assert terms["inference_loss"].item() == pytest.approx(expected, rel=1e-5)


def test_a_measured_cycle_tells_both_objectives_shares_and_every_nets_gradient():
    protector = make(lambda1=0.5, lambda2=2.0)
    terms = {k: float(v) for k, v in protector.round(draw(), forbidden, measure=True).items()}
    for names in (
        ("utility_loss_step0", "noise_loss", "reconstruction_loss"),
        ("utility_loss_step1", "inference_loss"),
    ):
        assert sum(terms[f"share/{name}"] for name in names) == pytest.approx(1)
    norms = {name for name in terms if name.startswith("gradient_norm/")}
    assert norms == {f"gradient_norm/{name}" for name in ("encoder", "head", *ADVERSARIES)}
    assert all(terms[name] > 0 for name in norms)
