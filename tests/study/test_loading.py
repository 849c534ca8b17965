"""Recipes and overrides: what is fixed, what is searched, and what every mistake is told."""

from pathlib import Path

import pytest
import yaml

from search_spaces import CUT_POINT, Choice, Float
from study.config import changed_fields
from study.loading import list_recipes, load_config
from trainables.errors import ConfigError
from trainables.protectors.baselines import BlurConfig
from trainables.protectors.label_flip import LabelFlipConfig

SMALL = str(Path(__file__).parent / "small.yaml")


def test_the_recipes_are_there_and_described() -> None:
    recipes = list_recipes()
    assert {"quickstart", "celeba"} <= recipes.keys()
    assert all(len(line) > 20 for line in recipes.values())


DRAWN = {"quickstart", "strength"}
"""Recipes on avatars: they need no data."""


@pytest.mark.parametrize("recipe", sorted(DRAWN))
def test_a_recipe_on_avatars_needs_nothing(recipe: str) -> None:
    assert load_config(recipe).study.name == recipe


@pytest.mark.parametrize("recipe", sorted(list_recipes().keys() - DRAWN))
def test_every_recipe_needs_nothing_but_its_images(recipe: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.root=FOLDER"):
        load_config(recipe)
    config = load_config(recipe, [f"data.root={tmp_path}"])
    assert config.study.name == recipe
    assert config.left_out == {}
    counted = len(config.study.baselines) - ("labels" in config.study.baselines)
    assert config.study.num_encoders > counted + len(config.undefended_cut_points()) - 1


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        # Section 4 of Pittaluga; sections 3 and 4 of DeepObfuscator; section 4 of Xiao.
        ("pittaluga-scenes-paper", {
            "name": "label_flip", "batch_size": 128, "warmup": 5000, "rounds": 860_000,
            "alpha": 2**-4, "encoder_lr": 1e-4, "encoder_lr_decay": 0.1, "encoder_lr_stages": 4,
            "adversary_lr": 1e-4, "adversary_steps": 1, "normalisation": "per_location",
        }),
        ("deepobfuscator-faces-paper", {
            "name": "obfuscator", "batch_size": 64, "lambda1": 1, "lambda2": 1,
            "adversary_steps": 1, "defend_reconstruction": True, "defend_attributes": True,
        }),
        ("xiao-faces-paper", {"name": "reconstruction", "lambda1": 1, "lambda2": 0, "mu1": 0}),
    ],
)  # fmt: skip
def test_the_papers_settings_are_the_papers(recipe, expected, tmp_path: Path) -> None:
    config = load_config(recipe, [f"data.root={tmp_path}"])
    settings = config.protector.model_dump()
    assert {name: settings[name] for name in expected} == expected
    assert config.space.searched() == (
        ["protector.privacy_loss"] if settings["name"] == "label_flip" else []
    )


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
    assert config.left_out.keys() == {"avgpool", "fc"}
    assert "multiples of 32 pixels, got 48x48" in config.left_out["fc"]
    assert config.space.cut_points() == ("conv1", "conv2", "conv3", "conv4")
    assert config.undefended_cut_points() == ("conv4",)


