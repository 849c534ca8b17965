"""DeepObfuscator's human study: can people tell whose reconstruction they see?

One reconstruction, four faces, one of the person it was made from; the paper's participants were
right in 28% of such questions (section 4.2, "Human Perceptual Study"), a guess in 25%. A study
keeps a few test images, what each attacker made of them, and another image of the same persons
where there is one; the questions are made of these.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import stats

from analysis.drawing import read_image
from analysis.errors import AnalysisError
from analysis.load import StudyTables
from analysis.pictures import OTHERS, PEOPLE, compared_encoders, worst_rebuilt
from analysis.records import encoder_labels, image_ratio

CHOICES = 4
"""Faces per question."""
CHANCE = 1 / CHOICES
LEVEL = 0.95
RIGHT_FACE = ("the very image that was rebuilt", "another image of the same person")
SIDE = 160
"""Pixels of an image on the page, at least: small ones are enlarged without smoothing."""


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        rebuilt: What the attacker made, [H, W, 3] bytes.
        options: CHOICES images, in the order in which they are shown.
        right: Which of them is of the person it was made from, from 0.
        guess: Which of them a machine takes that compares pixels (least mean squared error).
    """

    rebuilt: NDArray[np.uint8]
    options: tuple[NDArray[np.uint8], ...]
    right: int
    guess: int


@dataclass(frozen=True)
class Quiz:
    """The questions about one encoder.

    Attributes:
        study: Name of the study.
        encoder: Label of the encoder.
        attacker: Who rebuilt the images.
        questions: In the order in which they are asked.
        other_image: Whether the right faces are other images of the persons; else they are the
            very images that were rebuilt, which is easier.
    """

    study: str
    encoder: str
    attacker: str
    questions: tuple[Question, ...]
    other_image: bool = False

    @property
    def right_face(self) -> str:
        """What the right one of the four faces is, in words."""
        return RIGHT_FACE[self.other_image]

    @property
    def identity(self) -> str:
        """A hash of all that is shown: answers belong to one quiz."""
        digest = hashlib.sha256(f"{self.study} {self.encoder} {self.attacker}".encode())
        for question in self.questions:
            for image in (question.rebuilt, *question.options):
                digest.update(image.tobytes())
        return digest.hexdigest()[:16]

    def key(self) -> dict[str, Any]:
        """The right answers, kept apart from the page."""
        return {
            "quiz": self.identity, "study": self.study, "encoder": self.encoder,
            "attacker": self.attacker, "right": [question.right for question in self.questions],
            "machine": [question.guess for question in self.questions],
            "right_face": self.right_face,
        }  # fmt: skip


def make_quiz(
    tables: StudyTables, num_questions: int = 10, encoder: str | None = None, seed: int = 0
) -> Quiz:
    """Makes questions of the pictures that a study kept.

    Args:
        tables: The study.
        num_questions: At most; no more than images were kept.
        encoder: Its label, such as `#15`; None for the defended encoder of the answer.
        seed: Of the order and of the other faces.

    Raises:
        AnalysisError: There is no such encoder, or it has too few pictures.
    """
    labels = encoder_labels(tables.encoders)
    if encoder is None:
        chosen = compared_encoders(tables.encoders)[-1:]
        if not chosen:
            raise AnalysisError(f"study {tables.name!r} has no encoder to ask about yet")
    else:
        chosen = [name for name, label in labels.items() if label == encoder]
        if not chosen:
            known = ", ".join(labels.values())
            raise AnalysisError(f"--encoder: one of {known}, got {encoder!r}")
    row = tables.encoders[tables.encoders["encoder_id"] == chosen[0]].iloc[0]
    found = worst_rebuilt(tables, row)
    label = labels[chosen[0]]
    if found is None:
        raise AnalysisError(
            f"encoder {label} has no reconstructions: none were kept (report.reconstructions), or "
            "no attacker rebuilt images"
        )
    attacker, originals, rebuilt = found
    shown, made = (_tiles(read_image(path), tables) for path in (originals, rebuilt))
    faces, other_image = _faces(tables, row["run_id"], shown)
    if len(faces) < CHOICES or len(shown) != len(made):
        raise AnalysisError(
            f"encoder {label} has {len(made)} pictures, of {len(faces)} people: a question takes "
            f"{CHOICES}; keep more with report.reconstructions"
        )
    generator = np.random.default_rng(seed)
    questions = []
    for number in generator.permutation(list(faces))[:num_questions]:
        others = [place for place in faces if place != number]
        asked = [int(number), *generator.choice(others, CHOICES - 1, replace=False).tolist()]
        order = generator.permutation(CHOICES)
        options = tuple(faces[asked[place]] for place in order)
        questions.append(
            Question(
                made[number], options, int(np.flatnonzero(order == 0)[0]),
                _nearest(made[number], options),
            )
        )  # fmt: skip
    return Quiz(tables.name, label, attacker, tuple(questions), other_image)


