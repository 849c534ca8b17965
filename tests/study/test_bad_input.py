"""What a user can get wrong, through the command line: exit 2, the words to put it right, no start.

Every case is the good command with one thing broken, and the good command is tested too.
"""

import re
import sqlite3
from pathlib import Path

import pytest
import torch

from study import launch
from study.run import main
from tests.trainables.celeba_fixture import image_name, write_celeba
from tests.trainables.test_lfw import write_people
from trainables.errors import ConfigError

SMALL = str(Path(__file__).parent / "small.yaml")
AVATARS = ("data.num_images=400", "study.num_encoders=2", "study.name=bad")
CELEBA = (
    "data.source=celeba", "data.num_images=null", "data.private=[Male]", "data.utility=all",
    "model.cut_point=conv3", "protector.batch_size=8", "attack.batch_size=8", "study.name=bad",
)  # fmt: skip
NUM_IMAGES = 120
CANARY = "hunter2/canary"


@pytest.fixture
def results(tmp_path: Path, monkeypatch) -> Path:
    """A results folder that is not there yet; no Ray is started and no sweep."""
    for name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a sweep was started")

    monkeypatch.setattr(launch, "run_sweep", refuse)
    return tmp_path / "results"


@pytest.fixture
def without_ray(monkeypatch) -> None:
    """Lets a study get as far as its data without starting Ray, and no further."""
    monkeypatch.setattr(launch, "start_ray", lambda: None)
    monkeypatch.setattr(launch, "cluster_resources", lambda: (2.0, 0.0))
    monkeypatch.setattr(launch, "node_resources", lambda: [(2.0, 0.0)])
    monkeypatch.setattr(launch, "check_shared", lambda results: None)

    def stop(*args: object) -> None:
        raise ConfigError("stopped by the test")

    monkeypatch.setattr(launch, "JobFactory", stop)


@pytest.fixture
def celeba(tmp_path: Path) -> Path:
    return write_celeba(tmp_path / "celeba", num_images=NUM_IMAGES)


def refused(results: Path, capsys, *words: str) -> str:
    """Runs a command that must be refused; returns what it said."""
    assert main([SMALL, *words, "--results", str(results)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert not (results / "bad" / "trials").exists()
    assert not (results / "bad" / "study.yaml").exists()
    if (results / "mlflow.db").exists():
        with sqlite3.connect(results / "mlflow.db") as database:
            tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master")}
            if "runs" in tables:
                assert database.execute("SELECT COUNT(*) FROM runs").fetchone() == (0,)
    return error


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("study.nme=x", ["unknown key in part 'study'", "'nme'", "did you mean 'name'"]),
        ("stdy.name=x", ["unknown part", "did you mean 'study'"]),
        ("data.utility=[Smilling]", ["data.utility", "'Smilling'", "did you mean 'Smiling'"]),
        ("data.private=[Berd]", ["data.private", "'Berd'", "did you mean 'Beard'"]),
        ("model.cut_point=conv9", ["model.cut_point", "'conv9'", "'conv4'"]),
        ("protector.name=recon", ["protector.name", "'recon'", "reconstruction"]),
        ("attack.suite=[decoder, decodr]", ["attack.suite", "'decodr'", "'decoder'"]),
        ("attack.suite=quik", ["attack.suite", "'quik'", "'quick'"]),
        ("protector.lambda1=-1", ["protector.lambda1", "greater than or equal to 0", "-1"]),
        ("protector.adversary_steps={low: 1, high: .inf}", ["protector.adversary_steps", "finite"]),
        ("protector.adversary_steps={low: 1, high: .nan}", ["protector.adversary_steps", "finite"]),
        ("study.num_encoders=0", ["study.num_encoders", "0"]),
        ("study.sampler=bayes", ["study.sampler", "'bayes'", "'tpe'"]),
        ("data.seed=99999999999999999999999", ["data.seed", "9223372036854775807"]),
        ("study.seed=99999999999999999999999", ["study.seed", "9223372036854775807"]),
        ("data.image_size=36", ["model.cut_point", "multiples of 8", "36x36"]),
        ("data.image_size=[48, 36]", ["model.cut_point", "multiples of 8", "48x36"]),
        ("data.utility=[Hat, Smiling]", ["data.utility", "Smiling", "both utility and private"]),
        ("data.source=lfw2", ["data.source", "'lfw2'", "'celeba'"]),
        ("protector.batch_size=300", ["protector.batch_size: 300", "'private' split has 256"]),
        ("protector.batch_size=65", ["protector.batch_size: 65", "'public' split has 64"]),
        # What draws from the private images alone is bound by them alone.
        (
            "protector.name=label_flip protector.batch_size=257",
            ["protector.batch_size: 257", "'private' split has 256"],
        ),
        (
            "protector.name=[none,label_flip,reconstruction] protector.batch_size=65",
            ["protector.reconstruction.batch_size: 65", "'public' split has 64"],
        ),
        ("protector.name=[none,obfuscator] data.image_size=32", ["protector.name", "MS-SSIM"]),
        ("attack.batch_size=65", ["attack.batch_size: 65", "'public' split has 64"]),
        ("model.perceptual=vgg16", ["model.perceptual_weights", "a file is needed"]),
        ("resources.cpus_per_attack=x", ["resources.cpus_per_attack", "'x'"]),
    ],
)
@pytest.mark.parametrize("how", [(), ("--dry-run",)], ids=["run", "dry-run"])
def test_a_bad_word_is_refused(results, capsys, how, word, expected) -> None:
    # A blank stands between words, or within a word's value.
    words = re.split(r" (?=[a-z]+\.[a-z_.]+=)", word)
    error = refused(results, capsys, *AVATARS, *words, *how)
    for text in expected:
        assert text in error
    assert not results.exists()


