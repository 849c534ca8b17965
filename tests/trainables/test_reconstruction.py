"""The updates of Xiao's method: who moves, by which loss, in which mode."""

import pytest
import torch

from tests.trainables.protector_probe import (
    every_weight_moved,
    forbidden,
    make_batch,
    make_setting,
    moved,
    snapshot,
)
from trainables.losses import perceptual_loss, pixel_loss, utility_loss
from trainables.nets.perceptual import PublicFeatures
from trainables.protectors.baselines import NoneConfig, Undefended
from trainables.protectors.config import ProtectorConfig, staged_rate
from trainables.protectors.reconstruction import Reconstruction, ReconstructionConfig

FULL = {"lambda1": 2.0, "lambda2": 0.5, "mu1": 0.01, "mu2": 0.3}


def make(**values):
    torch.manual_seed(0)
    config = ReconstructionConfig(rounds=10, batch_size=8, **values)
    perceptual = None
    if config.needs_perceptual:
        perceptual = PublicFeatures(3).eval().requires_grad_(False)
    return Reconstruction(config, make_setting(perceptual=perceptual, private=()))


def batch(balanced=(), seed=1):
    assert balanced == ()  # attributes that may go together have no balanced batches
    return make_batch(seed)


def test_adversary_update_moves_decoder_and_discriminator_alone():
    protector = make(**FULL)
    # Gradients lie about from before.
    protector.protector_update(*_images_and_labels(batch(seed=7)))
    before = snapshot(protector)
    protector.adversary_update(batch().images)
    # Not even a running statistic of the encoder, f or g moves; the discriminator has none.
    assert moved(before, snapshot(protector)) == ({"decoder", "discriminator"}, {"decoder"})
    assert every_weight_moved(protector, before, "decoder")
    assert every_weight_moved(protector, before, "discriminator")


def test_protector_update_moves_encoder_and_head_alone():
    protector = make(**FULL)
    protector.adversary_update(batch(seed=7).images)
    before = snapshot(protector)
    protector.protector_update(*_images_and_labels(batch()))
    assert moved(before, snapshot(protector)) == ({"encoder", "head"}, {"encoder", "head"})
    assert every_weight_moved(protector, before, "encoder")
    assert every_weight_moved(protector, before, "head")


def _images_and_labels(one):
    return one.images, one.labels[:, [0, 2]]


def test_encoder_is_in_evaluation_mode_for_the_adversary_and_in_training_mode_for_itself():
    protector = make(lambda1=1.0)
    modes = []
    protector.encoder.register_forward_hook(lambda net, *_: modes.append(net.training))
    protector.adversary_update(batch().images)
    protector.protector_update(*_images_and_labels(batch()))
    assert modes == [False, True]


def test_terms_are_those_of_the_paper():
    """Adversary: L_p + μ1 L_adv + μ2 L_perc; protector: L_u - λ1 L_p - λ2 L_perc."""
    protector = make(**FULL)
    images, labels = _images_and_labels(batch())
    encoder, decoder, network = protector.encoder, protector.decoder, protector.setting.perceptual
    encoder.eval()
    rebuilt = decoder.train()(encoder(images))
    terms = protector.adversary_update(images)
    assert terms["adversary_pixel_loss"].item() == pytest.approx(
        pixel_loss(rebuilt, images).item(), rel=1e-4
    )
    assert terms["adversary_perceptual_loss"].item() == pytest.approx(
        perceptual_loss(network(rebuilt), network(images)).item(), rel=1e-4
    )
    encoder.train()
    codes = encoder(images)
    expected = utility_loss(protector.head.train()(codes), labels).item()
    terms = protector.protector_update(images, labels)
    assert terms["utility_loss"].item() == pytest.approx(expected, rel=1e-3)
    assert set(terms) == {"utility_loss", "protector_pixel_loss", "protector_perceptual_loss"}


