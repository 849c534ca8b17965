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
    "mlflow": {"study/tracking.py", "analysis/load.py", "analysis/runs.py"},
    "ray": {"study/search.py", "study/sweep.py", "study/trial.py"},
}


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


def test_the_core_runs_without_ray_optuna_and_mlflow():
    """A trial can be imported where none of the three is installed."""
    code = (
        "import sys\n"
        "for name in ('ray', 'optuna', 'mlflow'): sys.modules[name] = None\n"
        "import trainables.protect, trainables.attack\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=120)
