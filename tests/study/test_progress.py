"""What a person sees: figures per finished trial, time left, the frontier so far."""

import io

import pytest
from rich.console import Console

from study.jobs import Job
from study.launch import make_plan
from study.progress import Plan, Progress
from study.records import EncoderRecord
from study.verification import Verdict


def job(key, kind="protect", label="reconstruction conv4 λ1=1"):
    """A job."""
    return Job(key, kind, key, {"protector": {}}, label)


def record(label, mcc, leakage, role="searched", saturated=True):
    """A verified encoder."""
    verdict = Verdict((), "decoder", leakage, leakage, 0.0, {}, saturated, {}, {}, None, 10, ())
    return EncoderRecord(
        job(label, label=label), role, {}, status="verified",
        protected={"utility/mean_mcc": mcc}, verdict=verdict,
    )  # fmt: skip


class Clock:
    """Time that stands until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


@pytest.fixture
def screen():
    """(progress, clock, what was printed)."""
    clock, text = Clock(), io.StringIO()
    console = Console(file=text, width=200, force_terminal=False)
    progress = Progress(Plan(2, 1, 0, 1), console, clock)
    return progress, clock, text


def test_a_finished_trial_is_one_line_with_figures_and_time_left(screen) -> None:
    progress, clock, text = screen
    progress.job_started(job("a"), None)
    clock.now = 60.0
    progress.job_finished(
        job("a"), {"status": "finished", "utility/mean_mcc": 0.81, "in_loop/decoder": 0.25}
    )
    assert text.getvalue() == (
        "[0/2 encoders, 0:01:00] train reconstruction conv4 λ1=1: mean MCC 0.810, "
        "in-loop SSIM 0.250\n"
    )


def test_every_in_loop_adversary_is_shown_and_a_collapse_is_a_warning(screen) -> None:
    progress, _, text = screen
    progress.job_started(job("a"), None)
    result = {
        "status": "finished", "utility/mean_mcc": 0.81, "in_loop/decoder": 0.25,
        "in_loop/attribute": 0.5,
    }  # fmt: skip
    progress.job_finished(job("a"), result)
    assert "in-loop SSIM 0.250, in-loop balanced accuracy 0.500" in text.getvalue()
    for status in ("collapsed", "diverged"):
        one = record(f"one {status}", 0.8, 0.2)
        one.status, one.reason = status, "why"
        progress.encoder_failed(one)
    lines = text.getvalue().splitlines()[1:]
    assert lines[0].endswith("] warning: no verdict on one collapsed: collapsed: why")
    assert lines[1].endswith("] no verdict on one diverged: diverged: why")


def test_time_left_adds_up_what_waits_and_what_runs(screen) -> None:
    progress, clock, _ = screen
    assert progress.seconds_left() is None
    progress.job_started(job("a"), None)
    clock.now = 60.0
    progress.job_finished(job("a"), {"status": "finished", "utility/mean_mcc": 0.8})
    progress.job_started(job("x", kind="attack"), None)
    assert progress.seconds_left() is None
    clock.now = 70.0
    progress.job_progressed(job("x", kind="attack"), {"progress": 0.5})
    # An attack takes 20 s: half of one is left, another waits; one encoder of 60 s waits.
    assert progress.seconds_left() == pytest.approx(10 + 20 + 60)


def test_references_that_are_known_already_take_no_time(make_bench) -> None:
    bench = make_bench()
    assert make_plan(bench.config, bench.jobs, 1, num_references=0).totals()["reference"] == 0
    assert make_plan(bench.config, bench.jobs, 1).totals()["reference"] == 4
    clock = Clock()
    progress = Progress(Plan(1, 1, 0, 1), Console(file=io.StringIO()), clock)
    for kind in ("protect", "attack"):
        progress.job_started(job("a", kind=kind), None)
        clock.now += 30.0
        result = {"status": "finished", "utility/mean_mcc": 0.8, "results": []}
        progress.job_finished(job("a", kind=kind), result)
    assert progress.seconds_left() == 0.0


def test_the_frontier_leaves_out_what_is_dominated_and_labels(screen) -> None:
    progress, _, _ = screen
    for one in (
        record("good", 0.8, 0.2),
        record("dominated", 0.7, 0.3),
        record("useful", 0.9, 0.6),
        record("labels", 1.0, 0.0, role="labels"),
    ):
        progress.encoder_verified(one)
    assert [one.label for one in progress.frontier()] == ["useful", "good"]


def test_a_lower_bound_is_off_the_frontier_and_dominates_none(screen) -> None:
    progress, _, _ = screen
    progress.encoder_verified(record("bound", 0.9, 0.1, saturated=False))
    assert progress.frontier() == []
    progress.encoder_verified(record("proven", 0.8, 0.2))
    assert [one.label for one in progress.frontier()] == ["proven"]
    shown = io.StringIO()
    Console(file=shown, width=120).print(progress.render())
    assert "without 1 not saturated: lower bounds" in shown.getvalue()


def test_a_lower_bound_is_called_one_and_markup_is_left_alone(screen) -> None:
    progress, _, text = screen
    progress.encoder_verified(record("[red]name", 0.8, 0.2, saturated=False))
    assert "[red]name" in text.getvalue()
    assert "lower bound" in text.getvalue()


def test_the_live_table_shows_what_runs_and_the_frontier(screen) -> None:
    progress, _, _ = screen
    progress.job_started(job("a", label="one conv4"), None)
    progress.encoder_verified(record("two conv3", 0.8, 0.25))
    shown = io.StringIO()
    Console(file=shown, width=120).print(progress.render())
    assert "train one conv4" in shown.getvalue()
    assert "two conv3" in shown.getvalue()
    assert "0.250" in shown.getvalue()
