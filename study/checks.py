"""What is checked before a study starts: its data, its weights, and what is there of it already."""

import json
from collections.abc import Mapping
from typing import Any

from analysis.addresses import masked
from study.config import StudyConfig
from study.folder import read_json
from study.places import Places, check_database, has_proposals, has_table
from study.tasks import check_batch_sizes, check_tasks
from study.tracking import Client, connect, has_study, study_artifact
from trainables.data.dataset import check_source
from trainables.data.source import DataError
from trainables.errors import ConfigError
from trainables.identity import check_identity
from trainables.nets.perceptual import check_vgg16_weights

DATA_FILE = "data.json"
"""The data's description, in the study's folder and on its run."""


def check_inputs(config: StudyConfig) -> None:
    """Checks files, attributes, splits, batch sizes and weights without decoding an image.

    Raises:
        ConfigError: Naming the field or path, and what is allowed.
    """
    try:
        outline = check_source(config.data)
    except DataError as error:
        raise ConfigError(str(error)) from error
    check_batch_sizes(config, outline.split_sizes)
    check_tasks(config, outline)
    if config.model.perceptual_weights is not None:
        try:
            check_vgg16_weights(config.model.perceptual_weights)
        except ValueError as error:
            raise ConfigError(str(error)) from error
    try:
        check_identity(config.attack)
    except ValueError as error:
        raise ConfigError(f"attack.identity_weights: {error}") from error


def open_tracking(places: Places) -> Client:
    """Opens MLflow, having made sure that both databases answer.

    Raises:
        ConfigError: If one does not.
    """
    check_database("study.storage", places.storage)
    if not places.tracking_is_http:
        check_database("MLFLOW_TRACKING_URI", places.tracking)
    return connect(places.tracking)


def look_at_tracking(places: Places) -> Client | None:
    """As `open_tracking`, but creates nothing: None where MLflow has no tables yet.

    Raises:
        ConfigError: If an address could not be opened.
    """
    near = places.folder.results
    check_database("study.storage", places.storage, create=False, near=near)
    if not places.tracking_is_http:
        check_database("MLFLOW_TRACKING_URI", places.tracking, create=False, near=near)
        if not has_table(places.tracking, "experiments"):
            return None
    return connect(places.tracking)


def find_traces(places: Places, client: Client | None) -> tuple[list[str], str | None]:
    """Looks for a study of this name outside its folder.

    Returns:
        Where there is one, and the configuration that MLflow keeps of it.
    """
    name = places.folder.name
    traces: list[str] = []
    kept: str | None = None
    if client is not None and has_study(client, name):
        traces.append(f"MLflow at {masked(places.tracking)}")
        kept = study_artifact(client, name, "study.yaml")
    if has_proposals(places):
        traces.append(f"Optuna at {masked(places.storage)}")
    return traces, kept


def stored_data(places: Places, client: Client | None) -> dict[str, Any] | None:
    """The data's description as the study's folder or MLflow keeps it; None where neither does."""
    before = read_json(places.folder.root / DATA_FILE)
    if before is None and client is not None:
        before = _parse(study_artifact(client, places.folder.name, DATA_FILE))
    return before


def check_same_data(
    places: Places, client: Client | None, data: Mapping[str, Any], resume: bool
) -> None:
    """Refuses to go on with a study on other images or labels than it was started on.

    Raises:
        ConfigError: Naming the hash that differs.
    """
    if not resume:
        return
    before = stored_data(places, client)
    # Studies made before suites had versions have those of the first.
    version = (before or {}).get("suite_version", 1)
    if before is not None and version != data["suite_version"]:
        raise ConfigError(
            f"--resume: {places.folder.name!r} was attacked by version {version} of the suites, "
            f"this is version {data['suite_version']}: figures of the two cannot stand in one "
            "study; choose another study.name"
        )
    for name in ("content_hash", "splits_hash", "extra_hash"):
        was = (before or {}).get(name)
        if was is not None and was != data.get(name):
            raise ConfigError(
                f"--resume: the data of {places.folder.name!r} have changed since it was started "
                f"({name}: was {was}, now {data.get(name)}); bring the files back as they were, or "
                "choose another study.name"
            )


def _parse(text: str | None) -> dict[str, Any] | None:
    try:
        value = json.loads(text or "")
    except json.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