@pytest.mark.parametrize(
    ("backbone", "size", "choices", "default"),
    [
        ("resnet50", 32, ("conv1", "conv2", "conv3", "conv4", "avgpool", "fc"), "conv4"),
        ("vgg16", 32, ("pool1", "pool2", "pool3", "pool4", "pool5"), "pool2"),
        ("vgg16", 40, ("pool1", "pool2", "pool3"), "pool2"),
        ("scene", 40, ("code",), "code"),
    ],
)
def test_every_backbone_has_its_own_cut_points(tmp_path, backbone, size, choices, default) -> None:
    recipe = tmp_path / "free.yaml"
    recipe.write_text(f"data: {{image_size: {size}}}\nmodel: {{backbone: {backbone}}}\n")
    config = load_config(str(recipe))
    assert config.space.cut_points() == config.cut_points == choices
    assert config.model.cut_point == default
    assert config.undefended_cut_points() == (default,)
    assert load_config(str(recipe), [f"model.cut_point={choices[0]}"]).cut_points == choices[:1]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["model.backbone=vgg16"], "model.cut_point: vgg16 can be cut at pool1, pool2"),
        (["model.backbone=vgg16", "model.cut_point=pool4", "data.image_size=40"],
         "images of this size fit pool1, pool2, pool3"),
        (["model.backbone=scene", "model.cut_point=code", "data.image_size=36"],
         "data.image_size: 36x36 fits no cut point of scene"),
        (["model.cut_point=code"], "model.cut_point: resnet18 can be cut at conv1"),
    ],
)  # fmt: skip
def test_a_cut_that_the_backbone_or_the_size_lacks_is_refused(words, expected) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(SMALL, words)
    assert expected in str(caught.value)


def test_a_cut_that_a_protector_forbids_is_left_out_and_named(tmp_path, monkeypatch) -> None:
    def check_fits(self, model, height, width, num_private) -> None:
        if model.cut_point == "conv3":
            raise ValueError("label_flip does not go with conv3")

    monkeypatch.setattr(LabelFlipConfig, "check_fits", check_fits)
    recipe = tmp_path / "free.yaml"
    recipe.write_text("protector: {name: [none, label_flip]}\n")
    config = load_config(str(recipe))
    assert config.left_out == {"conv3": "label_flip does not go with conv3"}
    for space in config.spaces.values():
        assert space.cut_points() == ("conv1", "conv2", "conv4", "avgpool", "fc")
    with pytest.raises(ConfigError, match=r"protector\.name: label_flip does not go with conv3"):
        load_config(str(recipe), ["model.cut_point=[conv3, conv4]"])


def test_a_baseline_that_cannot_be_is_refused(monkeypatch) -> None:
    def check_fits(self, model, height, width, num_private) -> None:
        raise ValueError("too small to blur")

    monkeypatch.setattr(BlurConfig, "check_fits", check_fits)
    load_config(SMALL)
    with pytest.raises(ConfigError, match=r"study\.baselines: too small to blur"):
        load_config(SMALL, ["study.baselines=[labels, blur]"])


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
        ("report.reconstructions=-1", ["report.reconstructions", "-1", "greater than"]),
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


def test_a_field_that_an_older_version_lacked_was_at_its_default() -> None:
    new = load_config(SMALL).resolved()
    old = yaml.safe_load(yaml.safe_dump(new))
    del old["data"]["categories"], old["protector"]["saturating"]
    assert changed_fields(old, new) == []
    new["protector"]["saturating"] = False
    new["data"]["categories"] = ["a", "b"]
    assert changed_fields(old, new) == ["data.categories", "protector.saturating"]
    # What is gone now has changed, whatever it was.
    old["protector"]["gone"] = 1
    assert "protector.gone" in changed_fields(old, new)


def test_only_scale_may_change_on_resume() -> None:
    old = yaml.safe_load(load_config(SMALL).to_yaml())
    bigger = ["study.num_encoders=99", "study.max_concurrent=7", "resources.cpus_per_attack=2"]
    bigger.append("report.reconstructions=0")
    assert changed_fields(old, load_config(SMALL, bigger).resolved()) == []
    other = load_config(SMALL, ["study.seed=1", "protector.lambda1=3"])
    assert changed_fields(old, other.resolved()) == ["protector.lambda1", "study.seed"]


def test_a_suite_in_which_nobody_counts_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="of decoder-data-0.1 none is a black-box attacker at its"
    ):
        load_config("quickstart", ["attack.suite=[decoder-data-0.1]"])


def test_what_is_left_out_is_said() -> None:
    remarks = load_config("quickstart", ["attack.suite=standard"]).remarks()
    assert [line.split(":")[0] for line in remarks] == [
        "attacker feature is left out",
        "attacker reidentify is left out",
    ]
    assert load_config("quickstart").remarks() == []
