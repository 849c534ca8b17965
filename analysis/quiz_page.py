"""The quiz as one self-contained page, and its key, which is not in it."""

import io
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.drawing import data_uri
from analysis.page import write_page
from analysis.quiz import Quiz, enlarged


def write_quiz(quiz: Quiz, folder: Path) -> tuple[Path, Path]:
    """Writes `quiz.html` and `quiz-key.json` to a folder, which is made if it is not there."""
    path = write_page(
        folder / "quiz.html",
        "quiz.html",
        ("quiz.js",),
        identity=quiz.identity,
        other_image=quiz.other_image,
        questions=[
            (_uri(question.rebuilt), [_uri(option) for option in question.options])
            for question in quiz.questions
        ],
    )
    key = folder / "quiz-key.json"
    key.write_text(json.dumps(quiz.key(), indent=1), encoding="utf-8")
    return path, key


def _uri(image: NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    enlarged(image).save(buffer, "PNG")  # lossless: what is asked is what was kept
    return data_uri(buffer.getvalue(), "png")
