"""Curves of training: whose each loss is, and which encoders are shown."""

from typing import Any

import pytest
from mlflow.entities import Metric

from analysis.load import load_study
from analysis.training import draw_training, training_records


@pytest.fixture
def study(make_study: Any, attacked: Any, request: Any) -> Any:
    """An undefended encoder, the defended one of the answer, and one that nobody asks about."""
    made = make_study(f"training-{request.node.name}")
    runs = {
        name: attacked(
            made, name, 0.9, {"decoder": leakage}, role=role, params={"lambda1": 1.0}
        )
        for name, leakage, role in (
            ("u", 0.9, "undefended"), ("d", 0.2, "searched"), ("other", 0.5, "searched"),
        )
    }  # fmt: skip
    for name, run in runs.items():
        names = ["train/utility_loss", "train/selection_mcc", "train/gradient_norm/encoder",
                 "train/share/utility_loss", "train/encoder_lr"]  # fmt: skip
        if name != "u":
            names += ["train/protector_pixel_loss", "train/adversary_pixel_loss",
                      "train/discriminator_loss", "train/selection_in_loop_decoder"]  # fmt: skip
        points = [Metric(key, 1 / step, 0, step) for key in names for step in (1, 2, 4)]
        made.client.log_batch(run, metrics=points)
    return made


def test_losses_are_told_apart_by_whose_they_are(study: Any) -> None:
    undefended, defended = training_records(load_study(study.name, study.uri))
    assert (undefended.label, defended.label) == ("undefended conv4", "#1")
    assert {(curve.name, curve.side) for curve in undefended.curves} == {
        ("utility", "service and protector"), ("mean MCC", "scores"),
    }  # fmt: skip
    assert {(curve.name, curve.side) for curve in defended.curves} == {
        ("utility", "service and protector"), ("protector pixel", "service and protector"),
        ("adversary pixel", "adversary"), ("discriminator", "adversary"),
        ("mean MCC", "scores"), ("in-loop decoder, SSIM", "scores"),
    }  # fmt: skip
    (curve,) = [curve for curve in defended.curves if curve.name == "utility"]
    assert curve.steps == (1, 2, 4)
    assert curve.values == (1.0, 0.5, 0.25)
    assert len(draw_training([undefended, defended]).axes) == 6
    assert len(draw_training([undefended]).axes) == 2
    figure = draw_training([defended], {"selection": 320, "private": 2560})
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "mean loss since the last point\n(private, n = 2,560 images)",
        "mean loss since the last point\n(training)",
        "score\n(selection, n = 320 images)",
    ]  # fmt: skip


def test_without_curves_there_is_no_figure(full_study: Any) -> None:
    assert training_records(load_study("full", full_study.uri)) == ()
