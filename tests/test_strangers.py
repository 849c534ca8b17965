"""What comes from others is data: no file runs code, no name leaves its folder, no server listens
to the world."""

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from study.folder import StudyFolder, read_json
from study.loading import load_config
from study.spool import Spool
from study.trial import StudyTrial
from tests.study.study_fakes import fake_trial
from tests.trainables.celeba_fixture import write_celeba
from trainables.checkpoint import load_state
from trainables.data.celeba import CelebaSource
from trainables.data.source import DataError
from trainables.data.store import open_store
from trainables.encode import main as encode
from trainables.errors import ConfigError
from trainables.frozen import load_encoder
from trainables.identity.mobilefacenet import load_mobilefacenet
from trainables.identity.programs import load_program
from trainables.nets.perceptual import check_vgg16_weights

ROOT = Path(__file__).resolve().parents[1]


class Smuggler:
    """Unpickled, it runs a command."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """What a smuggled command leaves."""
    return tmp_path / "smuggled"


@pytest.fixture
def weights(tmp_path: Path, mark: Path) -> Path:
    """Weights with a passenger; read carelessly they do run it, or this would prove nothing."""
    path = tmp_path / "weights.pt"
    torch.save({"state": {"w": torch.zeros(2)}, "more": Smuggler(mark)}, path)
    torch.load(path, weights_only=False)
    assert mark.exists()
    mark.unlink()
    return path


READERS: dict[str, Callable[[Path], Any]] = {
    "checkpoint": load_state,
    "encoder": lambda path: load_encoder(str(path), 32, 32),
    "MobileFaceNet": load_mobilefacenet,
    "VGG-16": check_vgg16_weights,
    "TorchScript": lambda path: load_program("torchscript", path, (32, 32)),
    "exported": lambda path: load_program("exported", path, (32, 32)),
    "image store": open_store,
}


@pytest.mark.parametrize("name", READERS)
def test_no_weights_run_code(name: str, weights: Path, mark: Path) -> None:
    with pytest.raises(Exception, match=r".+"):
        READERS[name](weights)
    assert not mark.exists()


def test_no_exported_program_brings_python_along(tmp_path: Path, mark: Path) -> None:
    """`torch.export.load` falls back to unpickling anything, if it is let."""
    program = torch.export.export(nn.Flatten(), (torch.zeros(2, 3, 8, 8),))
    good, bad = tmp_path / "good.pt2", tmp_path / "bad.pt2"
    torch.export.save(program, good)
    assert load_program("exported", good, (8, 8)).num_features == 192
    passenger = io.BytesIO()
    torch.save(Smuggler(mark), passenger)
    with zipfile.ZipFile(good) as whole, zipfile.ZipFile(bad, "w") as changed:
        for entry in whole.infolist():
            content = whole.read(entry)
            swapped = "sample_inputs" in entry.filename
            changed.writestr(entry.filename, passenger.getvalue() if swapped else content)
    with pytest.raises(ValueError, match="is no program that"):
        load_program("exported", bad, (8, 8))
    assert not mark.exists()


def test_no_checkpoint_runs_code_though_its_name_fits(
    tmp_path: Path, weights: Path, mark: Path
) -> None:
    class LocalTrial(StudyTrial):
        def setup(self, config: dict[str, Any]) -> None:
            super().setup(config, factory=fake_trial)

    folder = StudyFolder(tmp_path, "s")
    folder.checkpoints("a").save(lambda path: path.write_bytes(weights.read_bytes()))
    trial = {"kind": "protect", "threads": 1, "output": str(tmp_path / "o"),
             "protector": {"name": "reconstruction"}}  # fmt: skip
    started = LocalTrial({"kind": "protect", "key": "a", "results": str(tmp_path), "study": "s",
                          "trial": trial})  # fmt: skip
    result = started.train()
    assert "its checkpoints were damaged" in result["note"]
    assert result["train_step"] == 1
    assert not mark.exists()


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.system ['touch {mark}']",
             "study: !!python/object/apply:os.system ['touch {mark}']"]
)  # fmt: skip
def test_no_recipe_runs_code(text: str, tmp_path: Path, mark: Path) -> None:
    smuggled = text.format(mark=mark)
    yaml.unsafe_load(smuggled)
    assert mark.exists()
    mark.unlink()
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(smuggled)
    with pytest.raises(ConfigError):
        load_config(str(recipe), [])
    with pytest.raises(ConfigError):
        load_config("quickstart", [f"study.name={smuggled}"])
    assert not mark.exists()


def test_results_and_spools_are_json_and_nothing_else(weights: Path, mark: Path) -> None:
    assert read_json(weights) is None
    assert list(Spool(weights).read()) == []
    assert not mark.exists()


@pytest.mark.parametrize(
    "name", ["../up", "/etc", "a/b", "..", ".", "", "-x", "a\0b", "~", "a" * 101, "a\nb"]
)
def test_a_study_stays_in_its_folder(name: str) -> None:
    with pytest.raises(ConfigError, match=r"study\.name"):
        load_config("quickstart", [f"study.name={yaml.safe_dump(name)}"])


@pytest.mark.parametrize(
    "word",
    ["attack.suite=[../../x]", "protector.name=../x", "model.backbone=/etc/passwd",
     "model.cut_point=../conv3", "data.source=../x", "study.sampler=os.system"],
)  # fmt: skip
def test_names_of_things_are_names_from_a_list(word: str) -> None:
    with pytest.raises(ConfigError):
        load_config("quickstart", [word])


@pytest.mark.parametrize(
    "name", ["../../x", "/abs", "a/b", "..", "<script>", "a:b", "Male\0", "x" * 101, ".hidden"]
)
def test_an_attribute_is_a_word(name: str, tmp_path: Path) -> None:
    """Its name becomes a part of metrics' names, and of a page for the browser."""
    root = write_celeba(tmp_path)
    path = next(root.rglob("list_attr_celeba.txt"))
    lines = path.read_text().splitlines()
    lines[1] = " ".join([name, *lines[1].split()[1:]])
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match="line 2: attribute"):
        CelebaSource(root)


def test_codes_are_written_where_they_are_asked_for(tmp_path: Path) -> None:
    """The tool that hands codes out refuses a folder that is no encoder's."""
    assert encode([str(tmp_path), str(tmp_path / "codes.npz")]) != 0
    assert not (tmp_path / "codes.npz").exists()


LISTEN = """
import psutil
from study.sweep import start_ray
start_ray()
children = [psutil.Process(), *psutil.Process().children(recursive=True)]
for process in children:
    try:
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                print(connection.laddr.ip, process.name())
    except psutil.Error:
        pass
"""


@pytest.mark.slow
@pytest.mark.ray
def test_a_ray_of_ones_own_offers_nothing_to_the_network() -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    ended = subprocess.run(
        [sys.executable, "-c", LISTEN], cwd=ROOT, env=env, capture_output=True, text=True,
        check=True, timeout=100,
    )  # fmt: skip
    lines = [line.split() for line in ended.stdout.splitlines() if " " in line]
    assert lines, ended.stderr
    assert {line[0] for line in lines} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}, lines
