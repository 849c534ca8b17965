"""Domains of searched values: proposed, written back as parameters, read from YAML."""

import optuna
import pytest

from search_spaces import Choice, Float, Integer, read_domain


def ask(domain, name="x", **fixed):
    """What a domain makes of given Optuna parameters."""
    return domain.suggest(optuna.trial.FixedTrial(fixed or {name: 0}), name)


def test_float_encodes_the_nearest_allowed_value() -> None:
    domain = Float(0.1, 10.0, log=True)
    assert domain.encode("x", 1.0) == {"x": 1.0}
    assert domain.encode("x", 99.0) == {"x": 10.0}
    assert domain.encode("x", 0.0) == {"x": 0.1}


def test_a_switched_off_value_is_exactly_zero_and_asks_for_nothing_else() -> None:
    domain = Float(0.01, 10.0, log=True, or_zero=True)
    assert domain.encode("x", 0.0) == {"x.on": False}
    assert ask(domain, **domain.encode("x", 0.0)) == 0.0
    assert ask(domain, **domain.encode("x", 0.5)) == 0.5
    assert domain.ends() == [0.01, 10.0, 0.0]


def test_both_sides_of_the_switch_are_proposed() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    domain = Float(0.01, 10.0, log=True, or_zero=True)
    values = [domain.suggest(study.ask(), "x") for _ in range(40)]
    assert 5 < sum(value == 0 for value in values) < 35
    assert all(value == 0 or 0.01 <= value <= 10 for value in values)


def test_a_choice_is_a_position_and_one_value_is_no_question() -> None:
    domain = Choice(("conv3", "conv4"))
    assert ask(domain, x=1) == "conv4"
    assert domain.encode("x", "conv3") == {"x": 0}
    assert domain.encode("x", "fc") == {"x": 1}
    assert Choice(("conv3",)).encode("x", "conv3") == {}
    assert ask(Choice(("conv3",)), y=0) == "conv3"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Float(2, 1), "low=2, high=1"),
        (lambda: Float(0, 1, log=True), "low above 0"),
        (lambda: Float(0, float("inf")), "finite"),
        (lambda: Choice(()), "at least one"),
        (lambda: Choice((1, 1)), "differ"),
    ],
)
def test_impossible_domains_are_refused(make, words) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_what_is_dumped_is_read_again() -> None:
    for domain in (
        Float(0.1, 30.0, log=True),
        Float(0.01, 10.0, log=True, or_zero=True),
        Integer(1, 3),
        Choice((32, 64)),
    ):
        assert read_domain(domain.dump(), domain) == domain


def test_a_range_takes_its_scale_from_the_domain_it_replaces() -> None:
    assert read_domain({"low": 1, "high": 5}, Float(0.1, 30, log=True)) == Float(1, 5, log=True)
    assert read_domain({"low": 0, "high": 5}, Float(0.1, 30, log=True)) == Float(0, 5)
    assert read_domain({"low": 1, "high": 5, "log": False}, Float(0.1, 30, log=True)) == Float(1, 5)


def test_choices_of_floats_may_become_a_range_and_others_not() -> None:
    assert read_domain({"low": 0.1, "high": 1}, Choice((0.5,))) == Float(0.1, 1.0)
    assert read_domain({"low": 0.1, "high": 1, "log": True}, Choice((0.5,))).log
    with pytest.raises(ValueError, match="list of choices"):
        read_domain({"low": 0, "high": 1}, Choice((True,)))


@pytest.mark.parametrize(
    ("value", "like", "words"),
    [
        ({"low": 1}, Float(0, 1), "low: number, high: number"),
        ({"low": 1, "high": 2, "step": 1}, Float(0, 1), "step"),
        ({"low": "a", "high": 2}, Float(0, 1), "must be a number, got 'a'"),
        ({"low": 1.5, "high": 2}, Integer(0, 1), "whole numbers"),
        ({"low": 1, "high": 2}, Choice((1, 2)), "list of choices"),
        ([], Float(0, 1), "at least one"),
    ],
)
def test_a_range_that_is_none_is_refused(value, like, words) -> None:
    with pytest.raises(ValueError, match=words):
        read_domain(value, like)
