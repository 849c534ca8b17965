"""The house: imports run one way, and each library is known to those who may know it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("study", "trainables", "search_spaces", "analysis")
MAY_IMPORT = {
    "study": {"study", "trainables", "search_spaces", "analysis"},
    "trainables": {"trainables"},
    "search_spaces": {"search_spaces"},
    "analysis": {"analysis"},
}
FORBIDDEN = {
    "trainables": {"ray", "optuna", "mlflow"},
    "search_spaces": {"ray", "mlflow", "torch", "pandas", "numpy"},
    "analysis": {"ray", "torch", "optuna"},
}
ONLY_IN = {
    "mlflow": {
        "study/tracking.py", "analysis/load.py", "analysis/runs.py", "analysis/tracked_rows.py",
    },
    "ray": {"study/ray_pool.py", "study/search.py", "study/sweep.py", "study/trial.py"},
}

CORE_ALONE = """
import sys
for name in ("ray", "optuna", "mlflow"):
    sys.modules[name] = None  # an import of it raises ImportError

import torch
torch.set_num_threads(1)
from trainables.attack import AttackTrial
from trainables.attackers.config import AttackConfig
from trainables.attackers.suite import ATTACKERS
from trainables.data.config import DataConfig
from trainables.nets.config import ModelConfig
from trainables.protect import ProtectTrial
from trainables.protectors import PROTECTORS

root = sys.argv[1]
common = {
    "data": DataConfig(num_images=200, image_size=32, private=["Beard"]).model_dump(mode="json"),
    "model": ModelConfig(width=0.125, cut_point="conv1").model_dump(mode="json"),
    "seed": 1, "cache": root + "/cache",
}
settings = PROTECTORS["reconstruction"].config(rounds=2, warmup=1, batch_size=8, lambda1=1.0)
protector = settings.model_dump(mode="json")
trial = ProtectTrial({**common, "protector": protector, "output": root + "/e"})
result = trial.step()
while not result["done"]:
    result = trial.step()
assert result["status"] == "finished", result
rule = AttackConfig(batch_size=8, evaluate_every=2, min_steps=0, max_steps=4)
attack = rule.model_dump(mode="json")
result = AttackTrial({
    **common, "attack": attack, "attackers": [ATTACKERS["decoder"].model_dump(mode="json")],
    "encoder": root + "/e/encoder.pt", "output": root + "/a", "in_loop": True,
}).step()
assert result["progress"] > 0, result
loaded = {name.split(".")[0] for name, module in sys.modules.items() if module is not None}
assert not loaded & {"ray", "optuna", "mlflow"}
"""


def imported(path):
    """Every module a file imports, wherever in the file the import stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names.add(str(node.module))
    return names


def files(package):
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_arrows_run_one_way(package):
    assert files(package)
    for path in files(package):
        tops = {name.split(".")[0] for name in imported(path)}
        assert tops & set(PACKAGES) <= MAY_IMPORT[package], path
        assert not tops & FORBIDDEN.get(package, set()), path


@pytest.mark.parametrize("library", ONLY_IN)
def test_platforms_stay_in_their_rooms(library):
    users = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in files(package)
        if any(name.split(".")[0] == library for name in imported(path))
    }
    assert users == ONLY_IN[library]


def test_no_two_files_import_each_other():
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for package in PACKAGES
        for path in files(package)
    }
    arrows = {name: imported(path) & modules.keys() for name, path in modules.items()}
    both = [(a, b) for a, targets in arrows.items() for b in targets if a in arrows[b]]
    assert not both


def test_the_core_runs_without_ray_optuna_and_mlflow(tmp_path):
    """An encoder is trained and attacked where none of the three can be imported."""
    command = [sys.executable, "-c", CORE_ALONE, str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT, timeout=120)


def test_a_driver_does_not_load_what_it_never_uses():
    """Each takes seconds, and `--dry-run` and every start of a study would wait for them."""
    unused = ("torchvision", "torchmetrics", "matplotlib")
    code = (
        f"import sys, study.dry_run, study.launch; print([m for m in {unused} if m in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_analysis_loads_neither_ray_nor_torch():
    code = (
        "import sys, analysis.__main__, analysis.rebuild, analysis.compare_report; "
        "print([name for name in ('ray', 'torch', 'optuna') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
