"""Confirmation: who is trained again, that it is counted apart, and that it can be interrupted."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from study.confirmation import Confirmations, candidates
from study.journal import Journal
from study.search import VerifiedSearch
from study.tracking import Runs, connect
from tests.study.search_driver import Driver
from tests.study.study_fakes import CONTENT


def one(name: str, utility: float, leakage: float, **changes: Any) -> Any:
    """As much of a record as is looked at; utility and leakage of both splits."""
    errors = changes.pop("errors", (0.0, 0.0))
    test = changes.pop("test", (utility, leakage))
    figure = SimpleNamespace(attacker="decoder", selection_error=errors[1])
    verdict = SimpleNamespace(
        saturated=changes.pop("saturated", True), worst_leakage=test[1], worst_attacker="decoder",
        figures=[figure],
    )  # fmt: skip
    told = {
        "encoder_id": name, "status": "verified", "role": "searched", "verdict": verdict,
        "objectives": (utility, leakage), "mean_mcc": test[0],
        "protected": {"utility/mean_mcc_selection_error": errors[0]},
    }  # fmt: skip
    return SimpleNamespace(**{**told, **changes})


def names(*records: Any) -> list[str]:
    return [record.encoder_id for record in candidates(records)]


BEST = one("best", 0.9, 0.3)


@pytest.mark.parametrize(
    ("other", "chosen"),
    [
        (one("o", 0.8, 0.2), True),  # on the frontier
        (one("o", 0.8, 0.4), False),
        (one("o", 0.8, 0.4, errors=(0.05, 0.05)), False),
        (one("o", 0.8, 0.4, errors=(0.0, 0.11)), True),  # .29 is less than .3
        (one("o", 0.8, 0.4, errors=(0.11, 0.0)), True),  # .91 is more than .9
        (one("o", 0.8, 0.4, test=(0.95, 0.4)), True),  # on the frontier that is drawn
        (one("o", 0.95, 0.2, saturated=False), False),
        (one("o", 0.95, 0.2, role="labels"), False),
        (one("o", 0.95, 0.2, role="confirmation"), False),
        (one("o", 0.95, 0.2, status="dominated"), False),
    ],
)
def test_who_is_worth_confirming(other: Any, chosen: bool) -> None:
    assert ("o" in names(BEST, other)) == chosen
    assert "best" in names(BEST, other)


def test_the_most_useful_comes_first_and_nothing_is_a_case() -> None:
    assert names(one("a", 0.5, 0.1), one("b", 0.9, 0.3), one("c", 0.7, 0.2)) == ["b", "c", "a"]
    assert names() == []


class Confirmed(Driver):
    """A search that confirms."""

    def __init__(self, bench: Any, confirm: int, listener: Any = None) -> None:
        super().__init__(bench)
        self.search = bench.search = VerifiedSearch(
            bench.jobs, bench.folder, bench.proposals, listener or bench.notes, confirm=confirm
        )


WORDS = ("attack.group=3", "model.cut_point=conv3", "study.num_encoders=3", "study.sampler=random")


def test_the_frontier_is_trained_again_when_the_search_has_ended(make_bench) -> None:
    bench = make_bench(*WORDS)
    driver = Confirmed(bench, 2)
    order = driver.run()
    assert driver.search.finished
    first = [r for r in driver.search.records.values() if r.role in ("searched", "undefended")]
    again = [r for r in driver.search.records.values() if r.role == "confirmation"]
    # Of the fakes each is the less useful the less it leaks: all are on the frontier.
    assert len(again) == 2 * len(first) == 6
    assert order[-12:][0].startswith("protect ")
    assert all("(again, " in line for line in order[-12:])
    assert {record.status for record in again} == {"verified"}
    seeds = {record.protect.config["seed"] for record in [*first, *again]}
    assert len(seeds) == 9, "every training has a seed of its own"
    by_id = {record.encoder_id: record for record in first}
    for record in again:
        origin = by_id[record.confirms]
        assert record.repeat in (1, 2)
        same = ("data", "model", "protector")
        assert all(record.protect.config[k] == origin.protect.config[k] for k in same)
        attack_seeds = {
            job.config["seed"] for one in (record, origin) for job in (one.attacks or {}).values()
        }
        assert len(attack_seeds) == 2, "and so have its attackers"
    assert driver.search.num_started == 3, "confirmations are not encoders that were asked for"
    assert len(bench.proposals.trials()) == 2, "and Optuna knows nothing of them"
    assert json.loads((bench.folder.root / "confirm.json").read_text()) == {
        record.encoder_id: 2 for record in first
    }


def test_without_being_asked_nothing_is_confirmed(make_bench) -> None:
    bench = make_bench(*WORDS)
    Confirmed(bench, 0).run()
    assert Confirmations(bench.jobs, bench.folder).wanted == {}


def test_it_is_interrupted_gone_on_with_and_done_once(make_bench) -> None:
    driver = Confirmed(make_bench(*WORDS), 1)
    while "(again" not in " ".join(driver.order):
        taken = driver.take()
        driver.order.append(driver.search.running[0].label)
        driver.finish(*taken)
    resumed = Confirmed(make_bench(*WORDS), 0)  # what was begun is gone on with
    order = resumed.run()
    assert len(order) == 5, "three trainings and their attacks, one training of which was done"
    assert resumed.search.finished
    assert Confirmed(make_bench(*WORDS), 1).run() == []
    more = Confirmed(make_bench(*WORDS), 2)
    assert len(more.run()) == 3 * 2, "a second seed for each"
    assert len([r for r in more.search.records.values() if r.role == "confirmation"]) == 6


def test_when_time_is_up_nothing_is_confirmed(make_bench) -> None:
    driver = Confirmed(make_bench(*WORDS), 1)
    count = 0

    def may_start() -> bool:
        return count == 0

    driver.search._may_start = may_start
    while len([r for r in driver.search.records.values() if r.status == "verified"]) < 4:
        driver.finish(*driver.take())
    count = 1
    assert driver.take() is None
    assert driver.search.finished
    assert Confirmations(driver.bench.jobs, driver.bench.folder).wanted == {}


def test_mlflow_says_what_a_run_confirms_and_the_hypervolume_is_the_searchs(
    make_bench, tmp_path: Path
) -> None:
    bench = make_bench(*WORDS)
    client: MlflowClient = connect(f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = Runs(client, bench.folder.name, tmp_path / "mlartifacts")
    driver = Confirmed(bench, 1, Journal(runs, bench.config, bench.folder, CONTENT))
    driver.run()
    experiment = client.get_experiment_by_name("small")
    found = client.search_runs([experiment.experiment_id], "tags.role = 'confirmation'")
    assert len(found) == 3
    assert {run.info.status for run in found} == {"FINISHED"}
    assert {run.data.tags["repeat"] for run in found} == {"1"}
    originals = {r.encoder_id for r in driver.search.records.values() if r.role != "confirmation"}
    assert {run.data.tags["confirms"] for run in found} <= originals
    assert all(run.data.params["protector"] for run in found)
    (study,) = client.search_runs([experiment.experiment_id], "tags.kind = 'study'")
    history = client.get_metric_history(study.info.run_id, "hypervolume")
    assert [point.step for point in history] == [1, 2, 3]