def test_an_unknown_recipe_is_refused(results, capsys) -> None:
    assert main(["quickstrt", "--results", str(results)]) == 2
    assert "did you mean 'quickstart'" in capsys.readouterr().err
    assert not results.exists()


def test_a_recipe_whose_keys_are_no_names_is_refused(results, tmp_path, capsys) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("study: {1: 2}\n")
    assert main([str(path), "--results", str(results)]) == 2
    assert "study: its keys are names, got 1" in capsys.readouterr().err


def test_the_good_commands_are_good(results, celeba, capsys) -> None:
    assert main([SMALL, *AVATARS, "--dry-run", "--results", str(results)]) == 0
    words = [*CELEBA, f"data.root={celeba}", "--dry-run"]
    assert main([SMALL, *words, "--results", str(results)]) == 0
    more = write_people(results.parent / "lfw-deepfunneled", {"Ann_One": 12, "Bob_Two": 12}).parent
    extra = [f"data.extra_public={more}", "attack.suite=strength"]
    assert main([SMALL, *words, *extra, "--results", str(results)]) == 0
    assert not results.exists()
    assert capsys.readouterr().err == ""


ATTRIBUTES, PEOPLE = "list_attr_celeba.txt", "identity_CelebA.txt"


def _lines(path: Path, change) -> None:
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")


BREAK = {
    "no attribute file": (lambda r: (r / ATTRIBUTES).unlink(), [ATTRIBUTES, "missing"]),
    "empty attribute file": (lambda r: (r / ATTRIBUTES).write_text(""), [ATTRIBUTES, "is empty"]),
    "truncated attribute file": (
        lambda r: _lines(r / ATTRIBUTES, lambda lines: lines[:50]),
        [ATTRIBUTES, "line 1 says 120 images, the file has 48 rows"],
    ),
    "wrong columns": (
        lambda r: _lines(r / ATTRIBUTES, lambda lines: [lines[0], "Smiling Male", *lines[2:]]),
        [ATTRIBUTES, "must hold 2 values", "got 3"],
    ),
    "wrong count": (
        lambda r: _lines(r / ATTRIBUTES, lambda lines: ["121", *lines[1:]]),
        [ATTRIBUTES, "line 1 says 121 images", "120 rows"],
    ),
    "truncated identities": (
        lambda r: _lines(r / PEOPLE, lambda lines: lines[:-1]),
        [PEOPLE, image_name(NUM_IMAGES - 1)],
    ),
    "no images": (
        lambda r: (r / "img_align_celeba").rename(r / "elsewhere"),
        ["img_align_celeba", "missing"],
    ),
    "an image that is not there": (
        lambda r: (r / "img_align_celeba" / image_name(3)).unlink(),
        [image_name(3), "missing"],
    ),
    "one value": (
        lambda r: _lines(
            r / ATTRIBUTES,
            lambda lines: [*lines[:2], *(f"{x.split()[0]} {x.split()[1]} 1 1" for x in lines[2:])],
        ),
        ["data.private", "'Male'", "single value (1)", "'public' split (19 images)"],
    ),
}


@pytest.mark.parametrize("case", BREAK)
def test_a_bad_data_file_is_refused(results, celeba, capsys, case) -> None:
    change, expected = BREAK[case]
    change(celeba)
    error = refused(results, capsys, *CELEBA, f"data.root={celeba}")
    for text in expected:
        assert text in error
    assert not results.exists()


def test_a_folder_that_is_none_is_refused(results, tmp_path, capsys) -> None:
    error = refused(results, capsys, *CELEBA, f"data.root={tmp_path / 'nowhere'}")
    assert str(tmp_path / "nowhere") in error


def test_too_many_unreadable_images_end_the_ingest(
    results, celeba, capsys, monkeypatch, without_ray
) -> None:
    bad = [celeba / "img_align_celeba" / image_name(row) for row in (4, 9)]
    for path in bad:
        path.write_bytes(path.read_bytes()[:200])
    error = refused(results, capsys, *CELEBA, f"data.root={celeba}")
    assert "2 of the first 120 images are unreadable, more than 1%" in error
    for path in bad:
        assert str(path) in error


