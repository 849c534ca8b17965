"""The attackers' health: what each reference must have shown."""

import pytest

from study.health import examine


def entry(score, kind="reconstruction"):
    return {"kind": kind, "test": score, "selection": 0.0}


def references(**changes):
    """Well in every way; `changes` by encoder_attacker."""
    values = {
        "constant_decoder": entry(0.20), "constant_decoder_strong": entry(0.18),
        "identity_decoder": entry(0.95), "identity_decoder_strong": entry(0.93),
        "constant_attribute": entry(0.50, "attribute"),
        "constant_attribute_linear": entry(0.51, "attribute"),
        "identity_attribute": entry(0.80, "attribute"),
        "identity_attribute_linear": entry(0.52, "attribute"),
        "planted_attribute": entry(1.0, "attribute"),
        "planted_attribute_linear": entry(0.995, "attribute"),
    }  # fmt: skip
    values |= {
        name: {**values[name], "test": score} for name, score in changes.items() if name in values
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
        ({"planted_attribute_linear": 0.98}, [("planted", "attribute_linear")]),
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
    (check,) = examine("quick", references(planted_attribute=0.7)).failures
    assert (check.value, check.needed) == (0.7, "≥ 0.99")
    assert "was not read" in check.note


def test_repetitions_are_not_judged_again() -> None:
    more = {(which, name, 1): entry(0.0) for which, name, _ in references()}
    assert examine("quick", {**references(), **more}).failures == ()
