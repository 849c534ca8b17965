"""The quiz: who is asked about what, that its key is kept apart, and scores by hand."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from analysis.__main__ import main
from analysis.errors import AnalysisError
from analysis.load import load_study
from analysis.pictures import encoder_strips
from analysis.quiz import make_quiz, score

SHADES = np.arange(8, dtype=np.uint8) * 20 + 60


def keep(study: Any, run: str, name: str, shades: Any) -> None:
    strip = np.repeat(np.repeat(np.asarray(shades), 32)[None, :, None], 32, 0).repeat(3, 2)
    study.client.log_image(run, Image.fromarray(strip.astype(np.uint8)), f"{name}.png")


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
    for run, rebuilt in ((seen, SHADES - 5), (blind, SHADES * 0)):
        keep(made, run, "originals", SHADES)
        keep(made, run, "decoder", rebuilt)
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


def with_people(make_study: Any, name: str, people: list[int], others: list[bool]) -> Any:
    """A study like the one above that knows who is shown; other images are darker by 3."""
    from tests.analysis.conftest import add_attacked

    made = make_study(name)
    run = add_attacked(made, "d", 0.9, {"decoder": 0.2}, params={"lambda1": 1.0})
    keep(made, run, "originals", SHADES)
    keep(made, run, "decoder", SHADES - 5)
    if any(others):
        keep(made, run, "others", np.where(np.resize(others, 8), SHADES - 3, 0))
    made.client.log_dict(run, {"people": people, "others": others}, "people.json")
    return load_study(name, made.uri)


def test_the_right_face_is_another_image_of_the_person_where_there_is_one(make_study: Any) -> None:
    # Place 3 is the person of place 1 again; places 2 and 6 have no other image.
    others = [True, True, False, True, True, True, False, True]
    tables = with_people(make_study, "quiz-others", [0, 1, 2, 1, 3, 4, 5, 6], others)
    quiz = make_quiz(tables, 8)
    assert (quiz.other_image, quiz.right_face) == (True, "another image of the same person")
    assert quiz.key()["right_face"] == "another image of the same person"
    asked = {shade(question.rebuilt) + 5 for question in quiz.questions}
    assert asked == {int(SHADES[place]) for place in (0, 1, 4, 5, 7)}, "each person once"
    for question in quiz.questions:
        shades = {shade(option) + 3 for option in question.options}
        assert len(shades) == 4
        assert shades <= asked, "all four are other images"
        assert shade(question.options[question.right]) == shade(question.rebuilt) + 2
    assert make_quiz(tables, 8).identity == quiz.identity


@pytest.mark.parametrize("others", [[False] * 8, [True] * 3 + [False] * 5])
def test_with_too_few_other_images_it_is_the_one_that_was_rebuilt(
    make_study: Any, others: list[bool]
) -> None:
    name = f"quiz-same-{sum(others)}"
    quiz = make_quiz(with_people(make_study, name, [0, 1, 2, 1, 3, 4, 5, 6], others), 8)
    assert (quiz.other_image, quiz.right_face) == (False, "the very image that was rebuilt")
    assert len(quiz.questions) == 7, "the person who is shown twice is asked about once"
    for question in quiz.questions:
        assert shade(question.options[question.right]) == shade(question.rebuilt) + 5
        assert int(SHADES[3]) not in {shade(option) for option in question.options}


def test_pictures_of_too_few_people_make_no_question(make_study: Any) -> None:
    tables = with_people(make_study, "quiz-few", [0, 1, 2, 1, 0, 0, 2, 1], [True] * 8)
    with pytest.raises(AnalysisError, match="has 8 pictures, of 3 people: a question takes 4"):
        make_quiz(tables)


def test_people_of_other_pictures_are_refused(make_study: Any) -> None:
    tables = with_people(make_study, "quiz-misfit", [0, 1, 2], [True] * 3)
    with pytest.raises(AnalysisError, match=r"people\.json, others\.png: they do not fit the 8"):
        make_quiz(tables)


def test_other_images_are_no_attackers_strip(make_study: Any) -> None:
    tables = with_people(make_study, "quiz-strips", [*range(8)], [True] * 8)
    (run,) = tables.encoders["run_id"]
    assert [label for label, _ in encoder_strips(tables, run)] == ["original", "decoder"]


def test_the_page_says_which_image_the_right_face_is(
    study: Any, make_study: Any, tmp_path: Path, capsys: Any
) -> None:
    with_people(make_study, "quiz-said", [*range(8)], [True] * 8)
    place = ["--results", str(tmp_path), "--tracking-uri", study.uri]
    for name, said, told in (
        ("quiz-said", "another picture of the same person", "another image of the same person"),
        ("quiz", "the one it was made from", "the very image that was rebuilt"),
    ):
        assert main(["quiz", name, *place]) == 0
        assert f"the right face is {told}" in capsys.readouterr().out
        page = (tmp_path / name / "quiz" / "quiz.html").read_text(encoding="utf-8")
        assert f"One of the four faces below it is {said}" in page


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
