"""Search spaces: searched names are settings, and what a user gives replaces proposals."""

import optuna
import pytest

import search_spaces
from search_spaces import CUT_POINT, SPACES, Choice, Float
from trainables.nets.config import CUT_POINTS, DEFAULT_CUTS, ModelConfig
from trainables.protectors import PROTECTORS

SAMPLERS = {
    "tpe": lambda: optuna.samplers.TPESampler(seed=0, n_startup_trials=2, multivariate=True),
    "nsga2": lambda: optuna.samplers.NSGAIISampler(seed=0, population_size=4),
    "gp": lambda: optuna.samplers.GPSampler(seed=0, n_startup_trials=2),
    "random": lambda: optuna.samplers.RandomSampler(seed=0),
}


def test_every_protector_has_a_space() -> None:
    assert SPACES.keys() == PROTECTORS.keys()


@pytest.mark.parametrize("name", SPACES)
def test_every_searched_name_is_a_setting_and_every_end_is_valid(name: str) -> None:
    models = {"model": ModelConfig, "protector": PROTECTORS[name].config}
    for dotted, domain in SPACES[name].domains.items():
        part, field = dotted.split(".")
        assert field in models[part].model_fields, dotted
        if dotted == CUT_POINT:
            continue
        for value in [*domain.ends(), SPACES[name].default[dotted]]:
            assert getattr(models[part](**{field: value}), field) == value


@pytest.mark.parametrize("name", SPACES)
def test_defaults_are_for_exactly_the_searched_names(name: str) -> None:
    space = SPACES[name]
    assert space.default.keys() == space.domains.keys()
    assert space.only_at.keys() <= space.domains.keys()
    assert space.below.keys() <= space.domains.keys()
    assert space.has_cut == (name not in ("identity", "blur", "noise"))


def test_the_cut_points_are_those_of_the_backbones() -> None:
    every = tuple(dict.fromkeys(cut for cuts in CUT_POINTS.values() for cut in cuts))
    assert search_spaces.CUT_POINTS.values == every


def test_no_setting_is_called_like_a_protector() -> None:
    """Under `protector` a protector's name opens a mapping of its own."""
    for entry in PROTECTORS.values():
        assert not entry.config.model_fields.keys() & PROTECTORS.keys()


@pytest.mark.parametrize("backbone", CUT_POINTS)
@pytest.mark.parametrize("name", SPACES)
def test_the_first_cut_suits_every_backbone(name: str, backbone: str) -> None:
    space = SPACES[name].resolve({}, CUT_POINTS[backbone])
    expected = {"resnet18": "conv4", "resnet50": "conv4", "vgg16": "pool2", "scene": "code"}
    point = space.default_point()
    assert point.get(CUT_POINT) == (expected[backbone] if SPACES[name].has_cut else None)
    if backbone in ("vgg16", "scene"):
        assert expected[backbone] == DEFAULT_CUTS[backbone]
    shallow = SPACES[name].resolve({}, CUT_POINTS[backbone][:1])
    assert shallow.default_point().get(CUT_POINT) in (None, CUT_POINTS[backbone][0])


@pytest.mark.parametrize(
    ("rounds", "kept"), [(300, (0, 50, 100)), (100, (0, 50)), (20, (0,)), (50, (0,))]
)
def test_a_warm_up_always_ends(rounds: int, kept: tuple[int, ...]) -> None:
    """λ1 and λ2 count after it: one as long as training would be no defence at all."""
    space = SPACES["reconstruction"].resolve({}, ("conv3",), {"protector.rounds": rounds})
    assert space.domains["protector.warmup"] == Choice(kept)


def test_nothing_is_asked_where_there_is_one_answer() -> None:
    for name in ("identity", "blur"):
        assert SPACES[name].resolve({}, ("conv4",)).default_parameters() == {}
    space = SPACES["label_flip"].resolve({}, ("conv4",))
    asked = {"privacy_loss", "normalisation"} & {x.split(".")[1] for x in space.searched()}
    assert not asked
    assert "protector.privacy_loss" in space.domains


def test_a_fixed_value_is_not_searched() -> None:
    space = SPACES["reconstruction"].resolve({"protector.lambda1": 2.0}, ("conv3",))
    assert "protector.lambda1" not in space.domains
    assert space.default_point()["protector.lambda1"] == 2.0
    assert "protector.lambda1" not in space.default_parameters()


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"not searched: protector\.rounds"):
        SPACES["reconstruction"].resolve({"protector.rounds": 3}, ("conv3",))


def test_code_width_is_proposed_at_the_fc_cut_only() -> None:
    space = SPACES["reconstruction"].resolve({}, ("conv4", "fc"))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    points = [space.suggest(study.ask()) for _ in range(30)]
    assert {point[CUT_POINT] for point in points} == {"conv4", "fc"}
    for point in points:
        assert ("model.code_width" in point) == (point[CUT_POINT] == "fc")
    shallow = SPACES["reconstruction"].resolve({}, ("conv3", "conv4"))
    assert "model.code_width" not in shallow.domains


def test_the_default_point_is_the_briefed_one_and_fits_what_is_given() -> None:
    cut_points = CUT_POINTS["resnet18"]
    point = SPACES["reconstruction"].resolve({}, cut_points).default_point()
    assert point == {
        CUT_POINT: "conv4",
        "protector.lambda1": 1.0,
        "protector.lambda2": 0.0,
        "protector.mu1": 0.0,
        "protector.mu2": 0.0,
        "protector.encoder_lr": 3e-3,
        "protector.encoder_lr_decay": 0.01,
        "protector.adversary_steps": 3,
        "protector.adversary_lr": 3e-3,
        "protector.warmup": 0,
    }
    given = {"protector.lambda1": Float(5.0, 9.0), "protector.adversary_steps": Choice((1, 2))}
    point = SPACES["reconstruction"].resolve(given, ("conv1",)).default_point()
    assert point["protector.lambda1"] == 5.0
    assert point["protector.adversary_steps"] == 2
    assert point[CUT_POINT] == "conv1"


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_handles_the_conditional_space(sampler: str) -> None:
    space = SPACES["reconstruction"].resolve({}, ("conv3", "conv4", "fc"))
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=SAMPLERS[sampler]())
    for index in range(6):
        trial = study.ask()
        point = space.suggest(trial)
        assert 0.1 <= point["protector.lambda1"] <= 30
        study.tell(trial, [index / 10, 1 - index / 10])


def test_a_weight_is_asked_for_only_where_its_defence_is_on() -> None:
    space = SPACES["obfuscator"]
    switch, weight = "protector.defend_attributes", "protector.lambda1"
    off = space.resolve({switch: False}, ("pool2",))
    assert weight not in off.domains
    assert "protector.lambda2" in off.domains
    both = space.resolve({switch: Choice((True, False))}, ("pool2",))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    points = [both.suggest(study.ask()) for _ in range(30)]
    assert {point[switch] for point in points} == {True, False}
    assert all((weight in point) == point[switch] for point in points)
    assert list(space.domains).index(switch) < list(space.domains).index(weight)