def test_a_few_unreadable_images_are_left_out_and_named(
    results, celeba, capsys, without_ray
) -> None:
    bad = celeba / "img_align_celeba" / image_name(4)
    bad.write_bytes(b"")
    words = [SMALL, *CELEBA, f"data.root={celeba}", "--results", str(results)]
    assert main(words) == 2  # stopped by the test, after the ingest
    captured = capsys.readouterr()
    assert "stopped by the test" in captured.err
    out = captured.out.replace("\n", "")  # the console wraps long lines
    assert f"unreadable image left out: {bad}" in out
    assert "1 of 120 images are unreadable and left out" in out
    # A second time the store is there already, and the images are still counted.
    main([*words, "study.name=again"])
    assert "1 of 120 images are unreadable" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("MLFLOW_TRACKING_URI", "http://127.0.0.1:9", "http://127.0.0.1:9"),
        ("MLFLOW_TRACKING_URI", f"http://me:{CANARY}@127.0.0.1:9", "http://me:***@127.0.0.1:9"),
        ("MLFLOW_TRACKING_URI", f"nodriver://me:{CANARY}@host/db", "nodriver://me:***@host/db"),
        ("MLFLOW_TRACKING_URI", "file:/somewhere", "sqlite:///"),
        ("RAY_ADDRESS", "127.0.0.1:9", "no Ray answers at '127.0.0.1:9'"),
        ("RAY_ADDRESS", "a..b:10", "no Ray answers at 'a..b:10'"),
        ("RAY_ADDRESS", "127.0.0.1:99999", "no Ray answers at '127.0.0.1:99999'"),
    ],
)
@pytest.mark.parametrize("how", [(), ("--dry-run",)], ids=["run", "dry-run"])
def test_an_address_that_does_not_answer_is_refused(
    results, capsys, monkeypatch, how, name, value, expected
) -> None:
    monkeypatch.setenv(name, value)
    error = refused(results, capsys, *AVATARS, *how)
    assert name in error
    assert expected in error
    assert "canary" not in error
    assert not (results / "bad").exists()
    assert not (how and results.exists())


@pytest.mark.parametrize("how", [(), ("--dry-run",)], ids=["run", "dry-run"])
def test_a_file_that_is_no_database_is_refused(results, tmp_path, capsys, monkeypatch, how) -> None:
    path = tmp_path / "not-a-db"
    path.write_text("no database at all, and long enough to have a header\n" * 40)
    error = refused(results, capsys, *AVATARS, f"study.storage=sqlite:///{path}", *how)
    assert "study.storage: no database answers" in error
    assert str(path) in error
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    assert "MLFLOW_TRACKING_URI: no database" in refused(results, capsys, *AVATARS, *how)
    missing = f"study.storage=sqlite:///{tmp_path / 'no' / 'folder' / 'x.db'}"
    assert "study.storage: no database" in refused(results, capsys, *AVATARS, missing, *how)


@pytest.mark.parametrize("how", [(), ("--dry-run",)], ids=["run", "dry-run"])
def test_weights_that_are_no_vgg16_are_refused(results, tmp_path, capsys, how) -> None:
    words = (*AVATARS, "model.perceptual=vgg16", f"model.perceptual_weights={tmp_path / 'w.pt'}")
    assert "no file at" in refused(results, capsys, *words, *how)
    (tmp_path / "w.pt").write_bytes(b"rubbish")
    assert "not readable as a state dict" in refused(results, capsys, *words, *how)
    torch.save({"features.0.weight": torch.zeros(64, 3, 5, 5)}, tmp_path / "w.pt")
    error = refused(results, capsys, *words, *how)
    assert "'features.0.weight' must have shape [64, 3, 3, 3], got [64, 3, 5, 5]" in error
    assert not results.exists()


ADDRESS = "s3://studies/nightly"


@pytest.mark.parametrize(
    ("words", "env", "expected"),
    [
        (["--results", ADDRESS], {}, "MLFLOW_TRACKING_URI: with --results s3://studies/nightly"),
        (
            ["--results", ADDRESS],
            {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"},
            "study.storage: with --results s3://studies/nightly a server is needed",
        ),
        (["--results", "s3://me:canary@bucket/x"], {}, "~/.aws, not into the address"),
        (["--results", "s3:///x"], {}, "the bucket is missing"),
        (["--results", "gs://x"], {}, "a folder or s3://bucket/folder, got 'gs://x'"),
        (
            ["study.storage=postgresql://me:canary@host/db"],
            {},
            "study.storage: everyone on this machine can read a password on a command line",
        ),
    ],
)
def test_buckets_and_passwords(words, env, expected, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "OPTUNA_STORAGE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert main(["--dry-run", *words]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert "canary" not in error
