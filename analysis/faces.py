"""Who judges faces in a study, how well, and what that leaves open."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.health import number_of, text_of
from analysis.load import StudyTables

IDENTITY_FILE = "identity.json"
WEAK_AUC = 0.9
"""Verification AUC below which an identity model cannot judge faces (methods section 4)."""

IMAGES_PER_PERSON = 1.5
"""Images for each identity, on average, from which the data is said to have people."""


@dataclass(frozen=True)
class IdentityModel:
    """The network Φ that judges faces, and how well it tells people apart.

    Attributes:
        model: Its name.
        auc: Verification AUC on held-out pairs; None if not measured, as the other figures.
        tpr_at_1_fmr: True positive rate at a false match rate of 1%.
        accuracy: Verification accuracy, at the threshold that is best on other pairs.
        num_pairs: Pairs of one person they were measured on; as many are of two people.
        weak: Whether it is too weak to judge faces.
        hash: Of its weights; empty if not known.
        split: Where the images of the pairs are from; empty if not known.
        quiz_accuracy: Share of plain images from which it picks another image of the same person
            among four faces; None if not measured.
    """

    model: str
    auc: float | None
    tpr_at_1_fmr: float | None
    accuracy: float | None
    num_pairs: int | None
    weak: bool
    hash: str
    split: str
    quiz_accuracy: float | None


def read_identity(tables: StudyTables) -> IdentityModel | None:
    """Who judged the study's faces; None if nobody did.

    Raises:
        AnalysisError: The file is there, but is no JSON.
    """
    content = tables.mapping(IDENTITY_FILE)
    if not content:
        return None
    auc, pairs = number_of(content.get("auc")), number_of(content.get("num_pairs"))
    return IdentityModel(
        model=text_of(content, "model") or "an unnamed model",
        auc=auc,
        tpr_at_1_fmr=number_of(content.get("tpr_at_1_fmr")),
        accuracy=number_of(content.get("accuracy")),
        num_pairs=None if pairs is None else int(pairs),
        weak=content.get("weak") is True or auc is None or auc < WEAK_AUC,
        hash=text_of(content, "hash"),
        split=text_of(content, "split"),
        quiz_accuracy=number_of(content.get("quiz_accuracy")),
    )


def has_people(data: Mapping[str, Any]) -> bool:
    """Whether the data's description has clearly fewer identities than images."""
    images, people = number_of(data.get("num_images")), number_of(data.get("num_identities"))
    return bool(images and people) and (images or 0) >= IMAGES_PER_PERSON * (people or 1)


def faces_sentence(model: IdentityModel | None) -> str:
    """How faces are judged, in a paragraph; empty without an identity model."""
    if model is None:
        return ""
    figures = [
        f"{name} {value:.3f}"
        for name, value in (
            ("AUC", model.auc),
            ("true positive rate at 1% false matches", model.tpr_at_1_fmr),
            ("accuracy", model.accuracy),
        )
        if value is not None
    ]
    pairs = "held-out pairs"
    if model.num_pairs is not None:
        pairs = f"{model.num_pairs:,} pairs of images of one person and as many of two"
    source = f", of the {model.split} split" if model.split else ""
    measured = f"{', '.join(figures)}, on {pairs}{source}" if figures else (
        "that was not measured, for want of two images of one person"
    )  # fmt: skip
    weights = f" Its weights' hash is {model.hash[:12]}." if model.hash else ""
    return (
        f"Faces are judged by {model.model}: the similarity of two faces is the cosine of its "
        f"features. How well that tells people apart: {measured}. A similarity means no more than "
        f"that.{weights}"
    )


def faces_warning(tables: StudyTables, model: IdentityModel | None) -> str:
    """Why a similarity, or SSIM in its place, says little; empty if there is nothing to warn of."""
    if model is not None and model.weak:
        auc = "was not measured" if model.auc is None else f"is {model.auc:.3f}"
        return (
            f"{model.model} is too weak to judge faces: its verification AUC {auc}, "
            f"and {WEAK_AUC:g} is the least. A low face similarity does not show that a person is "
            "not recognised."
        )
    if model is None and has_people(tables.data):
        return (
            "No identity model was used: reconstructions are judged by SSIM, which says little "
            "about who is seen."
        )
    return ""
