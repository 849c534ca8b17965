"""The attackers' health: what each reference must have shown."""

import pytest

from study.health import examine


def entry(score, kind="reconstruction", **more):
    metrics = {"ssim": score} if kind == "reconstruction" else {}
    return {"kind": kind, "test": score, "selection": 0.0, "metrics": metrics, **more}


def references(**changes):
    """Well in every way; `changes` by encoder_attacker."""
    values = {
        "constant_decoder": entry(0.20), "constant_decoder_strong": entry(0.18),
        "identity_decoder": entry(0.95), "identity_decoder_strong": entry(0.93),
        "constant_attribute": entry(0.50, "attribute"),
        "constant_attribute_linear": entry(0.51, "attribute"),
        "identity_attribute": entry(0.80, "attribute"),
        "identity_attribute_linear": entry(0.52, "attribute"),
        "planted-conv3_attribute": entry(1.0, "attribute"),
        "planted-conv3_attribute_linear": entry(0.995, "attribute"),
    }  # fmt: skip
    values |= {
        name: entry(score, values[name]["kind"])
        for name, score in changes.items()
        if name in values
    }
    assert changes.keys() <= values.keys()
    return {(*key.split("_", 1), 0): value for key, value in values.items()}


def failed(**changes):
    return [(c.check, c.attacker) for c in examine("quick", references(**changes)).failures]


def test_a_suite_that_is_well_passes_every_check() -> None:
    health = examine("quick", references())
    assert health.failures == ()
    found = {(check.check, check.attacker) for check in health.checks}
    assert len(found) == len(health.checks) == 10
    assert health.dump()["passed"] is True


@pytest.mark.parametrize(
    ("changes", "failures"),
    [
        # A decoder that does not rebuild the image itself has no ceiling worth the name.
        ({"identity_decoder": 0.8}, [("ceiling", "decoder")]),
        # One so bad that it cannot draw the mean image would make every leakage look higher.
        ({"constant_decoder_strong": 0.10}, [("floor", "decoder_strong")]),
        # A constant code tells nothing, unless labels leak into the attack.
        ({"constant_attribute": 0.56}, [("floor", "attribute")]),
        ({"constant_attribute": 0.44}, [("floor", "attribute")]),
        ({"planted-conv3_attribute_linear": 0.98}, [("planted at conv3", "attribute_linear")]),
        # Nobody reads it from images: leakage of it means nothing.
        (
            {"identity_attribute": 0.52},
            [("ceiling", "attribute"), ("ceiling", "attribute_linear")],
        ),
    ],
)
def test_each_failure_is_named(changes, failures) -> None:
    assert failed(**changes) == failures


def test_a_failure_says_what_was_needed_and_what_it_means() -> None:
    (check,) = examine("quick", references(**{"planted-conv3_attribute": 0.7})).failures
    assert (check.value, check.needed) == (0.7, "≥ 0.99")
    assert "was not read" in check.note


def test_repetitions_are_not_judged_again() -> None:
    more = {(which, name, 1): entry(0.0) for which, name, _ in references()}
    assert examine("quick", {**references(), **more}).failures == ()


def test_an_attribute_alone_is_judged_by_those_after_the_same() -> None:
    """The mean over attributes is easy to learn; that one among them is not must be said."""
    alone = {"settings": {"only": "Oval_Face"}}
    more = {
        ("constant", "attribute-only-Oval_Face", 0): entry(0.5, "attribute", **alone),
        ("identity", "attribute-only-Oval_Face", 0): entry(0.52, "attribute", **alone),
    }
    (check,) = examine("standard", {**references(), **more}).failures
    assert (check.check, check.attacker) == ("ceiling", "attribute-only-Oval_Face")
    assert check.value == 0.52


def test_nobody_is_known_again_by_a_constant_code() -> None:
    def people(rank1):
        return {
            ("constant", "reidentify", 0): entry(rank1, "identity", metrics={"chance_rank1": 0.01}),
            ("identity", "reidentify", 0): entry(0.6, "identity", metrics={"chance_rank1": 0.01}),
        }

    assert examine("standard", {**references(), **people(0.01)}).failures == ()
    (check,) = examine("standard", {**references(), **people(0.2)}).failures
    assert (check.check, check.attacker) == ("floor", "reidentify")


def test_mean_images_are_compared_by_ssim_whatever_they_are_scored_by() -> None:
    values = references()
    faces = {**values["constant", "decoder_strong", 0], "test": 0.0}  # cosine of a mean face
    values["constant", "decoder_strong", 0] = faces
    assert examine("quick", values).failures == ()
