"""The search when something fails: what is told, what waits, what is tried again. No Ray here."""

from threading import Timer

import pytest
from optuna.trial import TrialState

from study.folder import write_json
from study.losses import MAX_LOSSES, Losses
from study.search import VerifiedSearch
from tests.study.search_driver import NUM_REFERENCES, Driver


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"status": "diverged", "reason": "pixel loss was nan"}, "diverged", "pixel loss was nan"),
        ({"status": "collapsed", "reason": "constant output"}, "collapsed", "constant output"),
        (
            {"utility/mean_mcc_selection": None},
            "failed",
            "utility/mean_mcc_selection is None",
        ),
    ],
)
def test_an_encoder_without_objectives_is_told_as_failed(
    make_bench, changes, status, reason
) -> None:
    """To Optuna all are failures; to the study one that collapsed is a finding."""
    bench = make_bench("study.num_encoders=2", "study.baselines=[]")
    driver = Driver(bench)
    for _ in range(NUM_REFERENCES):
        driver.finish(*driver.take())
    driver.finish(*driver.take(), **changes)
    record = next(iter(bench.search.records.values()))
    assert (record.status, record.reason) == (status, reason)
    trial = bench.proposals.trials()[0]
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs["reason"] == f"{status}: {reason}"
    # The study goes on, and no attacker is wasted on it.
    assert [line.split()[0] for line in driver.run()] == ["protect", "attack"]
    named = f"{record.label} ({record.encoder_id})"
    if status == "collapsed":
        assert bench.search.failures == []
        assert bench.search.collapsed == [f"{named}: {reason}"]
    else:
        assert bench.search.failures == [f"{named}: {status}: {reason}"]
        assert bench.search.collapsed == []
    assert len(bench.notes.named("encoder_failed")) == 1
    # A resumed study has nothing to try again: it would end in the same way.
    again = make_bench("study.num_encoders=2", "study.baselines=[]")
    assert Driver(again).run() == []
    assert len(again.search.failures + again.search.collapsed) == 1


def test_the_study_goes_on_after_a_failed_trial_and_a_resumed_one_tries_it_again(
    make_bench,
) -> None:
    bench = make_bench("study.num_encoders=2", "study.baselines=[]", "attack.group=1")
    driver = Driver(bench)
    for _ in range(9):  # eight references, the encoder
        driver.finish(*driver.take())
    trial_id, config = driver.take()
    path = bench.folder.error(config["key"])
    driver.fail(trial_id, config, "RuntimeError: no memory")
    record = next(iter(bench.search.records.values()))
    assert record.status == "failed"
    assert record.reason == "decoder failed: RuntimeError: no memory"
    assert len(bench.search.failures) == 1
    # Its other attackers are not run; the next encoder is.
    assert [line.split()[0] for line in driver.run()] == ["protect", *["attack"] * 3]
    assert [t.state for t in bench.proposals.trials()] == [TrialState.FAIL, TrialState.COMPLETE]
    # Nothing but what is missing: the three attackers of the first encoder.
    again = make_bench("study.num_encoders=2", "study.baselines=[]", "attack.group=1")
    order = Driver(again).run()
    assert [line.split()[0] for line in order] == ["attack"] * 3
    assert again.search.failures == []
    assert not path.exists()
    assert [r.status for r in again.search.records.values()] == ["verified"] * 2
    # Optuna keeps its failed trial: the encoder is there once, not as a second proposal.
    assert [t.state for t in again.proposals.trials()] == [TrialState.FAIL, TrialState.COMPLETE]


def test_without_a_reference_nothing_is_judged(make_bench) -> None:
    bench = make_bench("study.num_encoders=3")
    driver = Driver(bench)
    driver.fail(*driver.take(), "RuntimeError: killed")
    order = driver.run()
    assert order == [
        "reference decoder, decoder_strong, attribute on identity",
        "reference attribute on planted-conv3",
        "reference attribute on planted-conv4",
    ]
    assert bench.search.finished
    (failure,) = bench.search.failures
    assert "killed" in failure
    again = make_bench("study.num_encoders=3")
    assert Driver(again).run()[0] == "reference decoder, decoder_strong, attribute on constant"
    assert again.search.failures == []
    assert [r.status for r in again.search.records.values()] == ["verified"] * 4


def test_encoders_wait_for_a_reference_that_failed(make_bench) -> None:
    words = ("study.num_encoders=1", "study.baselines=[]")
    bench = make_bench(*words)
    driver = Driver(bench)
    floor, ceiling, *planted, encoder = (driver.take() for _ in range(5))
    driver.fail(*floor)
    driver.finish(*ceiling)
    for reference in planted:
        driver.finish(*reference)
    driver.finish(*encoder)
    assert [line.split()[0] for line in driver.run()] == ["attack"]
    assert len(bench.search.failures) == 2
    assert "without its verdict" in bench.search.failures[1]
    assert bench.proposals.trials()[0].state == TrialState.RUNNING
    again = make_bench(*words)
    assert [line.split()[0] for line in Driver(again).run()] == ["reference"]
    assert again.search.failures == []
    assert again.proposals.trials()[0].state == TrialState.COMPLETE


