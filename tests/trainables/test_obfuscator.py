"""DeepObfuscator's cycle: its steps in order, who moves in each, by which loss, on which batch."""

import math

import pytest
import torch
from pytorch_msssim import ms_ssim as library_ms_ssim
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
from trainables.losses import ms_ssim_loss, utility_loss
from trainables.nets.config import ModelConfig
from trainables.protectors.obfuscator import NoiseImage, Obfuscator, ObfuscatorConfig

SIDE = 48
VGG = ModelConfig(backbone="vgg16", width=0.125, head_width=32)
RESNET = ModelConfig(width=0.125, cut_point="conv3")
ADVERSARIES = {"reconstructor", "attribute_classifier"}
STEPS = (
    "joint_update",
    "defend_against_reconstruction",
    "defend_against_inference",
    "adversary_update",
    "recover_classifier",
)


def make(model=VGG, seed=0, private=(1,), utility=(0, 2), setting=None, **values):
    torch.manual_seed(seed)
    values = {"rounds": 10, "batch_size": 8, "joint_rounds": 0, "adversary_rounds": 0, **values}
    setting = make_setting(model, SIDE, utility, private, **(setting or {}))
    return Obfuscator(ObfuscatorConfig(**values), setting)


def batch(seed=1, **values):
    return make_batch(seed, side=SIDE, **values)


def draw(attributes=3):
    return Drawn(SIDE, attributes)


def follow(protector):
    """Records each step's name, batches, and which weights and statistics it moved."""
    record = []

    def wrap(name, step):
        def wrapped(*batches):
            before = snapshot(protector)
            terms = step(*batches)
            record.append((name, batches, moved(before, snapshot(protector)), set(terms)))
            return terms

        return wrapped

    for name in STEPS:
        setattr(protector, name, wrap(name, getattr(protector, name)))
    return record


ENCODER, HEAD = ({"encoder"}, {"encoder"}), ({"head"}, {"head"})
CYCLE = [
    ("defend_against_reconstruction", ENCODER),
    ("defend_against_inference", ENCODER),
    ("adversary_update", (ADVERSARIES, ADVERSARIES)),
    ("recover_classifier", HEAD),
]


@pytest.mark.parametrize("model", [VGG, RESNET], ids=["vgg", "resnet"])
def test_phases_and_steps_in_order_each_moving_its_own_nets_on_a_batch_of_its_own(model):
    protector, drawn = make(model, joint_rounds=2, adversary_rounds=1, rounds=2), draw()
    record = follow(protector)
    assert protector.config.total_rounds == 5
    for _ in range(5):
        protector.round(drawn, forbidden)
    together = ({"encoder", "head"}, {"encoder", "head"})
    assert [(name, nets) for name, _, nets, _ in record] == [
        ("joint_update", together),
        ("joint_update", together),
        ("adversary_update", (ADVERSARIES, ADVERSARIES)),
        *CYCLE,
        *CYCLE,
    ]
    # Eleven steps, eleven batches, in turn; step 1 has one for both of its losses.
    assert len(drawn.batches) == 11
    for index, (name, batches, _, _) in enumerate(record):
        assert len(batches) == (2 if name == "defend_against_inference" else 1)
        assert all(given is drawn.batches[index] for given in batches)


@pytest.mark.parametrize("model", [VGG, RESNET], ids=["vgg", "resnet"])
def test_every_weight_of_a_steps_nets_moves(model):
    protector = make(model)
    for name, batches, nets in (
        ("joint_update", [batch(2)], ("encoder", "head")),
        ("defend_against_reconstruction", [batch(3)], ("encoder",)),
        ("defend_against_inference", [batch(4), batch(5)], ("encoder",)),
        ("adversary_update", [batch(6)], ("reconstructor", "attribute_classifier")),
        ("recover_classifier", [batch(7)], ("head",)),
    ):
        before = snapshot(protector)
        getattr(protector, name)(*batches)
        assert all(every_weight_moved(protector, before, net) for net in nets), name


def test_the_encoder_normalises_by_the_batch_where_it_learns_and_is_evaluated_where_others_do():
    protector, modes = make(joint_rounds=1, adversary_rounds=1), []
    protector.encoder.register_forward_hook(lambda net, *_: modes.append(net.training))
    drawn = draw()
    for _ in range(3):
        protector.round(drawn, forbidden)
    assert modes == [True, False, True, True, False, False]


def test_nets_that_hold_still_for_the_encoder_normalise_by_the_batch():
    protector, seen = make(), []

    def note(net, *_):
        norms = [p for p in net.modules() if isinstance(p, nn.BatchNorm1d | nn.BatchNorm2d)]
        seen.append((net.training, {norm.track_running_stats for norm in norms}))

    for name in ("head", "reconstructor", "attribute_classifier"):
        protector.nets()[name].register_forward_hook(note)
    protector.defend_against_reconstruction(batch())
    protector.defend_against_inference(batch(2), batch(2))
    assert seen == [(True, {False})] * 4
    protector.adversary_update(batch(3))
    protector.recover_classifier(batch(4))
    assert seen[4:] == [(True, {True})] * 3


