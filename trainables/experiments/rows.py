"""An experiment's results as one table: a row per encoder and seed, and one per attack on it."""

import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trainables.attackers.in_loop import IN_LOOP_NAMES
from trainables.checkpoint import write_bytes
from trainables.experiments.brought import Brought, Row
from trainables.experiments.config import CONSTANT, Experiment, PlannedEncoder
from trainables.experiments.inputs import inputs
from trainables.experiments.store import EncoderFolder, encoder_folder

LEADING = ("recipe", "size", "encoder", "seed", "role", "attacker", "kind", "status", "saturated")
"""Columns that every table begins with. `role` is empty where a row is of the encoder itself."""
NOT_KEPT = ("train/", "train_step", "curve", "done", "progress", "made")
"""What of a result is no figure of its own."""
OWN_NAMES = ("seed", "reconstructions")
"""Likewise: the seed that an attack derived, and a folder of the machine that made it."""
LOSSES = re.compile(r"train/(\w+_loss(?:_step\d)?)")
"""What every player's loss is called in a round's report."""


def rows(experiment: Experiment, work: Path, brought: Brought) -> list[Row]:
    """Every result there is, in the order of the recipe.

    Encoders and attacks that are still missing have no row.

    Args:
        experiment: The experiment.
        work: Folder of the results.
        brought: Rows that stand for what that folder lacks.
    """
    found: list[Row] = []
    for seed in range(experiment.seeds):
        for encoder in experiment.encoders:
            folder = encoder_folder(encoder, seed, work)
            elsewhere = brought.units.get((encoder.name, seed))
            if elsewhere is not None and not folder.done:
                found += elsewhere
                continue
            first = {"recipe": experiment.name, "size": experiment.size, "encoder": encoder.name}
            found += [{**first, "seed": seed, **row} for row in _rows_of(folder)]
    # Brought by a run with more seeds than this one was asked for.
    more = [key for key in brought.units if key[1] >= experiment.seeds]
    return found + [row for key in sorted(more, key=_by_seed) for row in brought.units[key]]


def _by_seed(key: tuple[str, int]) -> tuple[int, str]:
    return key[1], key[0]


def write_rows(found: Sequence[Row], settings: Mapping[str, Any], path: Path) -> None:
    """Writes rows as Parquet, whole or not at all.

    Args:
        found: The rows; a column that a row lacks is null there.
        settings: All settings of every encoder, kept in the file as `settings` (JSON).
        path: Where to.
    """
    names = dict.fromkeys([*LEADING, *(name for row in found for name in row)])
    columns = {name: [row.get(name) for row in found] for name in names}
    table = pa.table(columns).replace_schema_metadata({"settings": json.dumps(settings)})
    content = io.BytesIO()
    pq.write_table(table, content, compression="zstd")
    write_bytes(content.getvalue(), path)


def describe(encoders: Sequence[PlannedEncoder]) -> dict[str, Any]:
    """All settings of each encoder; of its files not where they lie, but which they are.

    Raises:
        DataError: If files of the data are missing or malformed.
    """
    files = inputs(encoders)
    return {one.name: {**_describe(one), "inputs": files[one.name]} for one in encoders}


def _describe(encoder: PlannedEncoder) -> dict[str, Any]:
    return {
        "data": encoder.data.model_dump(mode="json", exclude={"root", "extra_public"}),
        "extra_public": encoder.data.extra_public is not None,
        "model": encoder.model.model_dump(mode="json", exclude={"perceptual_weights"}),
        "protector": {"name": CONSTANT}
        if encoder.protector is None
        else encoder.protector.model_dump(mode="json"),
        "attack": encoder.attack.model_dump(mode="json", exclude={"identity_weights"}),
        "attackers": dict(encoder.attackers),
        "precision": encoder.precision,
    }


def _rows_of(folder: EncoderFolder) -> list[Row]:
    found = []
    training, codes = folder.training, folder.codes
    if training is not None:
        figures = {f"codes/{name}": value for name, value in codes.items()}
        made = _made(training)
        own = _figures(training) | _last_losses(training)
        if training["status"] != "diverged":  # of such a network nothing is known
            own["collapsed"] = float(training["status"] == "collapsed")
        # A table asks for what it calls `smile`, whatever attribute that is in this size.
        own |= {
            f"{figure}/${task}": own[f"{figure}/{attribute}"]
            for figure in ("utility/mcc", "utility/balanced_accuracy")
            for task, attribute in folder.encoder.tasks.items()
            if f"{figure}/{attribute}" in own
        }
        found.append({"role": "", **own, **figures, **made})
    elif codes:
        found.append(
            {"role": "", "status": "finished"} | {f"codes/{k}": v for k, v in codes.items()}
        )
    attacks = {str(entry["attacker"]): entry for entry in folder.attacks}
    roles = {name: name for name in IN_LOOP_NAMES if name in attacks}
    for role, attacker in {**roles, **folder.encoder.attackers, **folder.encoder.probes}.items():
        if attacker in attacks:
            entry = attacks[attacker]
            metrics = dict(entry["metrics"])
            found.append(
                {"role": role, **_figures(entry), **_best_step(entry), **metrics, **_made(entry)}
            )
    return found


def _last_losses(training: Mapping[str, Any]) -> Row:
    """Every player's loss in the last round: how the loop ended, as DeepObfuscator's Figure 6."""
    found = {LOSSES.fullmatch(name): value for name, value in training.items()}
    return {f"last_round/{match[1]}": value for match, value in found.items() if match}


def _best_step(attack: Mapping[str, Any]) -> Row:
    """The step whose weights were kept; the rule of saturation waits thousands more after it."""
    curve = attack["curve"]
    return {"best_step": max(curve, key=lambda point: point[1])[0]} if curve else {}


def _made(result: Mapping[str, Any]) -> Row:
    return {f"made/{name}": value for name, value in result["made"].items()}


def _figures(result: Mapping[str, Any]) -> Row:
    return {
        name: value
        for name, value in result.items()
        if not name.startswith(NOT_KEPT)
        and isinstance(value, int | float | str)
        and name not in OWN_NAMES
    }
