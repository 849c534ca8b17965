"""Several protectors in one study: whose a value is, what is searched, and the study itself."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from optuna.trial import TrialState

from search_spaces import CUT_POINT, PROTECTOR_NAME, Choice, Float
from study.config import changed_fields, describe_change
from study.loading import load_config
from study.logged import encoder_metrics, encoder_params
from tests.study.test_search import Driver
from trainables.errors import ConfigError

SMALL = str(Path(__file__).parent / "small.yaml")
ALL = "protector.name=[reconstruction, label_flip, obfuscator]"
# MS-SSIM needs sides above 32 pixels.
SIZE = "data.image_size=48"


def config(*words: str) -> Any:
    """The tests' recipe with three protectors."""
    return load_config(SMALL, [SIZE, ALL, *words])


def values(study: Any, name: str) -> dict[str, Any]:
    """One protector's settings."""
    return study.protectors[name].model_dump()


def test_a_shared_key_is_for_all_that_have_it_and_an_own_one_beats_it() -> None:
    study = config(
        "protector.rounds=70", "protector.lambda1=2", "protector.obfuscator.lambda1=5",
        "protector.alpha=0.25", "protector.label_flip.rounds=90",
    )  # fmt: skip
    assert list(study.protectors) == ["reconstruction", "label_flip", "obfuscator"]
    assert study.protector_name == "reconstruction"
    rounds = {name: values(study, name)["rounds"] for name in study.protectors}
    assert rounds == {"reconstruction": 70, "label_flip": 90, "obfuscator": 70}
    assert values(study, "reconstruction")["lambda1"] == 2.0
    assert values(study, "obfuscator")["lambda1"] == 5.0
    assert values(study, "label_flip")["alpha"] == 0.25
    assert study.spaces["obfuscator"].fixed["protector.lambda1"] == 5.0
    assert study.spaces["label_flip"].fixed["protector.alpha"] == 0.25
    # What nobody gave is searched.
    assert study.spaces["obfuscator"].domains["protector.encoder_lr"] == Float(1e-4, 3e-3, log=True)


def test_the_order_of_words_makes_no_difference() -> None:
    words = ["protector.obfuscator.lambda1=5", "protector.lambda1=2", "protector.rounds=9"]
    assert config(*words).resolved() == config(*reversed(words)).resolved()


def test_choices_and_ranges_can_be_one_protectors_own() -> None:
    study = config(
        "protector.encoder_lr={low: 0.002, high: 0.004}",
        "protector.label_flip.encoder_lr=[0.001, 0.002]",
        "protector.privacy_loss=[flip, gan]",
    )
    rates = {name: space.domains["protector.encoder_lr"] for name, space in study.spaces.items()}
    assert rates == {
        "reconstruction": Float(0.002, 0.004, log=True),
        "label_flip": Choice((0.001, 0.002)),
        "obfuscator": Float(0.002, 0.004, log=True),
    }
    assert study.spaces["label_flip"].domains["protector.privacy_loss"] == Choice(("flip", "gan"))


def test_in_a_recipe_each_has_its_mapping_and_the_command_line_is_the_later_word(tmp_path) -> None:
    path = tmp_path / "three.yaml"
    parts = yaml.safe_load(Path(SMALL).read_text())
    parts["data"]["image_size"] = 48
    parts["protector"] = {
        "name": ["reconstruction", "obfuscator"], "rounds": 300,
        "obfuscator": {"lambda1": 2, "rounds": 200}, "reconstruction": None,
    }  # fmt: skip
    path.write_text(yaml.safe_dump(parts))
    study = load_config(str(path))
    assert values(study, "reconstruction")["rounds"] == 300
    assert values(study, "obfuscator")["rounds"] == 200
    assert values(study, "obfuscator")["lambda1"] == 2.0
    # A shared word is meant for all, an own one still beats it.
    study = load_config(str(path), ["protector.rounds=10"])
    assert {values(study, name)["rounds"] for name in study.protectors} == {10}
    study = load_config(str(path), ["protector.obfuscator.rounds=20", "protector.rounds=10"])
    assert values(study, "obfuscator")["rounds"] == 20
    # Another choice of protectors: what was meant for the others is left aside.
    study = load_config(str(path), ["protector.name=label_flip"])
    assert set(study.dropped) == {"protector.obfuscator", "protector.reconstruction"}
    assert values(study, "label_flip")["rounds"] == 300
    study = load_config(str(path), ["protector.name=[obfuscator]"])
    assert study.resolved()["protector"]["name"] == "obfuscator"
    assert values(study, "obfuscator")["rounds"] == 200