def test_a_result_that_the_driver_cannot_see_is_a_failure(make_bench) -> None:
    bench = make_bench("study.num_encoders=1", "study.baselines=[]")
    bench.search._patience = 0.0
    driver = Driver(bench)
    for _ in range(NUM_REFERENCES):
        driver.finish(*driver.take())
    trial_id, _ = driver.take()
    driver.search.on_trial_complete(trial_id, {"done": True})
    assert driver.run() == []
    (failure,) = bench.search.failures
    assert "--results on storage that every node shares?" in failure


def test_a_result_that_appears_late_is_waited_for(make_bench) -> None:
    bench = make_bench("study.num_encoders=1", "study.baselines=[]")
    driver = Driver(bench)
    for _ in range(NUM_REFERENCES):
        driver.finish(*driver.take())
    trial_id, config = driver.take()
    outcome = {"status": "collapsed", "reason": "late"}
    late = Timer(0.3, write_json, (outcome, bench.folder.trial(config["key"])))
    late.start()
    driver.search.on_trial_complete(trial_id, {"done": True})
    late.join()
    assert [record.reason for record in bench.search.records.values()] == ["late"]


def test_an_interrupted_trial_is_no_failure(make_bench) -> None:
    bench = make_bench("study.num_encoders=1", "study.baselines=[]")
    bench.search._patience = 60.0  # nothing waits for the result of what has not ended
    driver = Driver(bench)
    trial_id, _ = driver.take()
    driver.search.on_trial_complete(trial_id, {"done": False})
    driver.search.on_trial_complete("unknown")
    assert bench.search.failures == []
    assert bench.notes.named("job_failed") == []


def test_an_error_of_the_listener_ends_the_study_when_the_next_job_is_asked_for(
    make_bench, monkeypatch
) -> None:
    """Tune would take it for the trial's own and start that again."""
    bench = make_bench("study.num_encoders=2", "study.baselines=[]")
    driver = Driver(bench)

    def fail(*_: object) -> None:
        raise ConnectionError("MLflow is gone")

    taken = driver.take()
    monkeypatch.setattr(bench.notes, "job_finished", fail, raising=False)
    driver.finish(*taken)
    with pytest.raises(ConnectionError, match="MLflow is gone"):
        driver.take()
    assert not bench.search.finished
    # Nothing is lost: the result is on disk.
    again = make_bench("study.num_encoders=2", "study.baselines=[]")
    assert len(Driver(again).run()) == NUM_REFERENCES - 1 + 2 * 2
    assert again.search.failures == []


def test_what_a_trial_notes_is_passed_on(make_bench) -> None:
    bench = make_bench("study.num_encoders=1", "study.baselines=[]")
    driver = Driver(bench)
    trial_id, _ = driver.take()
    driver.search.on_trial_result(trial_id, {"note": "it started over", "progress": 0.1})
    ((text,),) = bench.notes.named("warn")
    assert text == "decoder, decoder_strong, attribute on constant: it started over"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("MemoryError", "lower attack.batch_size or attack.group, or raise resources.cpus_per"),
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
            "lower attack.batch_size or attack.group, or raise resources.gpus_per_attack",
        ),
        ("OSError: [Errno 28] No space left on device: 'x'", "make room in the results folder"),
    ],
)
def test_a_failure_names_the_setting_to_change(make_bench, text: str, words: str) -> None:
    bench = make_bench("study.num_encoders=2", "study.baselines=[]")
    driver = Driver(bench)
    for _ in range(NUM_REFERENCES + 1):
        driver.finish(*driver.take())
    driver.fail(*driver.take(), text)
    (failure,) = bench.search.failures[:1]
    assert words in failure
    assert len(bench.notes.named("job_failed")) == 1
    assert driver.run()  # the others go on


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_trial_whose_process_is_lost_is_started_again_after_a_rest(make_bench) -> None:
    bench = make_bench("study.num_encoders=1", "study.baselines=[]")
    clock = Clock()
    bench.search = VerifiedSearch(
        bench.jobs, bench.folder, bench.proposals, bench.notes, losses=Losses(5, clock)
    )
    driver = Driver(bench)
    for _ in range(NUM_REFERENCES):
        driver.finish(*driver.take())
    for count in range(1, MAX_LOSSES + 1):
        trial_id, config = driver.take()
        assert config["kind"] == "protect"
        bench.search.on_trial_complete(trial_id, error=True)
        assert not bench.notes.named("job_failed")
        # Ray has not noticed yet that the node is gone: asked now, it gets nothing, but no end.
        clock.now += count * 5 - 1
        assert driver.take() is None
        assert not bench.search.finished
        clock.now += 1
    warned = [text for (text,) in bench.notes.named("warn")]
    assert len(warned) == MAX_LOSSES
    assert "its process was lost; it is started again (1 of 3)" in warned[0]
    # Lost again and again: it may be the trial itself that uses up the memory.
    bench.search.on_trial_complete(driver.take()[0], error=True)
    (failure,) = bench.search.failures
    assert "ended without a word" in failure
    assert "lower protector.batch_size" in failure
    assert driver.take() is None
    assert bench.search.finished
