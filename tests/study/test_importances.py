"""Which searched values mattered: trials in which it is known."""

from collections.abc import Sequence

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from search_spaces import PROTECTOR_NAME
from study.importances import importances

UNIT = FloatDistribution(0.0, 1.0)


def trials(number: int, names: Sequence[str] = ("a", "b"), **params: str) -> list[FrozenTrial]:
    """Utility is the first value, leakage the second; of a third nothing depends."""
    generator = np.random.default_rng(0)
    made = []
    for _ in range(number):
        values = {name: float(generator.random()) for name in (*names, "idle")}
        spread = dict.fromkeys(values, UNIT)
        made.append(
            optuna.trial.create_trial(
                params={**values, **params},
                distributions={
                    **spread,
                    **{k: CategoricalDistribution([v, "other"]) for k, v in params.items()},
                },
                values=[values[names[0]], 1 - values[names[1]]],
            )
        )
    return made


def test_each_objective_is_explained_by_what_it_depends_on() -> None:
    found = importances(trials(40), "reconstruction")
    assert found.keys() == {"reconstruction"}
    own = found["reconstruction"]
    assert own["num_trials"] == 40
    assert own["utility"]["a"] > 0.9
    assert own["leakage"]["b"] > 0.9
    for shares in (own["utility"], own["leakage"]):
        assert abs(sum(shares.values()) - 1) < 1e-4
        assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert importances(trials(40), "reconstruction") == found, "the same every time"


def test_protectors_are_looked_at_by_themselves() -> None:
    first = trials(12, ("a", "b"), **{PROTECTOR_NAME: "reconstruction"})
    second = trials(9, ("c", "d"), **{PROTECTOR_NAME: "label_flip"})
    few = trials(3, ("e", "f"), **{PROTECTOR_NAME: "obfuscator"})
    found = importances([*first, *second, *few], "reconstruction")
    assert {name: own["num_trials"] for name, own in found.items()} == {
        "reconstruction": 12, "label_flip": 9,
    }  # fmt: skip
    assert found["label_flip"]["utility"].keys() == {"c", "d", "idle"}


def test_too_few_trials_and_what_did_not_vary_say_nothing() -> None:
    assert importances(trials(7), "reconstruction") == {}
    assert importances([], "reconstruction") == {}
    alike = [
        optuna.trial.create_trial(
            params={"a": n / 10}, distributions={"a": UNIT}, values=[0.5, n / 10]
        )
        for n in range(10)
    ]
    own = importances(alike, "reconstruction")["reconstruction"]
    assert own["utility"] == {}
    assert own["leakage"] == {"a": 1.0}


def test_what_failed_or_runs_has_no_part() -> None:
    failed = [
        optuna.trial.create_trial(
            state=TrialState.FAIL, params={"a": 0.5}, distributions={"a": UNIT}
        )
    ] * 5
    assert importances([*trials(20), *failed], "x")["x"]["num_trials"] == 20


def test_of_thousands_three_hundred_are_looked_at() -> None:
    assert importances(trials(320), "x")["x"]["num_trials"] == 300
