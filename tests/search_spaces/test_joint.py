"""Several protectors in one search: each has its parameters, the network's are shared."""

import optuna
import pytest

from search_spaces import CUT_POINT, PROTECTOR_NAME, SPACES, Choice, JointSpace
from tests.search_spaces.test_spaces import SAMPLERS

CUTS = ("conv3", "conv4", "fc")


def joint(*names: str) -> JointSpace:
    """The unrestricted search over some protectors."""
    return JointSpace({name: SPACES[name].resolve({}, CUTS) for name in names})


def test_one_protector_is_asked_for_as_if_alone() -> None:
    space = SPACES["reconstruction"].resolve({}, CUTS)
    alone = JointSpace({"reconstruction": space})
    (parameters,) = alone.default_parameters()
    assert parameters == space.default_parameters()
    assert alone.default_points() == [space.default_point()]
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trial = study.ask()
    point = alone.suggest(trial)
    assert PROTECTOR_NAME not in point
    assert "protector.lambda1" in trial.params
    assert JointSpace({"identity": SPACES["identity"].resolve({}, CUTS)}).default_parameters() == []


def test_every_protectors_default_point_is_enqueued_in_order() -> None:
    space = joint("obfuscator", "identity", "label_flip")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for parameters in space.default_parameters():
        study.enqueue_trial(parameters, skip_if_exists=True)
    points = [space.suggest(study.ask()) for _ in range(3)]
    assert points == space.default_points()
    assert [point[PROTECTOR_NAME] for point in points] == ["obfuscator", "identity", "label_flip"]
    assert points[0]["protector.lambda2"] == 1.0
    assert points[1] == {PROTECTOR_NAME: "identity"}
    assert points[2]["protector.alpha"] == 0.5


def test_values_of_one_protector_are_no_evidence_about_another() -> None:
    space = joint("reconstruction", "obfuscator")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen: dict[str, set[str]] = {"reconstruction": set(), "obfuscator": set()}
    for _ in range(30):
        trial = study.ask()
        point = space.suggest(trial)
        seen[str(point[PROTECTOR_NAME])] |= trial.params.keys()
        assert not any("@" in name for name in point)
    assert seen["reconstruction"] & seen["obfuscator"] == {
        PROTECTOR_NAME, CUT_POINT, "model.code_width",
    }  # fmt: skip
    assert "protector.lambda1@obfuscator" in seen["obfuscator"]
    assert "protector.lambda1@reconstruction" in seen["reconstruction"]
    assert "protector.mu1.on" not in seen["reconstruction"]
    assert "protector.mu1@reconstruction.on" in seen["reconstruction"]


def test_what_is_not_cut_is_not_asked_for_a_cut() -> None:
    space = joint("noise", "blur", "identity", "none")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=2))
    for _ in range(30):
        trial = study.ask()
        point = space.suggest(trial)
        assert (CUT_POINT in point) == (CUT_POINT in trial.params)
        assert (CUT_POINT in point) == (point[PROTECTOR_NAME] == "none")


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_proposes_within_the_chosen_protectors_space(sampler: str) -> None:
    space = joint("reconstruction", "label_flip", "obfuscator", "noise")
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=SAMPLERS[sampler]())
    for parameters in space.default_parameters():
        study.enqueue_trial(parameters)
    drawn = []
    for index in range(30):
        trial = study.ask()
        point = space.suggest(trial)
        name = str(point.pop(PROTECTOR_NAME))
        drawn.append(name)
        own = SPACES[name]
        assert point.keys() <= own.domains.keys()
        assert ("model.code_width" in point) == (point.get(CUT_POINT) == "fc")
        for dotted, value in point.items():
            domain = own.domains[dotted]
            if isinstance(domain, Choice):
                assert value in domain.values
            else:
                assert value == 0 or domain.low <= value <= domain.high
        if index % 7 == 6:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, [index % 5 / 5, float(name != "label_flip")])
    assert drawn[:4] == ["reconstruction", "label_flip", "obfuscator", "noise"]
    assert len(set(drawn[4:])) > 1


def test_tpe_learns_the_values_of_the_protector_it_proposes() -> None:
    """Of `noise` the lesser deviation is better: it is found although others are tried too."""
    space = joint("label_flip", "noise")
    sampler = optuna.samplers.TPESampler(
        seed=0, n_startup_trials=8, multivariate=True, group=True, constant_liar=True
    )
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    sigmas = []
    for _ in range(40):
        trial = study.ask()
        point = space.suggest(trial)
        sigma = point.get("protector.sigma")
        if sigma is not None:
            sigmas.append(float(sigma))
        study.tell(trial, [0.5, 1.0 if sigma is None else float(sigma) / 3])
    assert len(sigmas) > 12
    late = sorted(sigmas[-8:])
    # A log-uniform draw from 0.03..3 has its median at 0.3.
    assert late[4] < 0.15
