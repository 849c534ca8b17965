"""The sentence on four faces: of whom it is told, and what stands beside it."""

import json
from typing import Any

import pytest

from analysis.attack_tables import attack_table
from analysis.load import load_study
from analysis.narrative import answered
from analysis.narrative_faces import quiz_sentences
from analysis.tables import summary


def rebuilt(
    study: Any, encoder_id: str, run: str, attacker: str, leakage: float, share: float, **tags: str
) -> None:
    """Adds an attack with its figures; the right faces are other images."""
    metrics = {
        "score/test": leakage, "leakage/test": leakage, "leakage/selection": leakage,
        "floor": 0.0, "ceiling": 1.0, "quiz_accuracy": share, "quiz_accuracy_error": 0.0123,
        "quiz_other_image": 1.0,
    }  # fmt: skip
    tags = {"attack_kind": "reconstruction", **tags}
    study.attack(encoder_id, run, attacker, metrics=metrics, **tags)


@pytest.fixture
def study(make_study: Any, attacked: Any, request: Any) -> Any:
    """An undefended encoder and a defended one, each rebuilt by attackers of all sorts."""
    made = make_study(f"faces-{request.node.name}")
    u = attacked(made, "u", 0.9, {"attribute": 0.9}, role="undefended")
    d = attacked(made, "d", 0.9, {"attribute": 0.3}, params={"lambda1": 1.0})
    rebuilt(made, "u", u, "decoder", 0.8, 0.91)
    rebuilt(made, "u", u, "decoder_weak", 0.7, 0.99)
    rebuilt(made, "d", d, "decoder", 0.2, 0.4)
    rebuilt(made, "d", d, "decoder_strong", 0.25, 0.375)
    # None of these speaks for what leaks to who rebuilds.
    rebuilt(made, "d", d, "feature", 0.9, 0.7, attack_kind="feature")
    rebuilt(made, "d", d, "optimisation", 0.9, 0.8, threat="white_box", counts="false")
    rebuilt(made, "d", d, "in_loop", 0.9, 0.9)
    return made


def judged(study: Any, **figures: float) -> Any:
    content = json.dumps({"model": "mobilefacenet", "auc": 0.98, **figures})
    study.client.log_text(study.run_id, content, "identity.json")
    return load_study(study.name, study.uri)


def test_the_undefended_and_the_defended_encoder_are_told_of(study: Any) -> None:
    tables = judged(study, accuracy=0.93)
    expected = (
        "Shown a reconstruction and four faces, one of them another image of the same person, "
        "mobilefacenet picks that one in 91.0% ± 1.2% on undefended conv4 (rebuilt by decoder) and "
        "in 37.5% ± 1.2% on #1 (rebuilt by decoder_strong); guessing brings 25%, and mobilefacenet "
        "itself tells 93.0% of pairs of plain faces right."
    )
    assert quiz_sentences(tables) == [expected]
    assert expected in answered(tables, summary(tables))
    table = attack_table(tables)
    place = table["head"].index("right of four faces")
    told = {row["cells"][place].text for row in table["rows"]}
    assert {"0.910", "0.375", "–"} <= told


def test_what_the_plain_image_brings_stands_beside_it(study: Any) -> None:
    (sentence,) = quiz_sentences(judged(study, accuracy=0.93, quiz_accuracy=0.95))
    expected = "guessing brings 25%, the plain image in the reconstruction's place 95.0%, and"
    assert expected in sentence


def test_a_model_that_was_not_measured_is_said_to_be_none(study: Any) -> None:
    (sentence,) = quiz_sentences(judged(study))
    assert sentence.endswith("and mobilefacenet itself was not measured on plain faces.")


def test_nothing_is_told_without_figures_or_without_a_model(
    study: Any, make_study: Any, attacked: Any
) -> None:
    assert quiz_sentences(load_study(study.name, study.uri)) == [], "nobody judges faces"
    plain = make_study("faces-plain")
    attacked(plain, "u", 0.9, {"decoder": 0.9}, role="undefended")
    assert quiz_sentences(judged(plain, accuracy=0.93)) == []
