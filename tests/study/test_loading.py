"""Recipes and overrides: what is fixed, what is searched, and what every mistake is told."""

from pathlib import Path

import pytest
import yaml

from search_spaces import CUT_POINT, Choice, Float
from study.config import changed_fields
from study.errors import ConfigError
from study.loading import list_recipes, load_config

SMALL = str(Path(__file__).parent / "small.yaml")


def test_the_recipes_are_there_and_described() -> None:
    recipes = list_recipes()
    assert {"quickstart", "celeba"} <= recipes.keys()
    assert all(len(line) > 20 for line in recipes.values())


def test_a_recipe_searches_what_it_does_not_fix() -> None:
    config = load_config(SMALL)
    assert config.study.name == "small"
    assert config.space.domains[CUT_POINT] == Choice(("conv3", "conv4"))
    assert config.space.domains["protector.lambda1"] == Float(0.1, 30.0, log=True)
    assert config.space.fixed["protector.mu1"] == 0.0
    assert config.listed_cut_points == ("conv3", "conv4")


def test_a_word_fixes_a_value_and_lists_and_ranges_replace_the_space() -> None:
    config = load_config(
        SMALL,
        [
            "protector.lambda1=2e0",
            "protector.adversary_steps=[1, 3]",
            "protector.encoder_lr={low: 1e-3, high: 2e-3}",
        ],
    )
    assert config.space.fixed["protector.lambda1"] == 2.0
    assert config.space.domains["protector.adversary_steps"] == Choice((1, 3))
    assert config.space.domains["protector.encoder_lr"] == Float(1e-3, 2e-3, log=True)
    assert config.at(config.space.default_point())[1].model_dump()["lambda1"] == 2.0


def test_cut_points_that_do_not_fit_are_left_out_and_named(tmp_path: Path) -> None:
    recipe = tmp_path / "free.yaml"
    recipe.write_text("data: {image_size: 48}\nprotector: {name: reconstruction}\n")
    config = load_config(str(recipe))
    assert config.study.name == "free"
    assert config.left_out == ("avgpool", "fc")
    assert config.space.cut_points() == ("conv1", "conv2", "conv3", "conv4")
    assert config.undefended_cut_points() == ("conv4",)


def test_the_resolved_configuration_is_the_same_study_again(tmp_path: Path) -> None:
    config = load_config(SMALL, ["protector.lambda2={low: 0.1, high: 1, or_zero: true}"])
    path = tmp_path / "again.yaml"
    path.write_text(config.to_yaml())
    again = load_config(str(path))
    assert again.resolved() == config.resolved()
    assert again.space == config.space


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("stdy.name=x", ["unknown part", "did you mean 'study'"]),
        ("study.nam=x", ["unknown key", "did you mean 'name'"]),
        ("protector.lamda1=1", ["unknown key", "did you mean 'lambda1'"]),
        ("study.num_encoders", ["part.field=value"]),
        ("=3", ["part.field=value"]),
        ("data.private=[a", ["data.private", "YAML"]),
        ("study.name=../up", ["study.name", "'../up'"]),
        ("study.num_encoders=0", ["study.num_encoders", "greater than or equal to 1", "0"]),
        ("study.sampler=bayes", ["study.sampler", "'tpe'", "'bayes'"]),
        ("study.utility_floor=2", ["study.utility_floor", "2"]),
        ("model.cut_point=conv9", ["model.cut_point", "'conv9'", "'conv4'"]),
        ("model.cut_point=[conv3, conv9]", ["model.cut_point", "'conv9'"]),
        ("model.cut_point=[]", ["model.cut_point", "at least one"]),
        ("data.image_size=36", ["conv3", "multiples of 8", "36x36"]),
        ("data.image_size=8", ["data.image_size", "16 pixels"]),
        ("data.image_size=small", ["data.image_size", "'small'"]),
        ("data.source=imagenet", ["data.source", "'celeba'", "'imagenet'"]),
        ("data.utility=[Smiling]", ["Smiling", "both utility and private"]),
        ("protector.name=recnstruction", ["did you mean 'reconstruction'"]),
        ("protector.lambda1=-1", ["protector.lambda1", "-1"]),
        ("protector.lambda1={low: -1, high: 2}", ["protector.lambda1", "-1"]),
        ("protector.lambda1={low: 3, high: 2}", ["protector.lambda1", "low=3"]),
        ("protector.rounds=[10, 20]", ["protector.rounds", "[10, 20]"]),
        ("protector.rounds=1.5", ["protector.rounds", "1.5"]),
        ("attack.suite=quik", ["did you mean 'quick'"]),
        ("attack.suite=[decoder, decodr]", ["did you mean 'decoder'"]),
        ("resources.precision=fp8", ["resources.precision", "'fp32'"]),
        ("resources.cpus_per_attack=0", ["resources.cpus_per_attack", "0"]),
    ],
)
def test_every_mistake_is_named_with_its_value_and_what_is_allowed(word, words) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(SMALL, [word])
    for expected in words:
        assert expected in str(caught.value)


def test_an_unknown_recipe_gets_the_closest_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'quickstart'"):
        load_config("quickstrt")
    with pytest.raises(ConfigError, match="no file"):
        load_config("somewhere/else.yaml")


def test_celeba_asks_for_its_folder() -> None:
    with pytest.raises(ConfigError, match=r"data\.root=FOLDER"):
        load_config("celeba")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- 1\n", "mapping of parts"),
        ("study: 3\n", "study: must be a mapping"),
        ("stdy: {}\n", "did you mean 'study'"),
        ("study: {name: [\n", "not readable as YAML"),
        ("study: !!python/object/apply:os.getcwd []\n", "not readable as YAML"),
    ],
)
def test_a_recipe_that_is_none_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        load_config(str(path))


def test_only_scale_may_change_on_resume() -> None:
    old = yaml.safe_load(load_config(SMALL).to_yaml())
    bigger = ["study.num_encoders=99", "study.max_concurrent=7", "resources.cpus_per_attack=2"]
    assert changed_fields(old, load_config(SMALL, bigger).resolved()) == []
    other = load_config(SMALL, ["study.seed=1", "protector.lambda1=3"])
    assert changed_fields(old, other.resolved()) == ["protector.lambda1", "study.seed"]
