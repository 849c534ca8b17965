"""The quiz: who is asked about what, that its key is kept apart, and scores by hand."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from analysis.__main__ import main
from analysis.load import AnalysisError, load_study
from analysis.quiz import make_quiz, score


@pytest.fixture(scope="module")
def study(tracking_uri: str) -> Any:
    """Eight grey faces; the decoder's are a little darker each, those of `blind` all alike."""
    from tests.analysis.conftest import FakeStudy, add_attacked

    made = FakeStudy(tracking_uri, "quiz")
    weights = {"lambda1": 1.0}
    add_attacked(made, "u", 0.9, {"decoder": 0.9}, role="undefended")
    seen = add_attacked(made, "d", 0.9, {"decoder": 0.2}, params=weights)
    blind = add_attacked(made, "blind", 0.5, {"decoder": 0.1}, params=weights)
    add_attacked(made, "bare", 0.4, {"decoder": 0.3}, params=weights)
    shades = np.arange(8, dtype=np.uint8) * 20 + 60
    for run, rebuilt in ((seen, shades - 5), (blind, shades * 0)):
        for name, own in (("originals", shades), ("decoder", rebuilt)):
            strip = np.repeat(np.repeat(own, 32)[None, :, None], 32, 0).repeat(3, 2)
            made.client.log_image(run, Image.fromarray(strip.astype(np.uint8)), f"{name}.png")
    return made


def shade(image: Any) -> int:
    return int(image.mean())


def test_one_of_four_different_faces_is_the_right_one(study: Any) -> None:
    quiz = make_quiz(load_study("quiz", study.uri), 8)
    assert (quiz.encoder, quiz.attacker) == ("#1", "decoder"), "the answer's, by default"
    assert len(quiz.questions) == 8
    assert len({shade(q.rebuilt) for q in quiz.questions}) == 8, "every image once"
    for question in quiz.questions:
        shades = [shade(option) for option in question.options]
        assert len(set(shades)) == 4
        assert shades[question.right] == shade(question.rebuilt) + 5
        assert question.guess == question.right, "pixels tell here"
    places = {question.right for question in quiz.questions}
    assert len(places) > 1, "the right one is not always at the same place"
    assert make_quiz(load_study("quiz", study.uri), 8).identity == quiz.identity
    assert make_quiz(load_study("quiz", study.uri), 8, seed=1).identity != quiz.identity


def test_fewer_images_make_fewer_questions_and_an_encoder_can_be_chosen(study: Any) -> None:
    tables = load_study("quiz", study.uri)
    assert len(make_quiz(tables, 3).questions) == 3
    assert len(make_quiz(tables, 50).questions) == 8
    assert make_quiz(tables, 3, "#2").encoder == "#2"


def test_what_cannot_be_asked_is_said(study: Any, make_study: Any) -> None:
    tables = load_study("quiz", study.uri)
    with pytest.raises(AnalysisError, match="one of undefended conv4, #1, #2, #3, got '#9'"):
        make_quiz(tables, 3, "#9")
    with pytest.raises(AnalysisError, match="#3 has no reconstructions"):
        make_quiz(tables, 3, "#3")
    with pytest.raises(AnalysisError, match="no encoder to ask about"):
        make_quiz(load_study(make_study("quiz-empty").name, study.uri))


def test_the_page_holds_no_answers_and_asks_nobody(study: Any, tmp_path: Path, capsys: Any) -> None:
    place = ["--results", str(tmp_path), "--tracking-uri", study.uri]
    assert main(["quiz", "quiz", "--questions", "6", *place]) == 0
    assert "6 questions: encoder #1, rebuilt by decoder" in capsys.readouterr().out
    folder = tmp_path / "quiz" / "quiz"
    page = (folder / "quiz.html").read_text(encoding="utf-8")
    assert "right" not in re.sub(r"data:[^\"]+|<style>.*?</style>", "", page, flags=re.DOTALL)
    assert "#1" not in page, "nor whose codes they are"
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert page.count("<input") == 6 * 4
    key = json.loads((folder / "quiz-key.json").read_text(encoding="utf-8"))
    assert len(key["right"]) == 6
    answers = []
    for number, wrong in enumerate((1, 3)):
        given = [(r + 1) % 4 if i < wrong else r for i, r in enumerate(key["right"])]
        answers.append(tmp_path / f"answers-{number}.json")
        answers[-1].write_text(json.dumps({"quiz": key["quiz"], "answers": given}))
    assert main(["quiz", "quiz", "--score", *map(str, answers), *place]) == 0
    said = capsys.readouterr().out
    assert "8 of 12 right: 67%" in said
    assert "a machine that compares pixels: 6 of 6" in said


KEY = {"quiz": "q", "right": [0, 1, 2, 3], "machine": [0, 0, 0, 0]}


def test_a_score_by_hand() -> None:
    found = score(KEY, [{"quiz": "q", "answers": [0, 1, 2, 0]}])
    assert (found.right, found.answered, found.share) == (3, 4, 0.75)
    # 3 or 4 of 4 at 1/4: 4 · (1/4)³ · 3/4 + (1/4)⁴.
    assert found.p_value == pytest.approx(13 / 256)
    # Wilson: (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n).
    z = 1.959964
    middle, wide = 0.75 + z**2 / 8, z * (0.1875 / 4 + z**2 / 64) ** 0.5
    assert (found.low, found.high) == pytest.approx(
        ((middle - wide) / (1 + z**2 / 4), (middle + wide) / (1 + z**2 / 4)), abs=1e-5
    )


def test_what_was_left_open_does_not_count() -> None:
    found = score(KEY, [{"quiz": "q", "answers": [0, None, None, None]}])
    assert (found.right, found.answered) == (1, 1)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"quiz": "other", "answers": [0, 1, 2, 3]}, "answers 1: of another quiz"),
        ({"quiz": "q", "answers": [0, 1]}, "answers 1: 4 of them are needed"),
        ({"quiz": "q", "answers": "0123"}, "answers 1: 4 of them are needed"),
        ({"quiz": "q", "answers": [0, 1, 2, 4]}, "from 0 to 3 or null, got 4"),
        ({"quiz": "q", "answers": [0, 1, 2, True]}, "from 0 to 3 or null, got True"),
        ({"quiz": "q", "answers": [None] * 4}, "no question was answered"),
    ],
)
def test_answers_that_are_none_are_refused(answers: Any, said: str) -> None:
    with pytest.raises(AnalysisError, match=re.escape(said)):
        score(KEY, [answers])


def test_bad_files_are_named(study: Any, tmp_path: Path, capsys: Any) -> None:
    place = ["--results", str(tmp_path), "--tracking-uri", study.uri]
    missing = str(tmp_path / "none.json")
    assert main(["quiz", "quiz", "--score", missing, *place]) == 2
    assert "quiz-key.json" in capsys.readouterr().err, "no quiz was made yet"
    assert main(["quiz", "quiz", *place]) == 0
    assert main(["quiz", "quiz", "--score", missing, *place]) == 2
    assert "none.json" in capsys.readouterr().err


def test_a_name_that_would_leave_the_results_folder_is_refused(study: Any, capsys: Any) -> None:
    for words in (["../elsewhere"], ["compare", "a/b"], ["quiz", ".."]):
        assert main([*words, "--tracking-uri", study.uri]) == 2
        assert "a name is of letters, digits" in capsys.readouterr().err
