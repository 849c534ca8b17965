"""Early stopping: what is spared, what is told of it, and that it can be taken back."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from optuna.trial import TrialState

from analysis.rebuild import rebuild
from study.early_stopping import dominance
from study.folder import write_json
from study.journal import Journal
from study.search import VerifiedSearch
from study.tracking import Runs, connect
from tests.study.study_fakes import CONTENT, fake_trial

ON = "study.early_stopping_margin=0.0"
MANY = ("study.num_encoders=5", "model.cut_point=conv3", "attack.group=1", "study.sampler=random")


def one(utility: float, leakage: float, **changes: Any) -> Any:
    """As much of an encoder's record as the rule looks at."""
    verdict = SimpleNamespace(saturated=changes.pop("saturated", True))
    told = {"status": "verified", "role": "searched", "label": "other", "verdict": verdict}
    return SimpleNamespace(**{**told, "objectives": (utility, leakage), **changes})


def so_far(*figures: tuple[float, bool]) -> Any:
    """Attackers by what they surely get, and whether they count."""
    return SimpleNamespace(figures=[SimpleNamespace(surely=s, counts=c) for s, c in figures])


@pytest.mark.parametrize(
    ("other", "margin", "beaten"),
    [
        (one(0.9, 0.49), 0.0, True),
        (one(0.9, 0.51), 0.0, False),
        (one(0.9, 0.5), 0.0, False),  # as much is not less
        (one(0.8, 0.49), 0.0, True),  # no less useful
        (one(0.79, 0.1), 0.0, False),
        (one(0.9, 0.46), 0.05, False),
        (one(0.9, 0.44), 0.05, True),
        (one(0.9, 0.1, saturated=False), 0.0, False),
        (one(0.9, 0.1, status="running"), 0.0, False),
        (one(0.9, 0.1, status="dominated"), 0.0, False),
        (one(0.9, 0.1, role="labels"), 0.0, False),
        (one(0.9, 0.1, role="confirmation"), 0.0, False),
        (one(0.9, 0.1, role="undefended"), 0.0, True),
    ],
)
def test_who_beats_an_encoder_of_08_that_surely_leaks_a_half(
    other: Any, margin: float, beaten: bool
) -> None:
    # 0.7 is what a white-box attacker finds, which does not count.
    found = dominance(0.8, so_far((0.3, True), (0.5, True), (0.7, False)), [other], margin)
    assert (found is not None) == beaten


def test_the_least_leaking_is_named() -> None:
    others = [one(0.9, 0.4, label="a"), one(0.8, 0.2, label="b"), one(0.85, 0.3, label="c")]
    found = dominance(0.8, so_far((0.5, True)), others, 0.0)
    assert found is not None
    assert (found.by, found.leakage, found.at_least) == ("b", 0.2, 0.5)


class Told:
    """A study told to MLflow; its searched encoders from the second on are of little use."""

    def __init__(self, bench: Any, tmp_path: Path, stop: int = 999) -> None:
        self.bench = bench
        self.tracking = f"sqlite:///{tmp_path / 'mlflow.db'}"
        self.client = connect(self.tracking)
        runs = Runs(self.client, bench.folder.name, tmp_path / "mlartifacts")
        self.journal = Journal(runs, bench.config, bench.folder, CONTENT)
        self.search = VerifiedSearch(bench.jobs, bench.folder, bench.proposals, self.journal)
        self.order: list[str] = []
        for count in range(stop):
            config = self.search.suggest(str(count))
            if not isinstance(config, dict):
                break
            self.order.append(self.search.running[0].label)
            self._run(str(count), config)

    def _run(self, trial_id: str, config: dict[str, Any]) -> None:
        trial = fake_trial(config["trial"])
        result: dict[str, Any] = {"done": False}
        while not result["done"]:
            result = trial.step()
        weight = config["trial"].get("protector", {}).get("lambda1")
        if config["kind"] == "protect" and weight not in (None, 1.0):
            # The fakes' encoders leak the less the larger λ1 is; here they should be beaten.
            encoder = Path(config["trial"]["output"]) / "encoder.pt"
            encoder.write_text(encoder.read_text().replace(f"{weight}", "0.5"))
            result |= {"utility/mean_mcc": 0.2, "utility/mean_mcc_selection": 0.2}
        write_json(result, self.bench.folder.trial(config["key"]))
        self.search.on_trial_complete(trial_id, {"done": True})

    @property
    def by_status(self) -> dict[str, int]:
        """How many searched encoders ended how."""
        statuses = [r.status for r in self.search.records.values() if r.role == "searched"]
        return {status: statuses.count(status) for status in sorted(set(statuses))}


