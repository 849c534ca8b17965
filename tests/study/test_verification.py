"""Verified leakage: worst attacker chosen on selection, value from test, in-loop included."""

import pytest

from study.leakages import figures_of
from study.verification import judge


def result(attacker, test, selection=None, saturated=True, kind="reconstruction"):
    """One attacker's result."""
    return {
        "attacker": attacker, "kind": kind, "test": test, "num_public": 50,
        "selection": test if selection is None else selection, "saturated": saturated,
    }  # fmt: skip


REFERENCES = {
    ("constant", "decoder", 0): result("decoder", 0.2),
    ("identity", "decoder", 0): result("decoder", 0.7),
    ("constant", "attribute", 0): result("attribute", 0.5, kind="attribute"),
    ("identity", "attribute", 0): result("attribute", 1.0, kind="attribute"),
}


def verdict(*results, references=REFERENCES):
    """The verdict on results of seed 0."""
    return judge(figures_of([(0, one) for one in results], references))


def test_the_worst_is_chosen_on_selection_and_reported_on_test() -> None:
    # Selection: decoder 0.5, attribute 0.4. Test, not looked at: decoder 0.3, attribute 0.6.
    found = verdict(
        result("decoder", test=0.35, selection=0.45),
        result("attribute", test=0.8, selection=0.7, kind="attribute"),
    )
    assert found.worst_attacker == "decoder"
    assert found.worst_selection == pytest.approx(0.5)
    assert found.worst_leakage == pytest.approx(0.3)
    assert found.by_attacker == pytest.approx({"decoder": 0.3, "attribute": 0.6})
    assert found.saturation_gap is None
    assert found.num_public == 50


def test_luck_on_few_images_does_not_choose_the_worst() -> None:
    # 0.6 ± 0.2 against 0.5 ± 0.02: what surely leaks more is the second.
    lucky = {**result("decoder", test=0.3, selection=0.5), "selection_error": 0.1}
    sure = {**result("attribute", test=0.74, selection=0.75, kind="attribute"),
            "selection_error": 0.01}  # fmt: skip
    found = verdict(lucky, sure)
    assert found.worst_attacker == "attribute"
    assert found.worst_selection == pytest.approx(0.5)
    assert found.worst_leakage == pytest.approx(0.48)


def test_the_error_shown_is_that_of_the_test_split_and_of_whoever_is_shown() -> None:
    decoder = {**result("decoder", test=0.3, selection=0.5), "test_error": 0.05}
    loop = {**result("in_loop", test=0.4, selection=0.3), "test_error": 0.01}
    # The decoder leaks most on selection; on test the in-loop adversary leaks more: 0.2 / 0.5.
    found = verdict(decoder, loop)
    assert found.worst_leakage == pytest.approx(0.4)
    assert found.worst_error == pytest.approx(0.01 / 0.5)
    assert verdict(decoder).worst_error == pytest.approx(0.05 / 0.5)
    assert verdict(result("decoder", test=0.3)).worst_error == 0.0, "an older study's"


def test_the_error_of_a_leakage_is_that_of_all_three_scores() -> None:
    references = dict(REFERENCES)
    for which, error in (("constant", 0.03), ("identity", 0.02)):
        key = (which, "decoder", 0)
        references[key] = {**references[key], "selection_error": error}
    one = {**result("decoder", test=0.3, selection=0.5), "selection_error": 0.04}
    (figure,) = figures_of([(0, one)], references)
    # Leakage 0.6 of a range of 0.5: √(0.04² + (0.4 · 0.03)² + (0.6 · 0.02)²) / 0.5.
    assert figure.selection_error == pytest.approx((0.0016 + 0.000144 + 0.000144) ** 0.5 / 0.5)


def test_the_in_loop_adversary_bounds_it_from_below() -> None:
    found = verdict(result("decoder", 0.3), result("in_loop", 0.45))
    assert found.worst_attacker == "in_loop"
    assert found.worst_leakage == pytest.approx(0.5)
    assert found.by_attacker["in_loop"] == pytest.approx(0.5)
    assert found.saturation_gap == pytest.approx(0.2 - 0.5)


