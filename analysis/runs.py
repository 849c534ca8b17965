"""From MLflow's runs to typed tables: fixed leading columns, whatever the study holds."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from mlflow.entities import Run

from analysis.kinds import WHITE_BOX

INFINITY = 1.7976e308
"""MLflow's databases store an infinite metric as the largest double; beyond this it is infinite."""

AT_WORK = "at_work"
"""Metric of the study's run: 1 when a start of the study begins, 0 when it ends."""

ENCODER_TAGS = (
    "encoder_id", "role", "status", "reason", "worst_attacker", "trial_id", "stopped",
    "encoder_hash", "confirms",
)  # fmt: skip
ATTACK_TAGS = (
    "encoder_id", "attacker", "seed", "saturated", "status", "trial_id", "attack_kind", "threat",
)  # fmt: skip
ENCODER_TEXTS = (*ENCODER_TAGS, "run_id", "run_name", "protector", "cut_point")
ENCODER_NUMBERS = (
    "optuna_trial", "repeat", "start_time", "end_time", "lambda1", "lambda2", "mu1", "mu2",
    "encoder_lr", "encoder_lr_decay", "adversary_steps",
    "utility/mean_mcc", "utility/mean_mcc_error", "utility/mean_mcc_selection",
    "leakage/worst", "leakage/worst_error",
    "leakage/worst_selection", "leakage/worst_reconstruction", "leakage/worst_attribute",
    "leakage/worst_feature", "leakage/worst_identity", "leakage/at_least", "num_spared", "rounds",
    "converged", "in_loop/decoder", "in_loop/attribute", "leakage/in_loop",
    "leakage/in_loop_attribute", "saturation_gap",
    "saturation_gap/reconstruction", "saturation_gap/attribute", "saturated", "collapse/below_0.01",
    "collapse/below_0.5", "collapse/total_variance", "cost/parameters", "cost/multiply_adds",
    "cost/code_bytes", "cost/latency_ms", "seconds/protect", "seconds/attack", "num_public",
)  # fmt: skip
ATTACK_TEXTS = (
    "encoder_id", "attacker", "status", "trial_id", "run_id", "encoder_run_id", "attack_kind",
    "threat", "attack_loss", "attack_architecture",
)  # fmt: skip
ATTACK_NUMBERS = (
    "seed", "score/test", "score/selection", "leakage/test", "leakage/selection", "floor",
    "ceiling", "steps", "seconds", "num_public", "num_train", "attack_data", "attack_budget",
    "attack_capacity",
)  # fmt: skip
ATTACK_BOOLEANS = ("saturated", "counts", "attack_extra")
HIDDEN_METRICS = ("train/", "system/")
"""Metrics that are curves: their last value means nothing in a table."""


def encoder_table(runs: list[Run]) -> pd.DataFrame:
    """One row per encoder run, in the order given; `analysis.load.StudyTables` has the columns.

    `start_time` and `end_time` are in milliseconds since 1970, as MLflow has them; the end is that
    of training and attacks together, and is there only for what came to its end.
    """
    rows = []
    for run in runs:
        tags = run.data.tags
        row: dict[str, Any] = dict(run.data.params)
        row |= {name: tags[name] for name in ENCODER_TAGS if name in tags}
        row |= _metrics(run)
        row |= {name: tags[name] for name in ("optuna_trial", "repeat") if name in tags}
        row |= {"run_id": run.info.run_id, "run_name": run.info.run_name or ""}
        row["start_time"] = run.info.start_time
        if run.info.status in ("FINISHED", "FAILED"):
            # Another run was only given up: what it was doing ended before anybody noticed, or
            # goes on after a pause.
            row["end_time"] = run.info.end_time
        row.setdefault("status", "running" if run.info.status == "RUNNING" else "failed")
        row.setdefault("role", "searched")
        rows.append(row)
    frame = _typed(rows, ENCODER_TEXTS, ENCODER_NUMBERS)
    # A run made again after a crash replaces the one it left behind.
    return frame.drop_duplicates("encoder_id", keep="last", ignore_index=True)


def attack_table(runs: list[Run], encoder_runs: list[Run], encoder_ids: set[str]) -> pd.DataFrame:
    """One row per attack run on one of `encoder_ids`, without the encoder's own parameters."""
    repeated = {name for run in encoder_runs for name in run.data.params}
    rows = []
    for run in runs:
        tags = run.data.tags
        if tags.get("encoder_id") not in encoder_ids:
            continue
        row: dict[str, Any] = {
            name: value for name, value in run.data.params.items() if name not in repeated
        }
        row |= {name: tags[name] for name in ATTACK_TAGS if name in tags}
        row |= _metrics(run)
        row |= {
            "run_id": run.info.run_id,
            "encoder_run_id": tags.get("mlflow.parentRunId", ""),
            # A tag says true or false; a running attack says nothing yet.
            "saturated": _truth(tags.get("saturated", "")),
            "attack_extra": _truth(run.data.params.get("attack_extra", "")) or False,
            # Before there were attackers that do not count, all did.
            "counts": tags.get("counts", "").lower() != "false" and tags.get("threat") != WHITE_BOX,
        }
        row.setdefault("status", "running" if run.info.status == "RUNNING" else "failed")
        rows.append(row)
    frame = _typed(rows, ATTACK_TEXTS, ATTACK_NUMBERS, ATTACK_BOOLEANS)
    # No attack leaves these two open.
    frame = frame.astype({"counts": bool, "attack_extra": bool})
    key = ["encoder_id", "attacker", "seed"]
    return frame.drop_duplicates(key, keep="last", ignore_index=True)


def _truth(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


def _metrics(run: Run) -> dict[str, float]:
    return {
        name: finite_or_inf(value)
        for name, value in run.data.metrics.items()
        if not name.startswith(HIDDEN_METRICS)
    }


def finite_or_inf(value: float) -> float:
    """A metric as it was logged: an infinity again where the database could not hold one."""
    return float(np.copysign(np.inf, value)) if abs(value) >= INFINITY else float(value)


def _typed(
    rows: list[dict[str, Any]],
    texts: Iterable[str],
    numbers: Iterable[str],
    booleans: Iterable[str] = (),
) -> pd.DataFrame:
    """A table with fixed leading columns; further columns are numbers where all values are."""
    texts, numbers, booleans = list(texts), list(numbers), list(booleans)
    leading = [*texts, *booleans, *numbers]
    extra = sorted({name for row in rows for name in row} - set(leading))
    frame = pd.DataFrame(rows, columns=[*leading, *extra], dtype=object)
    columns: dict[str, pd.Series] = {}
    for name in frame.columns:
        column = frame[name].where(~frame[name].isin(["None", "null", ""]), None)
        if name in texts:
            columns[name] = column.fillna("").astype("str")
        elif name in booleans:
            columns[name] = column.astype("boolean")
        else:
            parsed = pd.to_numeric(column, errors="coerce").astype(float)
            is_number = name in numbers or (parsed.notna() | column.isna()).all()
            columns[name] = parsed if is_number else column.fillna("").astype("str")
    return pd.DataFrame(columns, columns=frame.columns)