def test_a_dominated_encoder_meets_no_more_attackers(make_bench, tmp_path: Path) -> None:
    told = Told(make_bench(*MANY, ON), tmp_path)
    assert told.search.finished
    # One undefended and four searched, of which the first (λ1 = 1) beats the three others.
    assert told.by_status == {"dominated": 3, "verified": 1}
    assert not told.search.failures
    met = [len(record.attacked) for record in told.search.records.values()]
    assert met == [3, 3, 3, 1, 1, 1], "labels, the undefended, the first; one attacker is enough"
    dominated = [r for r in told.search.records.values() if r.status == "dominated"]
    assert {record.spared for record in dominated} == {2}
    assert all("no less useful" in record.reason for record in dominated)
    for trial in told.bench.proposals.trials():
        assert trial.state == TrialState.COMPLETE
        known = told.search.records[trial.user_attrs["encoder_id"]]
        lower_bound = known.status == "dominated"
        assert trial.constraints["saturated"] == (1.0 if lower_bound else -1.0)


def test_baselines_meet_every_attacker(make_bench, tmp_path: Path) -> None:
    told = Told(make_bench(*MANY, ON), tmp_path)
    others = [r for r in told.search.records.values() if r.role != "searched"]
    assert {record.status for record in others} == {"verified"}
    assert {record.spared for record in others} == {0}


def test_the_report_and_the_tables_tell_dominated_encoders_apart(
    make_bench, tmp_path: Path
) -> None:
    told = Told(make_bench(*MANY, ON), tmp_path)
    told.journal.set_status("finished")
    told.journal.close("FINISHED")
    report, summary = rebuild("small", tmp_path, told.tracking)
    assert (summary["num_dominated"], summary["num_spared"]) == (3, 6)
    assert (summary["num_verified"], summary["num_failed"]) == (2, 0)
    page = report.read_text(encoding="utf-8")
    assert 'id="dominated"' in page
    assert "3 of 5 encoders were attacked no further" in page
    assert "None: every encoder that was started was verified or is dominated." in page
    rows = pd.read_parquet(report.parent / "encoders.parquet")
    dominated = rows[rows["status"] == "dominated"]
    assert dominated["leakage/worst"].isna().all(), "what is a bound must not pass for a verdict"
    # λ1 = 0.5: the decoder goes 5/6 / 1.5 of the way from floor to ceiling.
    assert list(dominated["leakage/at_least"]) == pytest.approx([5 / 9] * 3)
    runs = told.client.search_runs(
        [told.client.get_experiment_by_name("small").experiment_id], "tags.kind = 'encoder'"
    )
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_a_resumed_study_spares_the_same(make_bench, tmp_path: Path) -> None:
    first = Told(make_bench(*MANY, ON), tmp_path)
    again = Told(make_bench(*MANY, ON), tmp_path)
    assert again.order == []
    assert again.by_status == first.by_status
    (run, *_) = again.client.search_runs(
        [again.client.get_experiment_by_name("small").experiment_id],
        "tags.status = 'dominated'",
    )
    history = again.client.get_metric_history(run.info.run_id, "leakage/at_least")
    assert len(history) == 1, "what is there already is not written again"


def test_interrupted_and_resumed_it_ends_alike(make_bench, tmp_path: Path) -> None:
    for _ in range(30):
        told = Told(make_bench(*MANY, ON), tmp_path, stop=1)
        if told.search.finished:
            break
    else:
        told = Told(make_bench(*MANY, ON), tmp_path)
    assert told.search.finished
    assert told.by_status == {"dominated": 3, "verified": 1}


def test_without_the_rule_the_spared_attackers_follow(make_bench, tmp_path: Path) -> None:
    Told(make_bench(*MANY, ON), tmp_path)
    told = Told(make_bench(*MANY), tmp_path)
    assert len(told.order) == 3 * 2
    assert told.by_status == {"verified": 4}
    told.journal.close("FINISHED")
    _, summary = rebuild("small", tmp_path, told.tracking)
    assert (summary["num_dominated"], summary["num_verified"]) == (0, 5)


def test_finished_attacks_are_not_forgotten_where_the_rule_comes_later(
    make_bench, tmp_path: Path
) -> None:
    Told(make_bench(*MANY), tmp_path)
    told = Told(make_bench(*MANY, ON), tmp_path)
    assert told.order == []
    assert told.by_status == {"verified": 4}
