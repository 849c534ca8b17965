"""The search: its order, what Optuna is told, and going on from what is on disk. No Ray here."""

from typing import Any

import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from study.launch import until
from tests.study.search_driver import NUM_REFERENCES, Driver
from tests.study.study_fakes import FakeAttack


def test_attacks_come_before_references_before_new_encoders(make_bench) -> None:
    bench = make_bench("attack.group=3")
    order = Driver(bench).run()
    suite = "decoder, decoder_strong, attribute on"
    assert order[:8] == [
        f"reference {suite} constant",
        f"reference {suite} identity",
        "reference attribute on planted-conv3",
        "reference attribute on planted-conv4",
        "protect labels",
        f"attack {suite} labels",
        "protect none conv3",
        f"attack {suite} none conv3",
    ]
    assert order[8:11] == [
        "protect none conv4",
        f"attack {suite} none conv4",
        "protect reconstruction conv4 λ1=1",
    ]
    # Four encoders beside labels, each with one attack trial, and four references.
    assert len(order) == 4 + 5 * 2
    assert bench.search.finished
    assert bench.search.suggest("more") == Searcher.FINISHED


@pytest.mark.parametrize(
    ("slots", "kinds"), [(1, "protect attack protect attack"), (2, "protect protect attack attack")]
)
def test_the_last_encoders_are_trained_before_others_are_attacked(
    make_bench, slots: int, kinds: str
) -> None:
    bench = make_bench("attack.group=3")
    bench.search._slots = slots
    order = Driver(bench).run()
    assert len(order) == 4 + 5 * 2
    assert [line.split()[0] for line in order[-4:]] == kinds.split()
    assert bench.search.finished


def test_when_time_is_up_before_the_last_encoder_the_others_are_attacked(make_bench) -> None:
    bench = make_bench("attack.group=3")
    bench.search._slots = 2
    driver = Driver(bench)
    while len(driver.order) < 11:
        taken = driver.take()
        driver.order.append(bench.search.running[0].kind)
        driver.finish(*taken)
    assert driver.order[-1] == "protect"
    bench.search._may_start = lambda: False
    assert [line.split()[0] for line in driver.run()[11:]] == ["attack"]
    assert bench.search.num_not_started == 0
    assert bench.search.finished


def test_while_something_runs_the_search_is_asked_again_later(make_bench) -> None:
    driver = Driver(make_bench("study.num_encoders=1", "study.baselines=[]"))
    taken = [driver.take() for _ in range(6)]
    assert [config["kind"] for _, config in taken[:5]] == [*["attack"] * 4, "protect"]
    assert taken[5] is None
    assert not driver.search.finished


def test_optuna_is_told_only_when_the_last_attacker_has_ended(make_bench) -> None:
    bench = make_bench("study.num_encoders=1", "study.baselines=[]", "attack.group=1")
    driver = Driver(bench)
    for _ in range(8):  # three floors, three ceilings, two planted attributes
        driver.finish(*driver.take())
    driver.finish(*driver.take())  # the encoder
    for _ in range(2):
        driver.finish(*driver.take())
        assert bench.proposals.trials()[0].state == TrialState.RUNNING
    driver.finish(*driver.take())
    trial = bench.proposals.trials()[0]
    assert trial.state == TrialState.COMPLETE
    # λ1 = 1: fake utility of the selection split 0.92 / 1.01; the decoder goes 5/12 of the way.
    assert trial.values == pytest.approx([0.92 / 1.01, 5 / 12])
    assert trial.user_attrs["encoder_id"] in bench.search.records


def test_an_encoder_waits_for_the_references(make_bench) -> None:
    bench = make_bench("study.num_encoders=1", "study.baselines=[]")
    driver = Driver(bench)
    floor, ceiling, *planted, encoder = (driver.take() for _ in range(5))
    driver.finish(*encoder)
    driver.finish(*driver.take())
    driver.finish(*floor)
    for reference in planted:
        driver.finish(*reference)
    assert bench.proposals.trials()[0].state == TrialState.RUNNING
    driver.finish(*ceiling)
    assert bench.proposals.trials()[0].state == TrialState.COMPLETE


def test_references_are_measured_once_for_all_studies(make_bench) -> None:
    first = Driver(make_bench()).run()
    assert sum(line.startswith("reference") for line in first) == NUM_REFERENCES
    other = Driver(make_bench("study.name=other", "study.seed=5")).run()
    assert not any(line.startswith("reference") for line in other)
    slower = Driver(make_bench("study.name=third", "attack.max_steps=1077")).run()
    assert sum(line.startswith("reference") for line in slower) == NUM_REFERENCES


def test_a_resumed_search_does_only_what_is_missing(make_bench) -> None:
    first = Driver(make_bench())
    done = []
    for _ in range(8):
        trial_id, config = first.take()
        done.append(config["key"])
        first.finish(trial_id, config)
    interrupted = first.take()[1]["key"]
    second = make_bench()
    driver = Driver(second)
    _, config = driver.take()
    assert config["key"] == interrupted
    driver = Driver(make_bench())
    order = driver.run()
    assert len(order) == 14 - 8
    assert len(set(done)) == 8
    states = [trial.state for trial in second.proposals.trials()]
    assert states == [TrialState.COMPLETE] * 2


