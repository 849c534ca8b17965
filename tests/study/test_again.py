"""Studies that are there already: what is compared with them, and what no file may hold."""

from pathlib import Path

import pytest
import torch
import yaml

from analysis.addresses import masked, without_password
from study.checks import DATA_FILE, check_same_data, find_traces, look_at_tracking
from study.folder import write_json
from study.jobs import JobFactory
from study.journal import Journal
from study.loading import load_config
from study.logged import study_params
from study.places import Places, check_resume, find_places
from study.proposals import Proposals
from study.run import main
from study.tracking import Runs, connect
from tests.study.study_fakes import CONTENT
from trainables.errors import ConfigError

SMALL = str(Path(__file__).parent / "small.yaml")
WORDS = ["study.name=again", "data.num_images=400", "study.num_encoders=2"]
CANARY = "s3cr3t/c@nary"


@pytest.fixture
def places(tmp_path: Path, monkeypatch) -> Places:
    for name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "results").mkdir()
    return find_places(load_config(SMALL, WORDS), tmp_path / "results")


def journal(places: Places) -> None:
    """Leaves a study's run in MLflow, as a study that has started does."""
    config = load_config(SMALL, WORDS)
    artifacts = places.folder.results / "mlartifacts"
    Journal(
        Runs(connect(places.tracking), "again", artifacts), config, places.folder, CONTENT
    ).close("FINISHED")


def dry_run(places: Places, *words: str) -> int:
    results = str(places.folder.results)
    return main([SMALL, *WORDS, *words, "--dry-run", "--results", results])


def test_mlflows_copy_of_the_configuration_is_compared(places, capsys) -> None:
    journal(places)
    assert not places.folder.config.exists()
    client = look_at_tracking(places)
    traces, kept = find_traces(places, client)
    assert traces == [f"MLflow at {places.tracking}"]
    same = load_config(SMALL, [*WORDS, "study.num_encoders=9"])
    check_resume(same, places, True, traces, kept)
    other = load_config(SMALL, [*WORDS, "protector.rounds=7"])
    with pytest.raises(ConfigError, match=r"protector\.rounds: was 300, now 7"):
        check_resume(other, places, True, traces, kept)
    assert dry_run(places) == 2
    assert "--resume" in capsys.readouterr().err
    assert dry_run(places, "protector.rounds=7", "--resume") == 2
    assert "protector.rounds: was 300, now 7" in capsys.readouterr().err
    assert dry_run(places, "--resume") == 0


def test_traces_that_nothing_can_be_compared_with_are_refused(places, capsys) -> None:
    Proposals(load_config(SMALL, WORDS), places.storage)
    before = sorted(path.name for path in places.folder.results.rglob("*"))
    for how in ([], ["--dry-run"]):
        results = str(places.folder.results)
        assert main([SMALL, *WORDS, "--resume", *how, "--results", results]) == 2
        error = capsys.readouterr().err
        assert f"Optuna at {places.storage}" in error
        assert "choose another study.name, or delete the stale study" in error
    assert dry_run(places) == 2
    after = {path.name for path in places.folder.results.rglob("*")}
    assert after <= {*before, "mlflow.db", ".again.lock"}
    assert not places.folder.root.exists()


def test_a_damaged_configuration_is_named(places) -> None:
    places.folder.root.mkdir()
    places.folder.config.write_text("study: [\n")
    with pytest.raises(ConfigError, match="is damaged"):
        check_resume(load_config(SMALL, WORDS), places, True, [])


def test_a_dry_run_finds_the_study_that_is_there(places, capsys) -> None:
    places.folder.root.mkdir()
    places.folder.config.write_text(load_config(SMALL, WORDS).to_yaml())
    assert dry_run(places) == 2
    assert "exists already" in capsys.readouterr().err
    assert dry_run(places, "--resume") == 0
    assert dry_run(places, "--resume", "study.seed=5") == 2
    assert "study.seed: was 0, now 5" in capsys.readouterr().err
    assert sorted(path.name for path in places.folder.results.rglob("*")) == ["again", "study.yaml"]


def test_a_dry_run_for_a_cluster_does_not_count_the_cores_here(places, capsys, monkeypatch) -> None:
    monkeypatch.setattr("study.dry_run.knock", lambda address: None)
    assert dry_run(places, "resources.cpus_per_attack=4096") == 2
    assert "4096 asked for" in capsys.readouterr().err
    monkeypatch.setenv("RAY_ADDRESS", "cluster:6379")
    assert dry_run(places, "resources.cpus_per_attack=1000", "study.max_concurrent=1") == 0
    assert "the cluster at cluster:6379 answers" in capsys.readouterr().out


def test_other_data_are_refused_on_resume(places) -> None:
    changed = {**CONTENT, "content_hash": "f" * 64}
    journal(places)
    client = connect(places.tracking)
    check_same_data(places, client, CONTENT, True)
    check_same_data(places, client, changed, False)
    with pytest.raises(ConfigError, match=r"content_hash: was 0{64}, now f{64}"):
        check_same_data(places, client, changed, True)
    write_json({**CONTENT, "splits_hash": "2" * 16}, places.folder.root / DATA_FILE)
    with pytest.raises(ConfigError, match=r"splits_hash: was 2{16}, now 1{16}"):
        check_same_data(places, client, CONTENT, True)