def test_an_in_loop_adversary_that_only_the_test_split_favours_still_bounds() -> None:
    found = verdict(
        result("decoder", test=0.3, selection=0.45), result("in_loop", test=0.4, selection=0.35)
    )
    assert found.worst_attacker == "decoder"  # chosen on selection
    assert found.worst_leakage == found.by_attacker["in_loop"] > found.by_attacker["decoder"]


def test_the_gap_compares_reconstructions_with_a_reconstruction() -> None:
    found = verdict(
        result("decoder", 0.4), result("attribute", 1.0, kind="attribute"), result("in_loop", 0.3)
    )
    assert found.worst_leakage == 1.0
    assert found.saturation_gap == pytest.approx(0.4 - 0.2)


def test_an_unsaturated_attacker_marks_the_verdict() -> None:
    assert verdict(result("decoder", 0.4)).saturated
    assert not verdict(result("decoder", 0.4, saturated=False)).saturated


def test_of_several_seeds_the_one_that_leaks_most_on_selection_counts() -> None:
    references = {(w, a, s): v for (w, a, _), v in REFERENCES.items() for s in (0, 1)}
    results = [(0, result("decoder", 0.6, selection=0.3)), (1, result("decoder", 0.4, 0.5))]
    found = judge(figures_of(results, references))
    assert found.by_attacker["decoder"] == pytest.approx(0.4)
    assert found.worst_leakage == pytest.approx(0.4)


def test_an_attacker_that_learns_nothing_from_images_is_left_out_and_named() -> None:
    nothing = result("attribute", 0.5, kind="attribute")
    references = {**REFERENCES, ("identity", "attribute", 0): nothing}
    found = verdict(
        result("decoder", 0.3), result("attribute", 0.9, kind="attribute"), references=references
    )
    assert found.worst_attacker == "decoder"
    assert "attribute" not in found.by_attacker
    assert found.notes[0].startswith("attribute: the attacker reaches 0.500")


def test_without_any_measurable_attacker_there_is_no_verdict() -> None:
    references = {**REFERENCES, ("identity", "decoder", 0): result("decoder", 0.2)}
    with pytest.raises(ValueError, match="no attacker's leakage can be measured"):
        verdict(result("decoder", 0.3), references=references)


def test_a_score_that_is_not_finite_is_no_leakage() -> None:
    with pytest.raises(ValueError, match="finite"):
        verdict(result("decoder", float("nan")))


def test_an_attacker_is_set_against_the_best_of_its_kind() -> None:
    """A linear attacker reads little from pixels; its own ceiling would flatter the leakage."""
    references = {
        **REFERENCES,
        ("constant", "attribute_linear", 0): result("attribute_linear", 0.5, kind="attribute"),
        ("identity", "attribute_linear", 0): result("attribute_linear", 0.6, kind="attribute"),
    }
    found = verdict(
        result("decoder", 0.2),
        result("attribute_linear", 0.6, kind="attribute"),
        references=references,
    )
    assert found.by_attacker["attribute_linear"] == pytest.approx(0.1 / 0.5)


def test_who_infers_one_attribute_alone_has_a_ceiling_of_its_own() -> None:
    only = {
        **result("attribute-only-Hat", 0.75, kind="attribute"),
        "settings": {"only": "Hat"},
    }
    references = {
        **REFERENCES,
        ("constant", "attribute-only-Hat", 0): {**only, "test": 0.5, "selection": 0.5},
        ("identity", "attribute-only-Hat", 0): {**only, "test": 0.8, "selection": 0.8},
    }
    found = verdict(result("decoder", 0.2), only, references=references)
    assert found.by_attacker["attribute-only-Hat"] == pytest.approx(0.25 / 0.3)


