"""Recipes of the papers' experiments: layers, words, and that the tables find their figures."""

import re
from pathlib import Path

import pytest

from analysis.claims import claims
from analysis.contrasts import Cell
from analysis.paper_tables import paper_tables
from trainables.attackers.in_loop import IN_LOOP_NAMES
from trainables.errors import ConfigError
from trainables.experiments.config import Experiment, load_experiment
from trainables.experiments.recipe import SIZES, list_experiments
from trainables.protectors.config import ProtectorConfig
from trainables.protectors.obfuscator import ObfuscatorConfig

NEEDS = {"tiny": [], "small": ["data.root=."], "paper": ["data.root=."]}


def loaded(name: str, size: str, *words: str) -> Experiment:
    own = list(NEEDS[size])
    if size != "tiny" and name.startswith("xiao"):
        own.append("attack.identity_weights=weights.safetensors")
    return load_experiment(name, size, [*own, *words])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", list_experiments())
def test_every_recipe_is_whole_in_every_size(name: str, size: str) -> None:
    experiment = loaded(name, size)
    assert experiment.left_out == ()
    assert experiment.seeds == (1 if size == "tiny" else 3)
    for encoder in experiment.encoders:
        assert encoder.protector is None or encoder.protector.model_dump()["name"]


@pytest.mark.parametrize("size", SIZES)
def test_every_figure_of_a_claim_or_table_has_an_encoder_and_an_attacker(size: str) -> None:
    cells = {cell for claim in claims() for check in claim.checks for cell in check.cells}
    cells |= {entry.cell for table in paper_tables() for _, row in table.rows for entry in row}
    experiments = {name: loaded(name, size) for name in list_experiments()}
    assert {cell.recipe for cell in cells} == set(experiments)
    for cell in cells:
        assert cell.role in roles(experiments[cell.recipe], cell), cell


def roles(experiment: Experiment, cell: Cell) -> set[str]:
    (encoder,) = (one for one in experiment.encoders if one.name == cell.encoder)
    return {"", *encoder.attackers, *encoder.probes, *IN_LOOP_NAMES}


def test_layers_are_laid_one_over_the_other() -> None:
    experiment = loaded("xiao-table1", "small", "protector.rounds=7", "model.width=0.5")
    by_name = {encoder.name: encoder for encoder in experiment.encoders}
    plain, more = by_name["undefended"].protector, by_name["undefended-more"].protector
    assert plain is not None
    assert more is not None
    # The word over the size, the encoder's own over the recipe's.
    assert (plain.model_dump()["rounds"], plain.model_dump()["share"]) == (7, 0.5)
    assert more.model_dump()["share"] == 1.0
    assert plain.model_dump()["name"] == "none"
    assert "lambda1" not in plain.model_dump()
    assert by_name["defended"].model.width == 0.5
    assert by_name["defended-smiling"].data.utility == ("Smiling",)
    assert by_name["undefended-more"].attackers == {"weak": "decoder", "feature": "feature"}


def test_a_task_stands_for_an_attribute() -> None:
    experiment = loaded("pittaluga-table2", "small", "tasks.first=bedroom", "tasks.fourth=coast")
    one = {encoder.name: encoder for encoder in experiment.encoders}["inhibit-first"]
    assert one.data.private == ("bedroom",)
    assert one.probes["probe/first"] == "attribute-only-bedroom"
    assert one.probed is not None
    assert one.probed.private == ("bedroom", "forest", "street", "coast", "kitchen", "highway")


