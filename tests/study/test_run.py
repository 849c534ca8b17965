"""The command line: what it prints, what it refuses, and that refusing leaves nothing behind."""

from pathlib import Path

import pytest
import yaml
from rich.console import Console

from study.folder import StudyFolder
from study.launch import Options, run_study
from study.loading import load_config
from study.places import check_database, check_resume, find_places
from study.run import main, parse_duration
from trainables.errors import ConfigError

SMALL = str(Path(__file__).parent / "small.yaml")
TINY = ["data.num_images=400", "study.name=tiny", "study.num_encoders=2"]


@pytest.fixture
def results(tmp_path: Path, monkeypatch) -> Path:
    """A results folder that is not there yet, and no addresses from outside."""
    for name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "results"


def test_list_names_the_recipes(capsys) -> None:
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("quickstart ") for line in lines)
    assert any(line.startswith("deepobfuscator-faces-paper  ") for line in lines)


def test_dry_run_times_every_protector(results: Path, capsys) -> None:
    """Each is built and run for a few rounds, whatever its batches are made of."""
    names = "[reconstruction, label_flip, obfuscator, noise]"
    words = [
        SMALL, *TINY, "study.num_encoders=9", f"protector.name={names}", "data.image_size=48",
        "model.width=0.125", "model.cut_point=conv3", "protector.batch_size=16",
        "study.baselines=[none, labels, identity, blur]",
    ]  # fmt: skip
    assert main([*words, "--dry-run", "--results", str(results)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    for line in (
        "train labels (labels)", "train none conv3 (undefended)", "train identity (baseline)",
        "train blur kernel=0.54 (baseline)", "train reconstruction conv3 λ1=1 (default)",
        "train label_flip conv3 α=0.5 (default)", "train obfuscator conv3 λ1=1 λ2=1 (default)",
        "train noise σ=0.3 (default)", "proposed by tpe over",
    ):  # fmt: skip
        assert line in out
    assert not results.exists()


def test_help_teaches(capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert "--resume" in text
    assert "data.root=" in text


def test_dry_run_prints_the_plan_and_leaves_nothing_behind(results: Path, capsys) -> None:
    words = [SMALL, *TINY, "--dry-run", "--results", str(results)]
    assert main(words) == 0
    out = capsys.readouterr().out
    resolved = yaml.safe_load(out[: out.index("trials, in this order")])
    assert resolved["study"]["name"] == "tiny"
    assert resolved["protector"]["lambda1"] == {"low": 0.1, "high": 30.0, "log": True}
    assert "train none conv3 (undefended)" in out
    assert "train labels (labels)" in out
    assert "min" in out
    assert "MB" in out
    assert not results.exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["quickstrt"], "did you mean 'quickstart'"),
        (["quickstart", "celeba"], "one recipe at most"),
        (["quickstart", "study.nam=x"], "did you mean 'name'"),
        (["celeba"], "data.root=FOLDER"),
        (["quickstart", "data.private=[Smilling]"], "did you mean 'Smiling'"),
        (["quickstart", "--time-budget", "soon"], "--time-budget"),
        (["quickstart", "resources.cpus_per_attack=4096", "--dry-run"], "4096"),
    ],
)
def test_bad_input_exits_with_2_and_starts_nothing(results, capsys, words, expected) -> None:
    assert main([*words, "--results", str(results)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert expected in error
    assert not results.exists()


def test_missing_data_files_are_named(results: Path, tmp_path: Path, capsys) -> None:
    root = tmp_path / "nowhere"
    assert main(["celeba", f"data.root={root}", "--results", str(results)]) == 2
    assert str(root) in capsys.readouterr().err


def test_an_mlflow_that_does_not_answer_is_bad_input(results: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert main([SMALL, *TINY, "--results", str(results)]) == 2
    assert "MLFLOW_TRACKING_URI" in capsys.readouterr().err
    assert main([SMALL, *TINY, "--dry-run", "--results", str(results)]) == 2


def test_a_plain_folder_for_mlflow_is_refused(results: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "file:/somewhere")
    assert main([SMALL, *TINY, "--results", str(results)]) == 2
    assert "sqlite:///" in capsys.readouterr().err


def test_a_ray_that_does_not_answer_is_bad_input(results: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "ray-of-nobody:1")
    assert main([SMALL, *TINY, "--results", str(results)]) == 2
    assert "RAY_ADDRESS" in capsys.readouterr().err
    assert not (results / "tiny").exists()


def test_databases_that_cannot_be_opened_are_named_without_their_password(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ConfigError, match=r"study\.storage: no database answers"):
        check_database("study.storage", f"sqlite:///{file}/optuna.db")
    with pytest.raises(ConfigError, match="nodriver") as caught:
        check_database("study.storage", "nodriver://me:secret@host/db")
    assert "secret" not in str(caught.value).split(": ")[1]


def test_results_inside_rays_copy_of_the_code_are_refused(tmp_path: Path) -> None:
    copy = tmp_path / "runtime_resources" / "working_dir_files" / "_ray_pkg" / "results"
    with pytest.raises(ConfigError, match="temporary copy"):
        find_places(load_config(SMALL), copy)


def test_an_existing_study_is_not_started_over(results: Path) -> None:
    config = load_config(SMALL, TINY)
    places = find_places(config, results)
    places.folder.root.mkdir(parents=True)
    places.folder.config.write_text(config.to_yaml())
    with pytest.raises(ConfigError, match="--resume"):
        check_resume(config, places, resume=False, traces=[])
    check_resume(config, places, resume=True, traces=[])
    changed = load_config(SMALL, [*TINY, "protector.rounds=7", "study.num_encoders=9"])
    with pytest.raises(ConfigError, match=r"protector\.rounds: was 300, now 7") as caught:
        check_resume(changed, places, resume=True, traces=[])
    assert "study.num_encoders: was" not in str(caught.value)


def test_traces_in_mlflow_or_optuna_count_as_the_study(results: Path) -> None:
    config = load_config(SMALL, TINY)
    places = find_places(config, results)
    with pytest.raises(ConfigError, match="MLflow at somewhere"):
        check_resume(config, places, resume=False, traces=["MLflow at somewhere"])


def test_a_study_that_runs_elsewhere_is_locked(results: Path) -> None:
    from filelock import FileLock

    config = load_config(SMALL, TINY)
    places = find_places(config, results)
    results.mkdir()
    with FileLock(StudyFolder(results, "tiny").lock), pytest.raises(ConfigError, match="another"):
        run_study(config, places, Options(), Console())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("4h", 14400), ("90m", 5400), ("1h30m", 5400), ("45s", 45), ("0.5h", 1800)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "4", "h", "-1h", "0s", "4 hours"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--time-budget"):
        parse_duration(text)
