"""`resources.precision=auto`: measured once, kept, and the same when a study goes on."""

import pytest
import yaml
from rich.console import Console

from study import precision
from study.config import changed_fields
from study.folder import StudyFolder, read_json
from study.precision import measure, settle_precision


@pytest.fixture
def answers(monkeypatch):
    """What measuring will find, in turn."""
    found = ["bf16", "fp32"]
    monkeypatch.setattr(precision, "_ask_worker", lambda config, batch_size: found.pop(0))
    return found


def test_what_was_measured_first_stays(make_config, answers, tmp_path):
    folder = StudyFolder(tmp_path, "small")
    config = make_config("resources.precision=auto")
    assert config.precision == "fp32"  # a dry run measures nothing
    assert settle_precision(config, folder, Console(quiet=True)).precision == "bf16"
    assert read_json(folder.precision) == {"precision": "bf16"}
    again = settle_precision(config, folder, Console(quiet=True))
    assert again.precision == "bf16"
    assert answers == ["fp32"]  # not asked twice
    assert again.to_yaml() == config.to_yaml()  # a resumed study is the same study


def test_a_precision_that_was_named_is_not_measured(make_config, answers, tmp_path):
    for name in ("fp32", "bf16"):
        config = make_config(f"resources.precision={name}")
        settled = settle_precision(config, StudyFolder(tmp_path, "small"), Console(quiet=True))
        assert settled.precision == name
    assert len(answers) == 2


def test_a_study_does_not_go_on_in_another_precision(make_config):
    old, new = (
        yaml.safe_load(make_config(*words).to_yaml())
        for words in ([], ["resources.precision=bf16", "resources.cpus_per_attack=2"])
    )
    assert changed_fields(old, new) == ["resources.precision"]


def test_measured_is_a_step_of_the_studys_own_network_in_both(make_config, monkeypatch):
    steps = []

    def faster(step, device):
        for name in ("fp32", "bf16"):
            step(name)
            steps.append((name, device.type))
        return "bf16"

    monkeypatch.setattr(precision, "faster_precision", faster)
    assert measure(make_config().model, 32, 32, 16, threads=1) == "bf16"
    assert [name for name, _ in steps] == ["fp32", "bf16"]