def _faces(
    tables: StudyTables, run_id: str, shown: list[NDArray[np.uint8]]
) -> tuple[dict[int, NDArray[np.uint8]], bool]:
    """One face of each person: those to choose from, and whether they are other images of them.

    All are of one kind: were only the right one another image, it could be told by that.

    Args:
        tables: The study.
        run_id: Of the encoder's run.
        shown: The images that were rebuilt.

    Returns:
        Place of the image that was rebuilt → face. Other images, if there are enough for a
        question; else the images themselves. A study that does not say who is on them has a person
        on each.
    """
    path, strip = (tables.artifact(run_id, name) for name in (PEOPLE, OTHERS))
    if path is None:
        return dict(enumerate(shown)), False
    content = read_json_file(path)
    people: Any = content.get("people")
    has_other: Any = content.get("others")
    others = shown if strip is None else _tiles(read_image(strip), tables)
    if not all(isinstance(part, list) and len(part) == len(shown)
               for part in (people, has_other, others)):  # fmt: skip
        raise AnalysisError(f"{PEOPLE}, {OTHERS}: they do not fit the {len(shown)} images kept")
    first = [place for place, person in enumerate(people) if person not in people[:place]]
    known = {place: others[place] for place in first if strip is not None and has_other[place]}
    if len(known) >= CHOICES:
        return known, True
    return {place: shown[place] for place in first}, False


def _tiles(strip: NDArray[np.uint8], tables: StudyTables) -> list[NDArray[np.uint8]]:
    """The images of a strip, which are as wide as the study's are."""
    height, width = strip.shape[:2]
    side = max(1, round(height * image_ratio(tables.data)))
    return [strip[:, start : start + side] for start in range(0, width - side + 1, side)]


def _nearest(image: NDArray[np.uint8], options: Sequence[NDArray[np.uint8]]) -> int:
    errors = [float(((image.astype(float) - option) ** 2).mean()) for option in options]
    return int(np.argmin(errors))


@dataclass(frozen=True)
class Score:
    """How well somebody, or several together, did.

    Attributes:
        right: Right answers.
        answered: Questions that were answered.
        low: Lower end of the interval of the share (Wilson, 95%).
        high: Its upper end.
        p_value: Of so many right answers or more by guessing.
    """

    right: int
    answered: int
    low: float
    high: float
    p_value: float

    @property
    def share(self) -> float:
        """Share of right answers."""
        return self.right / self.answered


def score(key: Mapping[str, Any], answers: Sequence[Mapping[str, Any]]) -> Score:
    """Scores the answers of one or several people to one quiz.

    Args:
        key: What `Quiz.key` gave.
        answers: Of each person what the page exported: `quiz`, and `answers`, one number or None
            per question.

    Raises:
        AnalysisError: Answers are of another quiz, malformed, or there are none.
    """
    right, answered = 0, 0
    for number, one in enumerate(answers, 1):
        given = one.get("answers")
        if one.get("quiz") != key["quiz"]:
            raise AnalysisError(f"answers {number}: of another quiz than {key['quiz']}")
        if not isinstance(given, list) or len(given) != len(key["right"]):
            raise AnalysisError(f"answers {number}: {len(key['right'])} of them are needed")
        for own, correct in zip(given, key["right"], strict=True):
            if own is None:
                continue
            if not isinstance(own, int) or isinstance(own, bool) or not 0 <= own < CHOICES:
                raise AnalysisError(
                    f"answers {number}: from 0 to {CHOICES - 1} or null, got {own!r}"
                )
            answered += 1
            right += own == correct
    if not answered:
        raise AnalysisError("answers: no question was answered")
    test = stats.binomtest(right, answered, CHANCE, alternative="greater")
    interval = stats.binomtest(right, answered).proportion_ci(LEVEL, method="wilson")
    return Score(right, answered, float(interval.low), float(interval.high), float(test.pvalue))


def read_json_file(path: Path) -> dict[str, Any]:
    """Reads a key or answers.

    Raises:
        AnalysisError: It cannot be read, or is no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AnalysisError(f"{path}: {error}") from error
    if not isinstance(content, dict):
        raise AnalysisError(f"{path}: a JSON object is needed")
    return content


def enlarged(image: NDArray[np.uint8]) -> Image.Image:
    """An image at least SIDE pixels high, its pixels kept as squares."""
    picture = Image.fromarray(image)
    factor = max(1, -(-SIDE // picture.height))
    return picture.resize(
        (picture.width * factor, picture.height * factor), Image.Resampling.NEAREST
    )