def test_what_was_weakened_or_sees_more_is_shown_and_does_not_count() -> None:
    weak = {**result("decoder-data-0.1", 0.6), "counts": False, "saturated": False}
    white = {**result("optimisation", 0.7), "counts": False, "white_box": True}
    found = verdict(result("decoder", 0.3), weak, white)
    assert found.worst_attacker == "decoder"
    assert found.worst_leakage == pytest.approx(0.2)
    # Both on the scale of `decoder`: 0.2 to 0.7.
    assert found.by_attacker == pytest.approx(
        {"decoder": 0.2, "decoder-data-0.1": 0.8, "optimisation": 1.0}
    )
    assert found.saturated


def test_leakage_stays_between_nothing_and_everything() -> None:
    assert verdict(result("decoder", 0.05)).worst_leakage == 0.0
    assert verdict(result("decoder", 0.95)).worst_leakage == 1.0


def test_each_kind_has_its_worst_attacker_and_its_gap() -> None:
    """Floors 0.2 and 0.5, ceilings 0.7 and 1.0: both kinds span 0.5."""
    references = {
        **REFERENCES,
        ("constant", "decoder_strong", 0): result("decoder_strong", 0.2),
        ("identity", "decoder_strong", 0): result("decoder_strong", 0.7),
    }
    found = verdict(
        # Selection: decoder 0.4, strong 0.5. Test: decoder 0.6, strong 0.3.
        result("decoder", test=0.5, selection=0.4),
        result("decoder_strong", test=0.35, selection=0.45),
        result("attribute", test=0.8, selection=0.75, kind="attribute"),  # 0.6 and 0.5
        result("in_loop", test=0.25),  # 0.1
        result("in_loop_attribute", test=0.55, kind="attribute"),  # 0.1
        references=references,
    )
    assert found.by_kind == pytest.approx({"reconstruction": 0.3, "attribute": 0.6})
    assert found.gaps == pytest.approx({"reconstruction": 0.3 - 0.1, "attribute": 0.6 - 0.1})
    assert found.saturation_gap == pytest.approx(0.5)
    assert found.by_attacker["in_loop_attribute"] == pytest.approx(0.1)


def test_a_kind_without_an_in_loop_adversary_has_no_gap() -> None:
    found = verdict(
        result("decoder", 0.4),
        result("attribute", 0.9, kind="attribute"),
        result("in_loop_attribute", 0.6, kind="attribute"),
    )
    assert found.by_kind == pytest.approx({"reconstruction": 0.4, "attribute": 0.8})
    assert found.gaps == pytest.approx({"attribute": 0.8 - 0.2})
    assert verdict(result("decoder", 0.4)).gaps == {}


def test_an_in_loop_classifier_bounds_the_leakage_too() -> None:
    """Test: decoder 0.2, in-loop decoder 0.3, in-loop classifier 0.6; chosen on selection: 0.5."""
    found = verdict(
        result("decoder", test=0.3, selection=0.45),
        result("in_loop", test=0.35, selection=0.3),
        result("in_loop_attribute", test=0.8, selection=0.6, kind="attribute"),
    )
    assert found.worst_attacker == "decoder"
    assert found.worst_leakage == pytest.approx(0.6)
    # Nothing retrained of that kind: its references are the attribute attacker's all the same.
    assert found.by_kind.keys() == {"reconstruction"}
    assert found.gaps.keys() == {"reconstruction"}


def test_in_loop_adversaries_alone_are_no_verification() -> None:
    both = (result("in_loop", 0.3), result("in_loop_attribute", 0.6, kind="attribute"))
    with pytest.raises(ValueError, match="no attacker's leakage"):
        verdict(*both)


def test_an_in_loop_classifier_without_references_of_its_kind_is_named() -> None:
    references = {key: value for key, value in REFERENCES.items() if key[1] == "decoder"}
    found = verdict(
        result("decoder", 0.4),
        result("in_loop_attribute", 0.6, kind="attribute"),
        references=references,
    )
    assert found.worst_leakage == pytest.approx(0.4)
    assert found.notes[0].startswith("in_loop_attribute: ")


