"""Which searched values mattered: Optuna's evaluators over the study's completed trials."""

import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from search_spaces import PROTECTOR_NAME

MAX_TRIALS = 300
"""Completed trials of a protector that are looked at, evenly spread: the forest's time grows."""
MIN_TRIALS = 8
"""Completed trials of a protector below which an importance would say nothing."""
OBJECTIVES = ("utility", "leakage")


def importances(
    trials: Sequence[FrozenTrial], one_protector: str, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Importance of each searched value for utility and for leakage, by fANOVA.

    Shares of the variance that a forest of trees sees over the searched ranges; those of one
    objective add up to one. Values of different protectors have nothing in common, so each
    protector's trials are looked at by themselves, and of these the values that all of them have.

    Args:
        trials: Optuna's trials, in whatever state.
        one_protector: Name of the protector where only one is searched.
        seed: Of the forest.

    Returns:
        Protector → `num_trials`, `utility`, `leakage`, each of the last two value → share, the most
        important first. A protector with fewer than MIN_TRIALS is left out.
    """
    by_protector: dict[str, list[FrozenTrial]] = defaultdict(list)
    for trial in trials:
        if trial.state == TrialState.COMPLETE:
            by_protector[str(trial.params.get(PROTECTOR_NAME, one_protector))].append(trial)
    found: dict[str, dict[str, Any]] = {}
    for name, own in by_protector.items():
        if len(own) > MAX_TRIALS:
            own = [own[place * len(own) // MAX_TRIALS] for place in range(MAX_TRIALS)]
        searched = _searched(own)
        if len(own) < MIN_TRIALS or not searched:
            continue
        shares = {
            objective: _shares(own, searched, place, seed)
            for place, objective in enumerate(OBJECTIVES)
        }
        found[name] = {"num_trials": len(own), **shares}
    return found


def _searched(trials: Sequence[FrozenTrial]) -> Mapping[str, BaseDistribution]:
    """What all of them have, and not all the same."""
    common = set.intersection(*(set(trial.params) for trial in trials)) - {PROTECTOR_NAME}
    return {
        name: trials[-1].distributions[name]
        for name in sorted(common)
        if len({trial.params[name] for trial in trials}) > 1
        and all(t.distributions[name] == trials[-1].distributions[name] for t in trials)
    }


def _shares(
    trials: Sequence[FrozenTrial],
    searched: Mapping[str, BaseDistribution],
    objective: int,
    seed: int,
) -> dict[str, float]:
    values = [trial.values[objective] for trial in trials]
    if len(set(values)) < 2:
        return {}
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study()
        for trial, value in zip(trials, values, strict=True):
            study.add_trial(
                optuna.trial.create_trial(
                    params={name: trial.params[name] for name in searched},
                    distributions=dict(searched),
                    value=value,
                )
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shares = optuna.importance.get_param_importances(
                study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=seed)
            )
    finally:
        optuna.logging.set_verbosity(level)
    return {name: round(float(share), 6) for name, share in shares.items()}
