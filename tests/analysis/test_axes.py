"""Every axis that shows a figure of a split says of how many images."""

import re
from typing import Any

import pytest
from mlflow.entities import Metric

from analysis.compare import compare
from analysis.compare_report import draw_frontiers, draw_histories
from analysis.load import load_study
from analysis.report import draw_figures

SPLITS = re.compile(r"\((test|selection|private|public)\b[^)]*\)")
SIZES = {"test": 480, "selection": 320, "private": 2560, "public": 640}


def labels(figure: Any) -> list[str]:
    """Of all axes, and those that a figure's axes share."""
    own = [text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel())]
    return [*own, figure.get_supxlabel(), figure.get_supylabel()]


@pytest.fixture
def studies(full_study: Any, methods_study: Any, ladder_study: Any) -> list[Any]:
    found = [full_study, methods_study, ladder_study]
    return [load_study(study.name, study.uri) for study in found]


def test_of_the_report(studies: list[Any]) -> None:
    seen = set()
    for tables in studies:
        for name, figure in draw_figures(tables).items():
            told = [match for label in labels(figure) for match in SPLITS.finditer(label)]
            assert told, f"{name} of {tables.name} says of no axis which split it is of"
            for match in told:
                size = SIZES[match[1]]
                assert match[0] == f"({match[1]}, n = {size:,} images)", (tables.name, name)
            seen.add(name.removesuffix("-narrow"))
    assert seen >= {"frontier", "kinds", "what-mattered", "in-loop-against-verified", "saturation",
                    "strength-ladder"}  # fmt: skip


def test_of_a_comparison(studies: list[Any]) -> None:
    first, second, _ = studies
    figure = draw_frontiers(compare([first, second]).sides)
    assert all("(test, n = 480 images)" in label for label in labels(figure) if label)
    second.data["split_sizes"] = {"test": 1200}
    figure = draw_frontiers(compare([first, second]).sides)
    assert all("(test)" in label for label in labels(figure) if label)
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert told == ["full (test, n = 480 images)", "methods (test, n = 1,200 images)"]


def test_of_hypervolume_over_encoders(make_study: Any) -> None:
    study = make_study("axes-history")
    study.client.log_batch(study.run_id, metrics=[Metric("hypervolume", 0.1, 0, 1)])
    figure = draw_histories(compare([load_study(study.name, study.uri)]).sides)
    assert figure is not None
    assert labels(figure)[:2] == [
        "encoders verified", "hypervolume: area, at most 1\n(test, n = 480 images)",
    ]  # fmt: skip
