"""Names, suites, and which attackers a study can have."""

import pytest

from trainables.attackers.attribute import AttributeConfig
from trainables.attackers.config import AttackConfig
from trainables.attackers.decoder import DecoderConfig
from trainables.attackers.suite import (
    ATTACKERS,
    HELD_OUT,
    SUITE_VERSION,
    SUITES,
    Circumstances,
    build_attacker,
    left_out,
    named_attacker,
    resolve_attackers,
    scale_of,
    why_not,
)
from trainables.data.config import DataConfig
from trainables.seeding import config_hash

PLAIN = Circumstances(private=("Hat",), height=48, width=48)
RICH = Circumstances(("Hat", "Beard"), 48, 48, has_identity=True, has_people=True, has_extra=True)


def names(suite, circumstances=PLAIN):
    return [config.name for config in resolve_attackers(suite, circumstances)]


def test_names_say_what_was_changed():
    assert named_attacker("decoder-data-0.1") == DecoderConfig(name="decoder-data-0.1", data=0.1)
    assert named_attacker("decoder_strong-extra").extra
    assert named_attacker("decoder_strong-extra").mu1 == ATTACKERS["decoder_strong"].mu1
    assert named_attacker("decoder-capacity-2").capacity == 2
    assert named_attacker("attribute-budget-300").budget == 300
    assert named_attacker("attribute_other-only-5_o_Clock_Shadow").only == "5_o_Clock_Shadow"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("decodr", "unknown attacker 'decodr'; did you mean 'decoder'"),
        ("decoder-depth-2", "unknown attacker 'decoder-depth-2'"),
        ("attribute-capacity-2", "'attribute' has no 'capacity' to change"),
        ("attribute-extra", "'attribute' has no 'extra' to change"),
        ("decoder-data-much", "ends in 'much', not in a number"),
        ("decoder-data-2", "less than or equal to 1"),
    ],
)
def test_a_name_that_means_nothing_is_refused(name, message):
    with pytest.raises(ValueError, match=message):
        named_attacker(name)


def test_what_a_study_cannot_have_is_left_out_of_a_suite():
    assert names("standard") == [
        "decoder", "decoder_strong", "attribute", "decoder_unet_deep", "decoder_residual",
        "attribute_other", "attribute_linear", "attribute_mlp",
    ]  # fmt: skip
    reasons = left_out("full", PLAIN)
    assert reasons["feature"] == "needs an identity model; give attack.identity_model"
    assert reasons["decoder-extra"] == "needs data.extra_public, which is not given"
    assert set(names("full")) | set(reasons) == set(SUITES["full"]) - {"attribute_each"}


def test_with_everything_at_hand_nothing_is_left_out():
    assert left_out("full", RICH) == {}
    every = names("standard", RICH)
    assert every[-2:] == ["feature", "reidentify"]
    assert {"attribute-only-Hat", "attribute-only-Beard"} <= set(every)


def test_several_images_of_a_person_come_with_celeba():
    config = DataConfig(source="celeba", root="here", private=("Male",))
    attack = AttackConfig(identity_model="public")
    found = Circumstances.of(config, attack)
    assert found == Circumstances(("Male",), 32, 32, has_identity=True, has_people=True)
    assert why_not(ATTACKERS["reidentify"], found) == ""
    assert Circumstances.of(DataConfig(), attack).has_people
    assert "several images" in why_not(ATTACKERS["reidentify"], RICH.__class__((), 32, 32, True))


@pytest.mark.parametrize(
    ("suite", "message"),
    [
        ("quik", "unknown suite 'quik'; did you mean 'quick'"),
        ((), "the list is empty"),
        (("decoder", "decoder"), "'decoder' is given twice"),
        (("feature",), "'feature' needs an identity model"),
        (("attribute-only-Male",), "infers 'Male', which is not private; data.private: Hat"),
    ],
)
def test_a_list_is_taken_at_its_word(suite, message):
    with pytest.raises(ValueError, match=message):
        resolve_attackers(suite, PLAIN)


def test_ms_ssim_needs_its_scales():
    small = Circumstances((), 32, 32)
    assert "decoder_ms_ssim" not in names("full", small)
    assert "decoder_ms_ssim" in names("full", PLAIN)


def test_standard_has_attackers_that_no_protector_is_trained_against():
    held_out = [ATTACKERS[name] for name in SUITES["standard"] if name in HELD_OUT]
    assert {config.kind for config in held_out} == {"reconstruction", "attribute"}
    for config in held_out:
        # Every protector's adversaries are the mirror decoder and the service's own classifier.
        if isinstance(config, DecoderConfig):
            assert config.architecture != "mirror"
        else:
            assert isinstance(config, AttributeConfig)
            assert config.architecture != "same"


def test_a_rung_is_measured_on_its_base_and_does_not_count():
    assert scale_of("decoder-data-0.1") == scale_of("decoder-budget-300") == "decoder"
    assert scale_of("optimisation") == "decoder"
    assert scale_of("decoder-capacity-2") == "decoder-capacity-2"
    assert scale_of("attribute-only-Hat") == "attribute-only-Hat"
    counting = {name for name in names("strength", RICH) if named_attacker(name).counts}
    assert "decoder-extra" in counting
    assert not {name for name in counting if "-data-" in name or "-budget-" in name}
    assert not named_attacker("optimisation").counts


def test_other_hyperparameters_never_go_by_a_known_name():
    settings = ATTACKERS["decoder"].model_dump(mode="json")
    with pytest.raises(ValueError, match="not those of suite"):
        build_attacker({**settings, "mu2": 1.0}, None)


def test_attackers_are_those_of_the_suites_version():
    """Whoever changes an attacker changes the version: figures of two cannot stand together.

    A new name that stands in no suite changes nothing that was measured, and only the hash here.
    """
    everyone = {name: list(members) for name, members in SUITES.items()}
    settings = {name: config.model_dump(mode="json") for name, config in ATTACKERS.items()}
    found = config_hash({"suites": everyone, "attackers": settings})
    assert (SUITE_VERSION, found) == (5, "2606deb1bcae")