@pytest.mark.parametrize(
    ("name", "size", "words", "told"),
    [
        ("xiao-table9", "tiny", [], "xiao-table1"),
        ("xiao-table1", "huge", [], "tiny, small, paper"),
        ("xiao-table1", "tiny", ["rounds=3"], "part.field=value"),
        ("xiao-table1", "tiny", ["protector.rouns=3"], "rouns"),
        ("xiao-table1", "tiny", ["protector.rounds=none"], "protector.rounds"),
        ("xiao-table1", "tiny", ["seeds=0"], "seeds"),
        ("xiao-table1", "tiny", ["protector.rounds=[1"], "YAML"),
        ("pittaluga-table1", "tiny", ["protector.privacy_loss=flap"], "privacy_loss"),
        ("pittaluga-table1", "tiny", ["tasks.frist=Beard"], "did you mean 'first'"),
        ("xiao-table1", "tiny", ["tasks.first=Hat"], "unknown task 'first'"),
        # One encoder would stand under all names.
        ("xiao-table2", "tiny", ["protector.lambda2=3"], "lambda2-0 and lambda2-1 would be"),
        ("xiao-table3", "tiny", ["model.cut_point=conv2"], "the same encoder"),
        ("pittaluga-table1", "tiny", ["protector.privacy_loss=flip"], "the same encoder"),
        ("pittaluga-table1", "tiny", ["protector.privacy_loss=gan"], "flip-first and gan-first"),
        ("pittaluga-table2", "tiny", ["protector.alpha=0"], "inhibit-second and promote-first"),
        ("xiao-table1", "tiny", ["data.utility=all"], "the same encoder"),
        ("xiao-table1", "tiny", ["protector.share=1"], "the same encoder"),
        ("deepobfuscator-table3", "tiny", ["protector.name=none"], "defended and undefended"),
        ("deepobfuscator-figure7", "tiny", ["tasks.smile=Eyeglasses"], "a and b would be"),
        ("xiao-table1", "small", [], "data.root"),
    ],
)
def test_what_cannot_be_meant_is_refused(name: str, size: str, words: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        load_experiment(name, size, words)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("table", ["table3", "table4", "figure7", "one-defence"])
def test_baselines_learn_the_intended_task_as_long_as_the_obfuscator(size: str, table: str) -> None:
    updates = set()
    for one in loaded(f"deepobfuscator-{table}", size).encoders:
        protector = one.protector
        if protector is None:  # of a constant code
            continue
        assert isinstance(protector, ProtectorConfig)
        if not isinstance(protector, ObfuscatorConfig):
            updates.add(protector.rounds)
        elif protector.defend_reconstruction and protector.defend_attributes:
            updates.add(protector.joint_rounds + 2 * protector.rounds)
    assert len(updates) == 1


def test_a_word_stands_above_what_a_recipe_says_of_one_method() -> None:
    own = loaded("deepobfuscator-table4", "small", "protector.rounds=70").encoders
    assert [one.protector.model_dump()["rounds"] for one in own if one.protector] == [70] * 3


def test_a_word_for_what_one_encoder_alone_has_is_taken() -> None:
    own = loaded("deepobfuscator-table4", "small", "protector.sigma=0.3").encoders
    sigmas = {one.name: getattr(one.protector, "sigma", None) for one in own}
    assert sigmas == {"defended": None, "undefended": None, "noise": 0.3, "constant": None}


def test_at_paper_size_images_are_attacked_at_their_own_rate() -> None:
    rates = {one.name: one.attack.lr for one in loaded("pittaluga-table2", "paper").encoders}
    assert rates.pop("identity") == 1e-4
    assert set(rates.values()) == {1e-5}


def test_recipes_name_no_place_of_a_machine() -> None:
    for path in Path("trainables/experiments/recipes").glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        assert "root:" not in text
        assert "weights:" not in text


@pytest.mark.parametrize("size", SIZES)
def test_what_a_recipe_says_stands_above_its_base_s_size(size: str) -> None:
    # Section 4.2 of Pittaluga has the constraint on the variance alone; its other tables weigh.
    def alphas(name: str) -> set[float]:
        protectors = [encoder.protector for encoder in loaded(name, size).encoders]
        return {one.alpha for one in protectors if hasattr(one, "alpha")}

    assert alphas("pittaluga-collapse") == {0.0}
    assert alphas("pittaluga-table1") == {0.0625 if size == "paper" else 0.25}
