"""Whether every batch that a study will ask for can be drawn: its size, and what it is balanced by.

Found out from the labels alone, before anything starts.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import torch

from study.config import StudyConfig
from trainables.attackers.suite import Circumstances, resolve_attackers
from trainables.data.dataset import Dataset, Outline
from trainables.data.splits import share_of
from trainables.data.tasks import TaskBatches, is_categorical
from trainables.errors import ConfigError
from trainables.identity import attacker_rows
from trainables.protectors import PROTECTORS
from trainables.protectors.base import Setting
from trainables.protectors.config import ProtectorConfig


def check_batch_sizes(config: StudyConfig, split_sizes: Mapping[str, int]) -> None:
    """Refuses batches that no split can fill.

    Raises:
        ConfigError: Naming the field, its value, the split and its size.
    """
    drawn = [("attack", config.attack.batch_size, "public", 1.0)]
    for part, name, settings in _trained(config):
        drawn.append((part, settings.batch_size, "private", settings.share))
        if getattr(PROTECTORS[name].build, "needs_public", True):
            drawn.append((part, settings.batch_size, "public", settings.share))
    for part, size, split, share in drawn:
        there = int(split_sizes[split] * share)
        if size > there:
            raise ConfigError(
                f"{part}.batch_size: {size} images make a batch, but the {split!r} split has "
                f"{there}{'' if share == 1 else f' for {part}.share={share:g}'}; lower it, or give "
                "more images (data.num_images, data.fractions)"
            )


def check_tasks(config: StudyConfig, outline: Outline) -> None:
    """Refuses tasks of which a split has no image, or of which a batch cannot hold every part.

    Raises:
        ConfigError: Naming the field and what is wrong.
    """
    setting = _setting(config, outline)
    for part, name, settings in _trained(config):
        build = PROTECTORS[name].build
        try:
            tasks = build.tasks(settings, setting)  # type: ignore[union-attr]
        except ValueError as error:
            raise ConfigError(str(error)) from error
        _check(outline, "private", tasks, settings.batch_size, part)
    _check(outline, "public", {setting.private_task}, config.attack.batch_size, "attack")


def check_shares(config: StudyConfig, dataset: Dataset) -> None:
    """Refuses attribute attackers whose share of the public images lacks a value of an attribute.

    Raises:
        ConfigError: Naming the attacker, the attribute and what to do.
    """
    labels = dataset.store.labels
    try:
        rows = attacker_rows(config.attack, dataset)
    except ValueError as error:
        raise ConfigError(f"attack.identity_model: {error}") from error
    circumstances = Circumstances.of(config.data, config.attack)
    for attacker in resolve_attackers(config.attack.suite, circumstances):
        if attacker.kind != "attribute":
            continue
        own = share_of(rows, attacker.data)
        for name, column in zip(dataset.private_names, dataset.private_columns, strict=True):
            if len(np.unique(labels[own, column])) < 2:
                raise ConfigError(
                    f"attack.suite: {attacker.name!r} has {len(own)} public images, all or none "
                    f"of them are {name!r}: nobody could learn it from them; give more images "
                    "(data.num_images, data.fractions), or list attackers without it"
                )


def _trained(config: StudyConfig) -> Iterator[tuple[str, str, ProtectorConfig]]:
    """(part's name in an error, protector, settings) of every protector that trains."""
    for name, settings in config.protectors.items():
        if isinstance(settings, ProtectorConfig):
            part = "protector" if len(config.protectors) == 1 else f"protector.{name}"
            yield part, name, settings


def _setting(config: StudyConfig, outline: Outline) -> Setting:
    categorical = is_categorical(outline.labels)
    utility = outline.columns(outline.utility_names)
    return Setting(
        config.model,
        config.data.height,
        config.data.width,
        utility,
        torch.device("cpu"),
        private_columns=outline.columns(outline.private_names),
        exclusive=bool((outline.labels[:, list(utility)].sum(axis=1, dtype=np.int64) <= 1).all()),
        num_categories=len(outline.attribute_names) if categorical else 0,
    )


def _check(
    outline: Outline, split: str, tasks: set[tuple[int, ...]], batch_size: int, part: str
) -> None:
    no_images = np.empty((len(outline.labels), 0, 0, 3), np.uint8)
    batches = TaskBatches(no_images, outline.labels, outline.splits.rows(split), batch_size, 0)
    for task in sorted(tasks):
        try:
            batches.check(task)
        except ValueError as error:
            names = ", ".join(outline.attribute_names[column] for column in task)
            raise ConfigError(
                f"{part}: batches of the {split!r} split cannot be balanced by {names}: {error}"
            ) from error
