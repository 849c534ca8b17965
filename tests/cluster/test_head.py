"""The head of a Ray is killed under a running driver; the study goes on on another Ray."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from study.folder import StudyFolder
from tests.books import check_books
from tests.ray_cluster import RayCluster
from tests.services import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(600)]
RECONNECT_SECONDS = 4
"""Ray looks for a head that is gone for a minute; here less, or the test would take as long."""


def drive(ray: RayCluster, results: Path, *words: str) -> subprocess.Popen[str]:
    """Starts a driver on a Ray."""
    env = {
        **ray.env, "RAY_ADDRESS": ray.address, "PYTHONPATH": str(ROOT),
        "RAY_gcs_rpc_server_reconnect_timeout_s": str(RECONNECT_SECONDS),
    }  # fmt: skip
    driver = ROOT / "tests" / "study" / "study_driver.py"
    return subprocess.Popen(
        [sys.executable, str(driver), str(results), "study.num_encoders=4", "attack.group=2",
         "study.max_concurrent=2", *words],
        cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def test_a_study_whose_head_is_killed_goes_on_on_another(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path, "small")
    ray = RayCluster()
    try:
        ray.start(cpus=2)
        driver = drive(ray, tmp_path)
        end = time.monotonic() + 200
        while len(list((folder.root / "trials").glob("*.json"))) < 8:
            assert time.monotonic() < end
            assert driver.poll() is None, driver.communicate()[0]
            time.sleep(0.1)
        ray.nodes[0].kill()
        text = driver.communicate(timeout=120)[0]
        # It is Ray that ends the process: what it says is Ray's.
        assert driver.returncode == 1, text
    finally:
        ray.close()
    done = {path: path.read_bytes() for path in (folder.root / "trials").glob("*.json")}
    assert len(done) < 6 + 5 * 3, "it was to be killed half-way"
    ray = RayCluster()
    try:
        ray.start(cpus=2)
        again = drive(ray, tmp_path, "--resume")
        text = again.communicate(timeout=300)[0]
        assert again.returncode == 0, text
    finally:
        ray.close()
    check_books(folder, f"sqlite:///{tmp_path}/mlflow.db", f"sqlite:///{tmp_path}/optuna.db", 4)
    assert all(path.read_bytes() == content for path, content in done.items())