def test_protector_runs_from_the_decoder():
    """The gradient of -λ1 L_p on the encoder is minus λ1 times that of L_p."""
    images, labels = _images_and_labels(batch())
    gradients = {}
    for lambda1 in (0.0, 3.0):
        protector = make(lambda1=lambda1)
        protector.protector_update(images, labels)
        gradients[lambda1] = next(protector.encoder.parameters()).grad.clone()
    protector = make(lambda1=1.0)
    protector.encoder.train()
    loss = pixel_loss(protector.decoder.train()(protector.encoder(images)), images)
    pixel = torch.autograd.grad(loss, next(protector.encoder.parameters()))[0]
    torch.testing.assert_close(gradients[3.0] - gradients[0.0], -3.0 * pixel, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"lambda1": 0.0}, {"adversary_pixel_loss", "utility_loss"}),
        ({"lambda1": 1.0}, {"adversary_pixel_loss", "utility_loss", "protector_pixel_loss"}),
        (
            {"lambda1": 0.0, "mu1": 0.1},
            {
                "adversary_pixel_loss",
                "adversary_adversarial_loss",
                "discriminator_loss",
                "utility_loss",
            },
        ),
    ],
)
def test_only_terms_with_a_weight_are_computed(values, expected):
    protector = make(**values)
    assert set(protector.round(batch, lambda: batch(seed=2))) == expected
    assert ("discriminator" in protector.nets()) == ("mu1" in values)


def test_warmup_trains_for_utility_alone_and_adversary_steps_use_fresh_batches():
    protector = make(lambda1=1.0, warmup=1, adversary_steps=3)
    drawn = []

    def public():
        drawn.append(len(drawn))
        return batch(seed=10 + len(drawn))

    assert "protector_pixel_loss" not in protector.round(batch, public)
    assert "protector_pixel_loss" in protector.round(batch, public)
    assert len(drawn) == 6


def test_rate_reaches_its_decay_in_equal_stages():
    config = NoneConfig(rounds=10, encoder_lr=1.0, encoder_lr_decay=0.01, encoder_lr_stages=4)
    rates = [staged_rate(config, done) for done in range(10)]
    factor = 0.01**0.25
    expected = [factor ** (i // 2) for i in range(10)]
    assert rates == pytest.approx(expected)
    flat = ProtectorConfig(name="x", rounds=7, encoder_lr=0.5)
    assert {staged_rate(flat, done) for done in range(7)} == {0.5}


def test_encoder_rate_decays_and_the_adversarys_does_not():
    protector = make(lambda1=1.0, encoder_lr_decay=0.1, encoder_lr_stages=1)
    for _ in range(10):
        protector.round(batch, lambda: batch(seed=2))
    assert protector.optimiser.param_groups[0]["lr"] == pytest.approx(1e-4)
    assert protector.decoder_optimiser.param_groups[0]["lr"] == protector.config.adversary_lr


def test_perceptual_network_is_asked_for():
    with pytest.raises(ValueError, match="no perceptual network"):
        Reconstruction(ReconstructionConfig(mu2=1.0), make_setting())


def test_undefended_has_no_adversary_and_draws_no_public_data():
    torch.manual_seed(0)
    protector = Undefended(NoneConfig(rounds=2, batch_size=8), make_setting())
    assert set(protector.round(batch, forbidden)) == {"utility_loss"}
    assert protector.in_loop_decoder() is None


def test_a_measured_round_tells_each_terms_share_and_each_nets_gradient():
    protector = make(**FULL)
    assert not [name for name in protector.round(batch, batch) if "/" in name]
    terms = {name: float(value) for name, value in protector.round(batch, batch, True).items()}
    # Weights times values, as magnitudes, over their sum: of each objective by itself.
    for weights in (
        {"utility_loss": 1.0, "protector_pixel_loss": 2.0, "protector_perceptual_loss": 0.5},
        {
            "adversary_pixel_loss": 1.0,
            "adversary_adversarial_loss": 0.01,
            "adversary_perceptual_loss": 0.3,
        },
    ):
        sizes = {name: weight * abs(terms[name]) for name, weight in weights.items()}
        for name, size in sizes.items():
            assert terms[f"share/{name}"] == pytest.approx(size / sum(sizes.values()), rel=1e-5)
    norms = {name for name in terms if name.startswith("gradient_norm/")}
    assert norms == {f"gradient_norm/{name}" for name in protector.nets()}
    expected = sum(float(p.grad.square().sum()) for p in protector.encoder.parameters()) ** 0.5
    assert terms["gradient_norm/encoder"] == pytest.approx(expected, rel=1e-5)
    assert not [name for name in protector.round(batch, batch) if "/" in name]
