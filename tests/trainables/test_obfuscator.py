"""DeepObfuscator's cycle: its steps in order, who moves in each, on which batch, in which mode."""

import pytest
import torch
from torch import nn

from tests.trainables.obfuscator_probe import ADVERSARIES, RESNET, SIDE, VGG, batch, draw, make
from tests.trainables.protector_probe import every_weight_moved, forbidden, moved, snapshot
from trainables.protectors.obfuscator import NoiseImage, ObfuscatorConfig

STEPS = (
    "joint_update",
    "defend_against_reconstruction",
    "defend_against_inference",
    "adversary_update",
    "recover_classifier",
)


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
            (1, 3),
            [(0, 2), (0, 2), (1, 3), (1, 3), (0, 2)],
        ),
    ],
)
def test_which_batches_are_balanced(private, setting, joint, adversary, cycle):
    protector = make(private=private, setting=setting, joint_rounds=1, adversary_rounds=1)
    drawn = draw(attributes=4)
    for _ in range(3):
        protector.round(drawn, forbidden)
    assert drawn.balanced == [joint, adversary, *cycle]


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


def test_a_defence_that_is_off_has_no_weight():
    weights = {"lambda1": 3.0, "lambda2": 2.0}
    for off, expected in (
        ({}, (3, 2)),
        ({"defend_attributes": False}, (0, 2)),
        ({"defend_reconstruction": False}, (3, 0)),
    ):
        config = ObfuscatorConfig(**weights, **off)
        assert (config.lambda1, config.lambda2) == expected
        assert ObfuscatorConfig(**config.model_dump(mode="json")) == config