class Answers(nn.Module):
    """Answers the same whatever the codes, and still passes a gradient on."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, codes):
        return self.answer + 0 * codes.sum()


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


@pytest.mark.parametrize(
    ("off", "nets", "steps", "terms"),
    [
        (
            "defend_reconstruction",
            {"encoder", "head", "attribute_classifier"},
            ["defend_against_inference", "adversary_update", "recover_classifier"],
            {"utility_loss_step1", "inference_loss", "attribute_classifier_loss"},
        ),
        (
            "defend_attributes",
            {"encoder", "head", "reconstructor", "noise"},
            ["defend_against_reconstruction", "adversary_update", "recover_classifier"],
            {"utility_loss_step0", "noise_loss", "reconstruction_loss", "reconstructor_loss"},
        ),
    ],
)
def test_a_defence_that_is_off_leaves_out_its_net_its_step_and_its_batch(off, nets, steps, terms):
    protector, drawn = make(**{off: False}), draw()
    record = follow(protector)
    assert set(protector.nets()) == nets
    assert set(protector.optimisers()) == {"protector", *(nets - {"encoder", "noise"})}
    found = protector.round(drawn, forbidden)
    assert set(found) == terms | {"classifier_loss"}
    assert [name for name, *_ in record] == steps
    assert len(drawn.batches) == 3
    assert (protector.in_loop_decoder() is None) == (off == "defend_reconstruction")
    assert (protector.in_loop_classifier() is None) == (off == "defend_attributes")


def test_adversary_steps_have_a_batch_each():
    protector, drawn = make(adversary_steps=3), draw()
    record = follow(protector)
    protector.round(drawn, forbidden)
    assert [name for name, *_ in record].count("adversary_update") == 3
    assert len(drawn.batches) == 6


@pytest.mark.parametrize(
    ("private", "setting", "joint", "adversary", "cycle"),
    [
        ((1,), {}, (), (), [(), (), (), ()]),
        (
            (1,),
            {"num_categories": 4, "exclusive": True},
            (0, 2),
            (1,),
            # Step 1 needs two: what is balanced for L(C) is not for L(AC).
            [(0, 2), (0, 2), (1,), (1,), (0, 2)],
        ),
        (
            (1, 3),
            {"num_categories": 4, "exclusive": True},
            (0, 2),
            (),
            [(0, 2), (0, 2), (), (), (0, 2)],
        ),
    ],
)
def test_which_batches_are_balanced(private, setting, joint, adversary, cycle):
    protector = make(private=private, setting=setting, joint_rounds=1, adversary_rounds=1)
    drawn = draw(attributes=4)
    for _ in range(3):
        protector.round(drawn, forbidden)
    assert drawn.balanced == [joint, adversary, *cycle]


def test_a_private_task_of_its_own_is_what_the_attribute_loss_is_of():
    protector = make(setting={"num_categories": 4})
    one, task = batch(1), batch(2)
    protector.attribute_classifier = Answers(torch.full((8, 1), math.log(3)))
    terms = protector.defend_against_inference(one, task)
    rate = task.labels[:, 1].mean().item()
    assert rate != one.labels[:, 1].mean().item()
    expected = rate * math.log(4 / 3) + (1 - rate) * math.log(4)
    assert terms["inference_loss"].item() == pytest.approx(expected, rel=1e-5)


def test_the_noise_image_is_drawn_once_and_restored():
    protector, other = make(seed=0), make(seed=1)
    image = protector.target.image.clone()
    assert image.shape == (1, 3, SIDE, SIDE)
    assert not torch.equal(image, other.target.image)
    drawn = draw()
    for _ in range(2):
        protector.round(drawn, forbidden)
    torch.testing.assert_close(protector.target.image, image, rtol=0, atol=0)
    other.load_state_dict(protector.state_dict())
    torch.testing.assert_close(other.target.image, image, rtol=0, atol=0)
    assert not list(protector.target.parameters())


def test_the_noise_is_gaussian_around_grey_and_clipped():
    torch.manual_seed(0)
    image = NoiseImage(96, 96, 0.1).image
    assert image.mean().item() == pytest.approx(0.5, abs=0.005)
    assert image.std().item() == pytest.approx(0.1, rel=0.03)
    wide = NoiseImage(96, 96, 2.0).image
    assert (wide.min().item(), wide.max().item()) == (0, 1)


def test_rates_are_staged_after_the_preparation_and_the_others_keep_theirs():
    protector = make(
        rounds=2,
        joint_rounds=1,
        adversary_rounds=1,
        encoder_lr=1e-2,
        encoder_lr_decay=0.1,
        encoder_lr_stages=1,
        adversary_lr=2e-3,
    )
    drawn, rates = draw(), []
    for _ in range(4):
        protector.round(drawn, forbidden)
        rates.append(protector.optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx([1e-2, 1e-2, 1e-2, 1e-3])
    optimisers = protector.optimisers()
    assert set(optimisers) == {"protector", "head", *ADVERSARIES}
    for name, optimiser in optimisers.items():
        net = protector.nets()["encoder" if name == "protector" else name]
        (group,) = optimiser.param_groups
        assert [id(p) for p in group["params"]] == [id(p) for p in net.parameters()]
        if name != "protector":
            assert group["lr"] == 2e-3


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


def test_what_does_not_fit_is_refused():
    both = ObfuscatorConfig()
    both.check_fits(VGG, 33, 40, 1)
    with pytest.raises(ValueError, match="above 32 pixels, got 32x48"):
        both.check_fits(VGG, 32, 48, 1)
    ObfuscatorConfig(defend_reconstruction=False).check_fits(VGG, 32, 32, 1)
    with pytest.raises(ValueError, match="names nothing"):
        both.check_fits(VGG, 48, 48, 0)
    ObfuscatorConfig(defend_attributes=False).check_fits(VGG, 48, 48, 0)
    with pytest.raises(ValueError, match="needs a private attribute"):
        make(private=())
    assert make(private=(), defend_attributes=False).attribute_classifier is None