def test_a_study_of_an_earlier_suite_is_not_gone_on_with(places) -> None:
    journal(places)
    client = connect(places.tracking)
    before = {name: value for name, value in CONTENT.items() if name != "suite_version"}
    write_json(before, places.folder.root / DATA_FILE)
    with pytest.raises(ConfigError, match="attacked by version 1 of the suites, this is version"):
        check_same_data(places, client, CONTENT, True)
    check_same_data(places, client, CONTENT, False)


def test_content_is_a_part_of_every_identity_and_its_place_is_not(places, tmp_path) -> None:
    weights = tmp_path / "w.pt"
    torch.save({"a": torch.zeros(1)}, weights)

    def keys(content: dict[str, object], file: Path = weights) -> list[str]:
        words = ["model.perceptual=vgg16", f"model.perceptual_weights={file}"]
        config = load_config(SMALL, [*WORDS, *words])
        jobs = JobFactory(config, places.folder, content)
        protect = jobs.searched(config.space.default_point())
        assert protect.config["model"]["perceptual_weights"] == str(file)
        attack = jobs.attacks(protect, True)[0].key.split("-")[1]
        return [protect.key, attack, jobs.reference_key("constant", "decoder", 0)]

    first = keys(CONTENT)
    for name in ("content_hash", "splits_hash"):
        other = keys({**CONTENT, name: "f"})
        assert all(one != two for one, two in zip(first, other, strict=True))
    assert keys(CONTENT, weights.rename(tmp_path / "moved.pt")) == first
    torch.save({"a": torch.ones(1)}, tmp_path / "moved.pt")
    other = keys(CONTENT, tmp_path / "moved.pt")
    assert all(one != two for one, two in zip(first, other, strict=True))


def test_a_relative_file_of_weights_is_made_absolute(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["model.perceptual=vgg16", "model.perceptual_weights=w.pt"]
    assert load_config(SMALL, words).model.perceptual_weights == tmp_path / "w.pt"


@pytest.mark.parametrize(
    ("address", "shown", "kept"),
    [
        (f"postgresql://me:{CANARY}@host:5/db", "postgresql://me:***@host:5/db",
         "postgresql://me@host:5/db"),
        (f"mysql://host/db?user=me&password={CANARY}&x=1", "mysql://host/db?user=me&password=***&x=1",
         "mysql://host/db?user=me&password=&x=1"),
        ("sqlite:////tmp/a:b/x.db", "sqlite:////tmp/a:b/x.db", "sqlite:////tmp/a:b/x.db"),
        ("http://host:5000", "http://host:5000", "http://host:5000"),
    ],
)  # fmt: skip
def test_addresses_are_shown_without_their_password(address, shown, kept) -> None:
    assert masked(address) == shown
    assert without_password(address) == kept
    quoted = f"access denied with 'c%40nary' at {address}"
    assert "c@nary" not in masked(quoted, (address,))


def test_a_password_is_in_no_message_and_no_file(places, capsys, tmp_path) -> None:
    storage = f"postgresql://me:{CANARY}@127.0.0.1:9/db"
    words = [*WORDS, f"study.storage={storage}"]
    config = load_config(SMALL, words)
    assert config.study.storage == storage
    assert "c@nary" not in config.to_yaml()
    assert config.resolved()["study"]["storage"] == "postgresql://me@127.0.0.1:9/db"
    for how in ([], ["--dry-run"]):
        assert main([SMALL, *words, *how, "--results", str(places.folder.results)]) == 2
        captured = capsys.readouterr()
        assert "study.storage" in captured.err
        assert "c@nary" not in captured.err + captured.out
    with pytest.raises(ConfigError) as caught:
        Proposals(config, storage)
    assert "c@nary" not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        connect(f"http://me:{CANARY}@127.0.0.1:9")
    assert "c@nary" not in str(caught.value)
    # Moved to another storage or with another password, it is the same study.
    places.folder.root.mkdir()
    places.folder.config.write_text(load_config(SMALL, WORDS).to_yaml())
    check_resume(config, places, True, [])
    for path in places.folder.results.rglob("*"):
        assert path.is_dir() or b"c@nary" not in path.read_bytes()


def test_keys_of_the_recipe_that_another_protector_lacks_are_left_aside(places, capsys) -> None:
    recipe = places.folder.results / "again.yaml"
    parts = yaml.safe_load(Path(SMALL).read_text())
    parts["protector"] |= {"warmup": 10, "lambda1": {"low": 1, "high": 2}}
    recipe.write_text(yaml.safe_dump(parts))
    config = load_config(str(recipe), ["protector.name=none", "protector.rounds=7"])
    assert config.protector_name == "none"
    assert set(config.dropped) == {
        f"protector.{x}" for x in ["lambda1", "lambda2", "mu1", "mu2", "warmup"]
    }
    assert config.protector.model_dump()["batch_size"] == 64
    words = [*WORDS, "protector.name=none", "--dry-run", "--results", str(recipe.parent)]
    assert main([str(recipe), *words]) == 0
    assert "left aside from the recipe: protector." in capsys.readouterr().out
    assert main([str(recipe), *words, "protector.warmup=3"]) == 2
    assert "unknown key in part 'protector': 'warmup'" in capsys.readouterr().err
    assert load_config(str(recipe), ["protector.name=reconstruction"]).dropped == ()
    assert load_config("quickstart", ["protector.name=none"]).protector_name == "none"


def test_what_g_and_the_suite_are_is_logged() -> None:
    params = study_params(load_config(SMALL))
    assert params["perceptual"] == "public"
    assert params["suite_version"] >= 1