def test_only_retrained_attackers_must_saturate() -> None:
    classifier = result("in_loop_attribute", 0.6, kind="attribute", saturated=False)
    assert verdict(result("decoder", 0.4), classifier).saturated


def test_floors_and_ceilings_of_test_have_no_part_in_the_choice() -> None:
    # On test the attribute cannot be told from the image itself: its choice stands all the same.
    references = dict(REFERENCES)
    references["identity", "attribute", 0] = {
        **REFERENCES["identity", "attribute", 0], "selection": 1.0, "test": 0.51,
    }  # fmt: skip
    results = (
        result("decoder", test=0.3, selection=0.3),
        result("attribute", test=0.52, selection=0.9, kind="attribute"),
    )
    found, plain = verdict(*results, references=references), verdict(*results)
    assert found.worst_attacker == plain.worst_attacker == "attribute"
    assert found.worst_selection == plain.worst_selection == pytest.approx(0.8)
    # Of a range that is no range the least that counts: 0.02 of 0.05.
    assert found.worst_leakage == pytest.approx(0.4)
    assert plain.worst_leakage == pytest.approx(0.04)


def of_attributes(attacker, **scores):
    """A result of several private attributes, (selection, test) of each."""
    named = {
        name: {"selection": chosen, "selection_error": 0.01, "test": told}
        for name, (chosen, told) in scores.items()
    }
    mean = [sum(values) / len(scores) for values in zip(*scores.values(), strict=True)]
    one = result(attacker, test=mean[1], selection=mean[0], kind="attribute")
    return {**one, "by_attribute": named}


def test_one_attribute_laid_open_is_not_hidden_by_four_that_are_not() -> None:
    names = ("A", "B", "C", "D", "E")
    references = {
        ("constant", "attribute", 0): of_attributes(
            "attribute", **dict.fromkeys(names, (0.5, 0.5))
        ),
        ("identity", "attribute", 0): of_attributes(
            "attribute", **dict.fromkeys(names, (0.9, 0.9))
        ),
    }
    hidden = dict.fromkeys(names[1:], (0.5, 0.5))
    found = verdict(of_attributes("attribute", A=(0.9, 0.86), **hidden), references=references)
    assert found.worst_leakage == pytest.approx(0.9)
    (figure,) = found.figures
    assert figure.attribute == "A"
    assert figure.by_attribute == pytest.approx({"A": 0.9, "B": 0, "C": 0, "D": 0, "E": 0})
    assert (figure.floor, figure.ceiling) == (0.5, 0.9)  # of the mean, as the score is


def test_an_attribute_that_nobody_can_tell_is_named_and_the_others_stand() -> None:
    references = {
        ("constant", "attribute", 0): of_attributes("attribute", A=(0.5, 0.5), B=(0.5, 0.5)),
        ("identity", "attribute", 0): of_attributes("attribute", A=(0.9, 0.9), B=(0.52, 0.52)),
    }
    found = verdict(of_attributes("attribute", A=(0.7, 0.7), B=(0.5, 0.5)), references=references)
    assert found.worst_leakage == pytest.approx(0.5)
    assert any("attribute (B)" in note for note in found.notes)


def test_an_attributes_ceiling_is_the_best_of_all_who_infer_it() -> None:
    alone = result("attribute-only-A", test=1.0, selection=1.0, kind="attribute")
    alone |= {
        "settings": {"only": "A"},
        "by_attribute": {"A": {"selection": 1.0, "selection_error": 0.0, "test": 1.0}},
    }
    references = {
        ("constant", "attribute", 0): of_attributes("attribute", A=(0.5, 0.5), B=(0.5, 0.5)),
        ("identity", "attribute", 0): of_attributes("attribute", A=(0.8, 0.8), B=(0.8, 0.8)),
        ("identity", "attribute-only-A", 0): alone,
    }
    found = verdict(of_attributes("attribute", A=(0.8, 0.8), B=(0.65, 0.65)), references=references)
    (figure,) = found.figures
    assert figure.by_attribute == pytest.approx({"A": 0.6, "B": 0.5})
