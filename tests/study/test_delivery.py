"""The journal told from a thread: in order, of things as they were, through MLflow's outages."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from study.delivery import Delivery
from study.jobs import Job
from study.records import EncoderRecord
from study.spool import Point, Spool

JOB = Job("key", "protect", "key", {"protector": {"name": "none"}}, "none conv3")
ATTACK = Job("other", "attack", "key", {}, "decoder on none conv3")


class Ear:
    """Notes what it is told, once it may, and while it is not away."""

    def __init__(self) -> None:
        self.may_go = threading.Event()
        self.may_go.set()
        self.away = False
        self.told: list[Any] = []
        self.times: list[int] = []
        self.recovered = 0

    def told_at(self, time: int) -> None:
        self.times.append(time)

    def recover(self) -> None:
        self.recovered += 1
        self._listen()

    def job_started(self, job: Job, record: EncoderRecord | None) -> None:
        self.may_go.wait(10)
        self._listen()
        self.told.append(("started", list(record.numbers) if record else None))

    def job_progressed(self, job: Job, result: Any) -> None:
        self._listen()
        self.told.append((job.key, result["train_step"]))

    def settle(self) -> None:
        self._listen()

    def curve(self, key: str, result: Any) -> None:
        self._listen()
        self.told.append((key, result["train_step"]))

    def encoder_verified(self, record: EncoderRecord) -> None:
        self._listen()
        self.told.append(("verified", record.reason))

    def _listen(self) -> None:
        if self.away:
            raise ConnectionError("nobody at http://me:secret@host\nat all")


class Talk:
    """A delivery to an ear."""

    def __init__(self, folder: Path, ear: Ear) -> None:
        self.spool = Spool(folder / "spool.jsonl")
        self.warnings: list[str] = []
        self.delivery = Delivery(ear, self.spool, self.warnings.append, 0.01)  # type: ignore[arg-type]

    def until(self, what: Callable[[], Any]) -> None:
        """Waits for what the thread does."""
        end = time.monotonic() + 10
        while not what():
            assert time.monotonic() < end
            time.sleep(0.005)


def test_nobody_waits_and_all_is_told_in_order_as_it_was(tmp_path: Path) -> None:
    ear = Ear()
    ear.may_go.clear()
    talk = Talk(tmp_path, ear)
    record = EncoderRecord(JOB, "searched", {}, numbers=[7])
    talk.delivery.job_started(JOB, record)
    assert not ear.told
    record.numbers.clear()  # what the search does once Optuna has been told
    report = {"train_step": 1}
    talk.delivery.job_progressed(JOB, report)
    report["train_step"] = 2
    record.reason = "as it was told"
    talk.delivery.encoder_verified(record)
    record.reason = "changed"
    ear.may_go.set()
    assert talk.delivery.close(10) == 0
    assert ear.told == [("started", [7]), ("key", 1), ("verified", "as it was told")]
    assert ear.times == sorted(ear.times)
    assert not talk.spool.path.exists()
    assert not talk.warnings


def test_what_an_outage_held_up_is_told_once_in_order_as_of_its_time(tmp_path: Path) -> None:
    ear = Ear()
    talk = Talk(tmp_path, ear)
    talk.delivery.job_progressed(JOB, {"train_step": 1})
    talk.until(lambda: ear.told)
    ear.away = True
    talk.delivery.job_progressed(JOB, {"train_step": 2})
    talk.until(lambda: ear.recovered > 2)
    talk.delivery.job_progressed(ATTACK, {"train_step": 9})
    talk.delivery.job_progressed(JOB, {"train_step": 3})
    # A driver that is killed now leaves what nothing else has: points of trainings.
    assert [point.result["train_step"] for point in talk.spool.read()] == [1, 2, 3]
    before = int(time.time() * 1000)
    ear.away = False
    assert talk.delivery.close(10) == 0
    assert ear.told == [("key", 1), ("key", 2), ("other", 9), ("key", 3)]
    assert ear.times[-2] <= before
    assert not talk.spool.path.exists()
    assert [text.split(" (")[0] for text in talk.warnings] == [
        "MLflow does not take results", "MLflow takes results again",
    ]  # fmt: skip
    assert "secret" not in talk.warnings[0]
    assert "\n" not in talk.warnings[0]


def test_what_was_never_taken_waits_for_the_next_start(tmp_path: Path) -> None:
    ear = Ear()
    ear.away = True
    talk = Talk(tmp_path, ear)
    for step in (1, 2):
        talk.delivery.job_progressed(JOB, {"train_step": step, "train/loss": 0.5})
    talk.delivery.encoder_verified(EncoderRecord(JOB, "searched", {}))
    start = time.monotonic()
    assert talk.delivery.close(0.2) == 3 + 1  # and the request to pass on what was collected
    assert time.monotonic() - start < 5
    points = list(talk.spool.read())
    assert [(point.key, point.result["train_step"]) for point in points] == [("key", 1), ("key", 2)]
    ear.away = False
    again = Talk(tmp_path, ear)
    again.delivery.replay()
    again.delivery.job_progressed(JOB, {"train_step": 3})
    assert again.delivery.close(10) == 0
    assert ear.told[-3:] == [("key", 1), ("key", 2), ("key", 3)]
    assert ear.times[-4:-2] == [point.time for point in points]
    assert not again.spool.path.exists()


def test_one_that_does_not_answer_at_all_is_given_up_too(tmp_path: Path) -> None:
    ear = Ear()
    ear.may_go.clear()
    talk = Talk(tmp_path, ear)
    talk.delivery.job_started(JOB, None)
    talk.delivery.job_progressed(JOB, {"train_step": 1})
    assert talk.delivery.close(0.2) == 2 + 1
    assert len(list(talk.spool.read())) == 1
    ear.may_go.set()


def test_points_that_were_only_collected_are_kept_too(tmp_path: Path) -> None:
    ear = Ear()
    talk = Talk(tmp_path, ear)
    talk.delivery.job_progressed(JOB, {"train_step": 1})
    talk.until(lambda: ear.told)
    ear.away = True
    assert talk.delivery.close(0.2) == 1
    assert [point.result["train_step"] for point in talk.spool.read()] == [1]
    ear.away = False
    again = Talk(tmp_path, ear)
    again.delivery.replay()
    assert again.delivery.close(10) == 0
    assert ear.told == [("key", 1), ("key", 1)]  # as of the same time, which MLflow takes for one
    assert ear.times[0] == ear.times[-2]
    assert not again.spool.path.exists()


def test_half_a_line_of_the_spool_is_skipped(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "new" / "spool.jsonl")
    spool.add(Point(5, "a", {"train_step": 1, "note": "words are left out"}))
    with spool.path.open("a") as file:
        file.write('[6, "a", {"train_st')
    assert list(spool.read()) == [Point(5, "a", {"train_step": 1})]
