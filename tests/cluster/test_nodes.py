"""Several nodes without a common disk: results in a real S3-compatible storage; nodes that die."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from study.folder import StudyFolder
from study.mirror import Mirror, working_copy
from tests.books import check_books
from tests.ray_cluster import RayCluster
from tests.services import ROOT, MlflowServer, PostgreSQL, S3Server, Server, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(900)]
ADDRESS = "s3://studies/nightly"
WORDS = ("attack.group=2", "study.max_concurrent=2")


class Site:
    """Nodes that share nothing but a bucket."""

    def __init__(self, folder: Path, postgresql: PostgreSQL) -> None:
        self.folder = folder
        self.s3 = S3Server(folder)
        self.s3.launch()
        self.mlflow = MlflowServer(folder)
        self.mlflow.launch()
        self.storage = postgresql.make_database("nodes")
        self.ray = RayCluster(self.s3.env)
        self.ray.start(cpus=0)
        self.password = postgresql.password
        wait_for(self.mlflow.answers, "MLflow's server")
        self.s3.make_bucket("studies")

    def restart_ray(self) -> None:
        """Throws the whole cluster away and starts another."""
        self.ray.close()
        self.ray = RayCluster(self.s3.env)
        self.ray.start(cpus=0)

    def add_node(self, name: str, **extra: str) -> Server:
        """Starts a node that has a disk of its own."""
        return self.ray.add_node(1, {"CUTPOINT_SCRATCH": str(self.folder / name), **extra})

    def drive(self, name: str, *words: str) -> subprocess.Popen[str]:
        """Starts a driver on a machine of its own."""
        env = {
            **self.ray.env, "RAY_ADDRESS": self.ray.address, "PYTHONPATH": str(ROOT),
            "MLFLOW_TRACKING_URI": self.mlflow.address, "OPTUNA_STORAGE": self.storage,
            "PGPASSWORD": self.password, "CUTPOINT_SCRATCH": str(self.folder / name),
        }  # fmt: skip
        command = [sys.executable, str(ROOT / "tests" / "study" / "study_driver.py"), ADDRESS]
        return subprocess.Popen(
            [*command, *WORDS, *words], cwd=ROOT, env=env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def close(self) -> None:
        """Ends it all."""
        self.ray.close()
        self.mlflow.kill()
        self.s3.kill()


@pytest.fixture(scope="module")
def site(tmp_path_factory, postgresql: PostgreSQL) -> Iterator[Site]:
    """A site that runs."""
    site = Site(tmp_path_factory.mktemp("nodes"), postgresql)
    yield site
    site.close()


@pytest.fixture
def bucket(site: Site, monkeypatch) -> Mirror:
    """What the storage holds."""
    for name, value in {**site.s3.env, "PGPASSWORD": site.password}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CUTPOINT_SCRATCH", str(site.folder / "driver"))
    return Mirror(working_copy(ADDRESS), ADDRESS)


def test_a_study_on_nodes_that_share_a_bucket_outlives_one_of_them(
    site: Site, bucket: Mirror
) -> None:
    lost = site.add_node("alpha")
    site.add_node("beta")
    folder = StudyFolder(bucket.results, "small", ADDRESS)
    driver = site.drive("driver", "study.num_encoders=4")
    trials = folder.root / "trials"
    end = time.monotonic() + 300

    def did_something(name: str) -> bool:
        return bool(list((site.folder / name).glob("*/small/trials/*.json")))

    # A node whose first process starts slowly may do nothing while the other one does eight.
    while driver.poll() is None and not (
        len(bucket.names(trials)) >= 8 and did_something("alpha") and did_something("beta")
    ):
        assert time.monotonic() < end
        time.sleep(0.2)
    lost.kill()
    text = driver.communicate(timeout=400)[0]
    assert driver.returncode == 0, text
    check_books(folder, site.mlflow.address, site.storage, 4)
    # Each node did some of the work; only the bucket has all of it.
    for name in ("alpha", "beta"):
        (copy,) = (site.folder / name).iterdir()
        assert list((copy / "small" / "trials").glob("*.json")), name
    assert "report.html" in bucket.names(folder.root)
    assert not [name for name in bucket.names(folder.cache) if name.endswith(".arrow")]
    assert bucket.names(folder.root / "checkpoints") == []

    # On another Ray, from another machine, which has nothing of it: one encoder more, and nothing a
    # second time.
    site.restart_ray()
    site.add_node("gamma")
    before = {name: bucket.read_text(f"small/trials/{name}") for name in bucket.names(trials)}
    shutil.rmtree(site.folder / "driver")
    again = site.drive("elsewhere", "study.num_encoders=+1", "--resume")
    text = again.communicate(timeout=400)[0]
    assert again.returncode == 0, text
    assert "1 encoders more" in text
    os.environ["CUTPOINT_SCRATCH"] = str(site.folder / "elsewhere")
    elsewhere = StudyFolder(working_copy(ADDRESS), "small", ADDRESS)
    check_books(elsewhere, site.mlflow.address, site.storage, 5)
    after = {name: bucket.read_text(f"small/trials/{name}") for name in before}
    assert after == before
    assert len(bucket.names(trials)) == len(before) + 1 + 2  # the encoder, its two attack trials


def test_a_node_that_cannot_reach_the_bucket_is_named(site: Site) -> None:
    site.add_node("cut-off", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    driver = site.drive("third", "study.num_encoders=1", "study.name=other")
    text = driver.communicate(timeout=400)[0]
    assert driver.returncode == 2
    assert f"{ADDRESS} is not storage that every node shares: node " in text
