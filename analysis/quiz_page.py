"""The quiz as one self-contained page, and its key, which is not in it."""

import base64
import hashlib
import io
import json
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader
from numpy.typing import NDArray

from analysis.drawing import data_uri
from analysis.quiz import Quiz, enlarged

TEMPLATES = Path(__file__).parent / "templates"


def write_quiz(quiz: Quiz, folder: Path) -> tuple[Path, Path]:
    """Writes `quiz.html` and `quiz-key.json` to a folder, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    script = (TEMPLATES / "quiz.js").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.get_template("quiz.html").render(
        identity=quiz.identity,
        questions=[
            (_uri(question.rebuilt), [_uri(option) for option in question.options])
            for question in quiz.questions
        ],
        style=(TEMPLATES / "report.css").read_text(encoding="utf-8"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    path, key = folder / "quiz.html", folder / "quiz-key.json"
    path.write_text(page, encoding="utf-8")
    key.write_text(json.dumps(quiz.key(), indent=1), encoding="utf-8")
    return path, key


def _uri(image: NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    enlarged(image).save(buffer, "PNG")  # lossless: what is asked is what was kept
    return data_uri(buffer.getvalue(), "png")