def test_a_recipes_weights_are_not_another_methods(tmp_path: Path) -> None:
    """The λ2 = 0 of the recipe's reconstruction would take half the obfuscator's defence away."""
    study = config("protector.obfuscator.lambda1=2")
    assert study.dropped == ()
    assert values(study, "reconstruction")["lambda2"] == 0.0
    assert study.spaces["reconstruction"].fixed["protector.lambda2"] == 0.0
    assert values(study, "obfuscator")["lambda2"] == 1.0
    assert study.spaces["obfuscator"].domains["protector.lambda2"] == Float(0.1, 10.0, log=True)
    # The loop's settings are anybody's.
    assert {values(study, name)["rounds"] for name in study.protectors} == {300}
    alone = load_config(SMALL, [SIZE, "protector.name=obfuscator"])
    assert set(alone.dropped) == {"protector.lambda2", "protector.mu1", "protector.mu2"}
    assert "not meant for obfuscator" in alone.remarks()[-1]
    assert "protector.lambda2" in alone.space.domains
    assert load_config(SMALL, [SIZE, "protector.name=labels"]).protector_name == "labels"


def test_the_resolved_configuration_is_the_same_study_again(tmp_path: Path) -> None:
    study = config(
        "protector.obfuscator.lambda1=2", "protector.privacy_loss=[flip, negative]",
        "study.baselines=[none, labels, noise]",
    )  # fmt: skip
    path = tmp_path / "again.yaml"
    path.write_text(study.to_yaml())
    again = load_config(str(path))
    assert again.resolved() == study.resolved()
    assert again.spaces == study.spaces
    assert again.protectors == study.protectors
    part = study.resolved()["protector"]
    assert list(part) == ["name", "reconstruction", "label_flip", "obfuscator"]
    assert part["name"] == ["reconstruction", "label_flip", "obfuscator"]
    assert part["obfuscator"]["lambda1"] == 2.0
    assert part["obfuscator"]["lambda2"] == {"low": 0.1, "high": 10.0, "log": True}


def test_one_protector_in_a_list_is_that_protector() -> None:
    plain = load_config(SMALL)
    listed = load_config(SMALL, ["protector.name=[reconstruction]"])
    assert listed.resolved() == plain.resolved()
    own = load_config(SMALL, ["protector.reconstruction.lambda1=3"])
    assert own.resolved() == load_config(SMALL, ["protector.lambda1=3"]).resolved()


