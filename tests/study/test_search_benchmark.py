"""The samplers' benchmark: what it counts, and that it searches as a study does."""

import json

import numpy as np
import optuna
import pytest

from benchmarks.search import encoders_to_reach, fit, median_interval, record, search
from study.loading import load_config
from study.proposals import Proposals


def config_of(sampler, seed=0):
    words = [f"study.sampler={sampler}", f"study.seed={seed}", "study.name=surface"]
    return load_config("quickstart", words)


def true_surface(point):
    """More λ1 costs utility and takes leakage; a deeper cut leaks less."""
    strength = np.log10(float(point["protector.lambda1"]))
    deep = point["model.cut_point"] == "conv4"
    return 1 - 0.2 * strength, 0.9 - 0.4 * strength - 0.1 * deep


def test_areas_never_shrink_and_a_search_repeats():
    first = search(config_of("tpe"), true_surface, 12)
    assert first == sorted(first)
    assert first == search(config_of("tpe"), true_surface, 12)
    assert first != search(config_of("tpe", seed=1), true_surface, 12)


def test_what_a_study_measured_becomes_a_surface_that_predicts_it(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.search.SURFACES", tmp_path)
    proposals = Proposals(config_of("random"), f"sqlite:///{tmp_path / 'optuna.db'}")
    points = []
    for _ in range(60):
        proposal = proposals.propose()
        points.append(proposal.point)
        proposals.verified(proposal.number, *true_surface(proposal.point), saturated=True)
    failed = proposals.propose()
    proposals.fail(failed.number, "diverged")
    path = record(tmp_path / "optuna.db", "surface", "quickstart")
    rows = json.loads(path.read_text(encoding="utf-8"))
    assert [row["point"] for row in rows] == points  # the failed one has no objectives
    surface, explained = fit(rows)
    assert min(explained.values()) > 0.8
    assert surface(points[0]) == pytest.approx(true_surface(points[0]), abs=0.1)


def test_counting_encoders_until_an_area():
    areas = np.array([[0.1, 0.5, 0.6], [0.1, 0.2, 0.5], [0.1, 0.2, 0.3]])
    assert encoders_to_reach(areas, 0.5).tolist() == [2, 3, np.inf]
    median, low, high = median_interval(encoders_to_reach(areas, 0.5))
    assert (median, low, high) == (3, 2, np.inf)


optuna.logging.set_verbosity(optuna.logging.WARNING)
