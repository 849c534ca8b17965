"""The updates of Xiao's method: who moves, by which loss, in which mode."""

import pytest
import torch

from trainables.data.batches import Batch
from trainables.losses import perceptual_loss, pixel_loss, utility_loss
from trainables.nets.config import ModelConfig
from trainables.nets.perceptual import PublicFeatures
from trainables.protectors.base import Setting
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
    model = ModelConfig(width=0.125, cut_point="conv3")
    setting = Setting(model, 32, 32, (0, 2), torch.device("cpu"), perceptual)
    return Reconstruction(config, setting)


def batch(seed=1):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(8, 3, 32, 32, generator=generator)
    labels = (torch.rand(8, 3, generator=generator) > 0.5).float()
    return Batch(images, labels, torch.arange(8))


def snapshot(protector):
    states = {name: net.state_dict() for name, net in protector.nets().items()}
    if protector.setting.perceptual is not None:
        states["perceptual"] = protector.setting.perceptual.state_dict()
    return {
        name: {key: value.clone() for key, value in state.items()} for name, state in states.items()
    }


def changed(before, after, parameters_only=False):
    """Names of the nets of which any entry moved."""
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    return {
        name
        for name, state in after.items()
        for key, value in state.items()
        if not (parameters_only and key.endswith(buffers))
        if not torch.equal(value, before[name][key])
    }


def every_weight_moved(protector, before, name):
    net = protector.nets()[name]
    return all(not torch.equal(p, before[name][key]) for key, p in net.named_parameters())


def test_adversary_update_moves_decoder_and_discriminator_alone():
    protector = make(**FULL)
    protector.protector_update(*_images_and_labels(batch(7)))  # gradients lie about from before
    before = snapshot(protector)
    protector.adversary_update(batch().images)
    # Not even a running statistic of the encoder, f or g has moved.
    assert changed(before, snapshot(protector)) == {"decoder", "discriminator"}
    assert every_weight_moved(protector, before, "decoder")
    assert every_weight_moved(protector, before, "discriminator")


def test_protector_update_moves_encoder_and_head_alone():
    protector = make(**FULL)
    protector.adversary_update(batch(7).images)
    before = snapshot(protector)
    protector.protector_update(*_images_and_labels(batch()))
    assert changed(before, snapshot(protector)) == {"encoder", "head"}
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
    assert set(protector.round(batch, lambda: batch(2))) == expected
    assert ("discriminator" in protector.nets()) == ("mu1" in values)


def test_warmup_trains_for_utility_alone_and_adversary_steps_use_fresh_batches():
    protector = make(lambda1=1.0, warmup=1, adversary_steps=3)
    drawn = []

    def public():
        drawn.append(len(drawn))
        return batch(10 + len(drawn))

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
        protector.round(batch, lambda: batch(2))
    assert protector.optimiser.param_groups[0]["lr"] == pytest.approx(1e-4)
    assert protector.decoder_optimiser.param_groups[0]["lr"] == protector.config.adversary_lr


def test_perceptual_network_is_asked_for():
    with pytest.raises(ValueError, match="no perceptual network"):
        Reconstruction(
            ReconstructionConfig(mu2=1.0),
            Setting(ModelConfig(width=0.125, cut_point="conv3"), 32, 32, (0,), torch.device("cpu")),
        )


def test_undefended_has_no_adversary_and_draws_no_public_data():
    torch.manual_seed(0)
    model = ModelConfig(width=0.125, cut_point="conv3")
    setting = Setting(model, 32, 32, (0, 2), torch.device("cpu"))
    protector = Undefended(NoneConfig(rounds=2, batch_size=8), setting)

    def forbidden():
        raise AssertionError("the undefended encoder needs no public data")

    assert set(protector.round(batch, forbidden)) == {"utility_loss"}
    assert protector.in_loop_decoder() is None