def test_what_changed_is_named_by_its_owner() -> None:
    old = yaml.safe_load(config().to_yaml())
    new = config("protector.obfuscator.lambda1=2", "study.num_encoders=99").resolved()
    assert changed_fields(old, new) == ["protector.obfuscator.lambda1"]
    line = describe_change(old, new, "protector.obfuscator.lambda1")
    assert line.endswith("was {'low': 0.1, 'high': 10.0, 'log': True}, now 2.0")
    alone = load_config(SMALL, [SIZE]).resolved()
    assert "protector.name" in changed_fields(old, alone)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["protector.name=[]"], ["protector.name", "at least one", "[]"]),
        (["protector.name=[none, none]"], ["protector.name", "once", "none"]),
        (["protector.name=[none, obfuscatr]"], ["did you mean 'obfuscator'"]),
        ([ALL, "protector.lamda1=1"], ["'lamda1'", "did you mean 'lambda1'", "alpha"]),
        ([ALL, "protector.obfuscator.alpha=1"], ["'protector.obfuscator'", "'alpha'", "lambda1"]),
        ([ALL, "protector.obfuscator.name=x"], ["'protector.obfuscator'", "'name'"]),
        ([ALL, "protector.blur.kernel=1"], ["protector.blur", "not studied", "label_flip"]),
        ([ALL, "protector.obfuscator=3"], ["protector.obfuscator", "mapping", "3"]),
        ([ALL, "protector.lambda1=-1"], ["protector.reconstruction.lambda1", "-1"]),
        ([ALL, "protector.obfuscator.lambda1={low: 3, high: 2}"],
         ["protector.obfuscator.lambda1", "low=3"]),
        ([ALL, "protector.obfuscator.lambda2=[1, -1]"], ["protector.obfuscator.lambda2", "-1"]),
        ([ALL, "protector.rounds=[10, 20]"], ["protector.reconstruction.rounds", "[10, 20]"]),
        ([ALL, "data.image_size=32"], ["protector.name", "MS-SSIM", "32x32"]),
        ([ALL, "data.private=[]"], ["protector.name", "label_flip", "data.private"]),
        (["protector.name=label_flip", "data.private=[]"], ["protector.name", "data.private"]),
        (["protector.rounds=100", "protector.warmup=500"], ["below rounds (100)", "500"]),
        (["protector.rounds=100", "protector.warmup=[0, 100]"], ["below rounds (100)", "100"]),
        (["protector.name=obfuscator", "protector.defend_attributes=[true, false]",
          "protector.defend_reconstruction=[true, false]"],
         ["defend_reconstruction", "defend_attributes", "one must be true", "protector.name=none"]),
        ([ALL, "study.baselines=[blurr]"], ["study.baselines", "'blur'", "'blurr'"]),
    ],
)  # fmt: skip
def test_every_mistake_is_named(words: list[str], expected: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(SMALL, [SIZE, *words])
    for text in expected:
        assert text in str(caught.value)


def test_only_what_is_tried_must_be_possible() -> None:
    """At 32 pixels the obfuscator cannot defend reconstructions; without that it can be trained."""
    words = ["protector.name=obfuscator", "data.image_size=32"]
    with pytest.raises(ConfigError, match="MS-SSIM"):
        load_config(SMALL, words)
    off = "protector.defend_reconstruction"
    for value in ("false", "[false]"):
        load_config(SMALL, [*words, f"{off}={value}", "protector.lambda1=[1, 2]"])
    with pytest.raises(ConfigError, match="MS-SSIM"):
        load_config(SMALL, [*words, f"{off}=[true, false]"])


def test_the_settings_of_a_point_are_its_protectors(make_bench) -> None:
    bench = make_bench(SIZE, ALL)
    space = bench.config.spaces["obfuscator"]
    point = {PROTECTOR_NAME: "obfuscator", **space.default_point(), "protector.lambda2": 3.0}
    model, settings = bench.config.at(point)
    assert (settings.model_dump()["name"], settings.model_dump()["lambda2"]) == ("obfuscator", 3.0)
    assert model.cut_point == point[CUT_POINT] == "conv4"
    assert bench.jobs.searched(point).label == "obfuscator conv4 λ1=1 λ2=3"
    del point[PROTECTOR_NAME], point["protector.lambda2"]
    assert bench.config.at({})[1].model_dump()["name"] == "reconstruction"


def test_a_study_tries_each_protector_and_goes_on(make_bench) -> None:
    words = (SIZE, ALL, "study.baselines=[]", "study.num_encoders=7", "model.cut_point=conv3")
    bench = make_bench(*words)
    trained = [line for line in Driver(bench).run() if line.startswith("protect ")]
    assert trained[:3] == [
        "protect reconstruction conv3 λ1=1",
        "protect label_flip conv3 α=0.5",
        "protect obfuscator conv3 λ1=1 λ2=1",
    ]
    assert len(trained) == 7
    assert {trial.state for trial in bench.proposals.trials()} == {TrialState.COMPLETE}
    names = {trial.params[PROTECTOR_NAME] for trial in bench.proposals.trials()}
    assert names == {"reconstruction", "label_flip", "obfuscator"}
    by_name = {r.protect.config["protector"]["name"]: r for r in bench.search.records.values()}
    in_loop = {
        name: {f.attacker for f in record.verdict.figures if f.attacker.startswith("in_loop")}
        for name, record in by_name.items()
    }
    assert in_loop == {
        "reconstruction": {"in_loop"},
        "label_flip": {"in_loop_attribute"},
        "obfuscator": {"in_loop", "in_loop_attribute"},
    }
    metrics = encoder_metrics(by_name["obfuscator"])
    assert metrics["in_loop/attribute"] == 0.25
    # The fakes' in-loop adversaries go a twelfth of the way from floor to ceiling.
    for kind in ("reconstruction", "attribute"):
        gap = metrics[f"leakage/worst_{kind}"] - 1 / 12
        assert metrics[f"saturation_gap/{kind}"] == pytest.approx(gap)
    params = encoder_params(by_name["label_flip"], bench.config)
    assert params["privacy_loss"] == "flip"
    assert params["cut_point"] == "conv3"
    assert "alpha" in params
    assert "log10_alpha" in params
    assert "lambda1" not in params
    # The same study again has nothing to do, a longer one only what is more.
    assert Driver(make_bench(*words)).run() == []
    more = Driver(make_bench(*words, "study.num_encoders=8")).run()
    assert [line.split()[0] for line in more] == ["protect", "attack"]


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "gp", "random"])
def test_every_sampler_runs_a_study_of_several(make_bench, sampler: str) -> None:
    bench = make_bench(
        SIZE, "protector.name=[label_flip, noise, obfuscator]", "study.baselines=[]",
        f"study.sampler={sampler}", "study.num_encoders=10", "study.num_startup=4",
    )  # fmt: skip
    Driver(bench).run()
    assert [r.status for r in bench.search.records.values()] == ["verified"] * 10
    names = [trial.params[PROTECTOR_NAME] for trial in bench.proposals.trials()]
    assert names[:3] == ["label_flip", "noise", "obfuscator"]


def test_a_protector_that_is_not_cut_has_one_encoder_however_the_model_is_cut(make_bench) -> None:
    bench = make_bench(
        "protector.name=[identity, noise]", "study.baselines=[]", "study.num_encoders=4",
        "protector.sigma=[0.1, 0.3]",
    )  # fmt: skip
    Driver(bench).run()
    labels = [record.label for record in bench.search.records.values()]
    assert sorted(labels) == ["identity", "noise σ=0.1", "noise σ=0.3"]
    assert "exhausted" in bench.notes.named("warn")[0][0]
    for record in bench.search.records.values():
        assert record.protect.config["model"]["cut_point"] == "fc"
        params = encoder_params(record, bench.config)
        assert "cut_point" not in params
        assert "code_width" not in params
    noise = next(r for r in bench.search.records.values() if r.label == "noise σ=0.1")
    assert encoder_params(noise, bench.config)["sigma"] == 0.1
