"""The identity model Φ of a study: built, applied to all images and judged before any trial."""

from pathlib import Path
from typing import Any

from rich.console import Console

from study.config import StudyConfig
from trainables.attackers.suite import Circumstances, resolve_attackers
from trainables.data.dataset import Dataset
from trainables.errors import ConfigError
from trainables.identity import WEAK_AUC, build_identity, face_features, load_or_verify
from trainables.people import gallery_and_probes
from trainables.quiz import quiz_scores


def check_people(config: StudyConfig, dataset: Dataset) -> None:
    """Refuses attackers of identity on splits in which nobody could be found again.

    Raises:
        ConfigError: If a split has fewer than two people with two images.
    """
    circumstances = Circumstances.of(config.data, config.attack)
    attackers = resolve_attackers(config.attack.suite, circumstances)
    names = [attacker.name for attacker in attackers if attacker.kind == "identity"]
    if not names:
        return
    for split in ("selection", "test"):
        gallery, _ = gallery_and_probes(dataset.store.identities[dataset.rows(split)])
        if len(gallery) < 2:
            raise ConfigError(
                f"attack.suite: {names[0]!r} needs two people with two images or more each in the "
                f"{split} split, got {len(gallery)}; raise data.num_images, set "
                "data.split=identity, or list attackers without it"
            )


def prepare_identity(
    config: StudyConfig, dataset: Dataset, cache: Path, console: Console
) -> dict[str, Any]:
    """Computes Φ of every image once, so that no trial has to, and how well it tells people apart.

    Returns:
        What is kept with the study's run: the model, its AUC, true positive rate at 1% false
        matches and accuracy on pairs of the test split, whether it is too weak to judge faces, and
        how often it picks the right one of four faces from a plain image of the person, where the
        right one is another image. Empty without an identity model.

    Raises:
        ConfigError: If it cannot be trained or applied on this data.
    """
    try:
        model = build_identity(config.attack, dataset, cache)
        if model is None:
            return {}
        console.print(f"identity model {model.name}: looking at all images", highlight=False)
        features = face_features(model, dataset, cache)
        found = load_or_verify(model, dataset, cache)
    except ValueError as error:
        raise ConfigError(f"attack.identity_model: {error}") from error
    facts: dict[str, Any] = {"weak": found is None or found.weak, **model.describe()}
    if found is None:
        console.print(
            "warning: the data have no two images of one person in selection and test: how well "
            "the identity model tells people apart is not known",
            highlight=False,
        )
        return facts
    facts |= {
        "auc": found.auc,
        "tpr_at_1_fmr": found.tpr_at_1_fmr,
        "accuracy": found.accuracy,
        "num_pairs": found.num_pairs,
        "split": found.split,
    }
    rows = dataset.rows("test")
    faces = features.lookup(rows)
    quiz = quiz_scores(faces, faces, dataset.store.identities[rows])
    if quiz.get("quiz_other_image") == 1:  # the same image is told for certain
        facts["quiz_accuracy"] = quiz["quiz_accuracy"]
    console.print(
        f"identity model {model.name}: AUC {found.auc:.3f} on {found.num_pairs} pairs of one "
        f"person and as many of two"
        + (f"; below {WEAK_AUC:g} it is too weak to judge faces" if found.weak else ""),
        highlight=False,
    )
    return facts