def test_a_resumed_search_goes_on_with_optunas_open_trials(make_bench) -> None:
    bench = make_bench("study.num_encoders=2", "study.baselines=[]")
    first = Driver(bench)
    for _ in range(NUM_REFERENCES):
        first.finish(*first.take())
    _, config = first.take()  # the default point, interrupted while it trains
    bench.proposals._study.ask()  # asked for, but never given a point: interrupted at once
    second = make_bench("study.num_encoders=2", "study.baselines=[]")
    driver = Driver(second)
    trial_id, again = driver.take()
    assert again["key"] == config["key"]
    driver.finish(trial_id, again)
    driver.run()
    states = [trial.state for trial in second.proposals.trials()]
    assert states == [TrialState.COMPLETE, TrialState.FAIL, TrialState.COMPLETE]
    assert second.proposals.trials()[1].user_attrs["reason"] == "interrupted before it started"


def test_more_encoders_can_be_asked_for_later(make_bench) -> None:
    Driver(make_bench()).run()
    bench = make_bench("study.num_encoders=6")
    assert len(Driver(bench).run()) == 2 * 2
    ids = {record.encoder_id for record in bench.search.records.values()}
    assert len(ids) == 7


def test_a_known_configuration_is_not_trained_again(make_bench) -> None:
    """Two values of one choice: the space holds two encoders, however many are asked for."""
    fixed = [
        "model.cut_point=conv3", "protector.encoder_lr=0.001", "protector.encoder_lr_decay=0.1",
        "protector.lambda1=1", "protector.adversary_steps=[1, 2]", "study.baselines=[]",
        "protector.adversary_lr=0.001", "protector.warmup=0", "study.num_encoders=9",
    ]  # fmt: skip
    bench = make_bench(*fixed)
    order = Driver(bench).run()
    assert sum(line.startswith("protect") for line in order) == 2
    assert bench.search.finished
    assert "exhausted" in bench.notes.named("warn")[0][0]
    states = {trial.state for trial in bench.proposals.trials()}
    assert states == {TrialState.COMPLETE}
    assert len({tuple(trial.values) for trial in bench.proposals.trials()}) == 1


def test_when_its_time_is_up_running_encoders_are_still_verified(make_bench) -> None:
    bench = make_bench("study.num_encoders=9")
    now = [0.0]
    bench.search._may_start = until(10.0, lambda: now[0])
    driver = Driver(bench)
    for _ in range(NUM_REFERENCES + 1):
        driver.finish(*driver.take())
    now[0] = 11.0
    assert [line.split()[0] for line in driver.run()] == ["attack"]
    assert bench.search.finished
    assert [r.status for r in bench.search.records.values()].count("verified") == 1
    # What was never started has not failed.
    assert bench.search.failures == []
    assert bench.search.num_not_started == 2


def test_the_number_of_encoders_bounds_baselines_too(make_bench) -> None:
    order = Driver(make_bench("study.num_encoders=1")).run()
    assert [line for line in order if line.startswith("protect")] == [
        "protect labels",
        "protect none conv3",
    ]


def test_a_utility_floor_is_a_constraint(make_bench) -> None:
    bench = make_bench("study.num_encoders=1", "study.baselines=[]", "study.utility_floor=0.95")
    Driver(bench).run()
    trial = bench.proposals.trials()[0]
    assert trial.state == TrialState.COMPLETE
    assert trial.constraints == {
        "saturated": -1.0,
        "utility_floor": pytest.approx(0.95 - 0.92 / 1.01),
    }


@pytest.mark.parametrize("saturated", ["all", "none", "some"])
@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "gp", "random"])
def test_every_sampler_runs_a_study(make_bench, monkeypatch, sampler: str, saturated: str) -> None:
    """Whatever saturates: a lower bound of the leakage makes an encoder infeasible."""
    measure = FakeAttack.result
    attacked: dict[str, int] = {}

    def result(self: FakeAttack, name: str, kind: str, score: float) -> dict[str, Any]:
        number = attacked.setdefault(self.config["encoder_id"], len(attacked))
        well = saturated == "all" or (saturated == "some" and number % 2 == 0)
        return {**measure(self, name, kind, score), "saturated": well}

    monkeypatch.setattr(FakeAttack, "result", result)
    bench = make_bench(f"study.sampler={sampler}", "study.num_encoders=6", "study.num_startup=2")
    Driver(bench).run()
    assert [r.status for r in bench.search.records.values()] == ["verified"] * 7
    verdicts = {r.encoder_id: r.verdict for r in bench.search.records.values()}
    seen = set()
    for trial in bench.proposals.trials():
        saturates = verdicts[trial.user_attrs["encoder_id"]].saturated
        assert trial.constraints == {"saturated": -1.0 if saturates else 1.0}
        seen.add(saturates)
    assert seen == {"all": {True}, "none": {False}, "some": {True, False}}[saturated]
