"""A listener told from a thread of its own: in order, of things as they were, and never in vain."""

import threading
from typing import Any

import pytest

from study.background import Background
from study.jobs import Job
from study.records import EncoderRecord

JOB = Job("key", "protect", "key", {"protector": {"name": "none"}}, "none conv3")


class Slow:
    """Notes what it is told, once it may."""

    def __init__(self) -> None:
        self.may_go = threading.Event()
        self.told: list[Any] = []

    def job_started(self, job: Job, record: EncoderRecord | None) -> None:
        self.may_go.wait(10)
        self.told.append(("started", list(record.numbers) if record else None))

    def job_progressed(self, job: Job, result: Any) -> None:
        self.told.append(("progressed", result["train_step"]))

    def encoder_verified(self, record: EncoderRecord) -> None:
        self.told.append(("verified", record.reason))

    def warn(self, message: str) -> None:
        raise ConnectionError(message)


def test_nobody_waits_and_all_is_told_in_order_as_it_was():
    slow = Slow()
    told = Background(slow)  # type: ignore[arg-type]
    record = EncoderRecord(JOB, "searched", {}, numbers=[7])
    told.job_started(JOB, record)
    assert not slow.told
    record.numbers.clear()  # what the search does once Optuna has been told
    report = {"train_step": 1}
    told.job_progressed(JOB, report)
    report["train_step"] = 2
    record.reason = "as it was told"
    told.encoder_verified(record)
    slow.may_go.set()
    told.drain()
    assert slow.told == [("started", [7]), ("progressed", 1), ("verified", "as it was told")]


def test_an_error_is_raised_by_the_next_call_and_nothing_is_told_after_it():
    slow = Slow()
    slow.may_go.set()
    told = Background(slow)  # type: ignore[arg-type]
    told.warn("no answer")
    told.end()
    with pytest.raises(ConnectionError, match="no answer"):
        told.job_started(JOB, None)
    with pytest.raises(ConnectionError, match="no answer"):
        told.drain()
    assert not slow.told


def test_what_waits_behind_an_error_is_not_told():
    slow = Slow()
    told = Background(slow)  # type: ignore[arg-type]
    told.job_started(JOB, None)
    told.warn("no answer")
    told.job_progressed(JOB, {"train_step": 1})
    slow.may_go.set()
    with pytest.raises(ConnectionError):
        told.drain()
    assert slow.told == [("started", None)]
