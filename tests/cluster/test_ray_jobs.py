"""A study as a job of a real Ray, which keeps its records in PostgreSQL and MLflow's server."""

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from study.folder import StudyFolder
from study.spool import Spool
from tests.books import check_books
from tests.ray_cluster import RayCluster
from tests.services import BIN, ROOT, MlflowServer, PostgreSQL, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(900)]
SMALL = (
    "quickstart", "data.num_images=400", "model.cut_point=conv4", "model.width=0.125",
    "protector.warmup=4", "protector.lambda2=0", "protector.mu1=0", "protector.mu2=0",
    "attack.suite=[decoder, attribute]", "attack.evaluate_every=10", "attack.max_steps=600",
    "attack.min_delta=0.02", "attack.patience=3", "attack.min_steps=0",
)  # fmt: skip


class Site:
    """A cluster as a team has it: Ray, PostgreSQL, MLflow's server and a shared folder."""

    def __init__(self, folder: Path, postgresql: PostgreSQL) -> None:
        self.results = folder / "shared" / "results"
        self.password = postgresql.password
        self.storage = postgresql.make_database("optuna")
        database = postgresql.make_database("mlflow")
        self.mlflow = MlflowServer(folder, database, {**os.environ, **postgresql.env})
        self.mlflow.launch()
        # Who starts the cluster gives it the password; no job has to name it.
        self.ray = RayCluster(
            {
                **postgresql.env, "OPTUNA_STORAGE": self.storage,
                "MLFLOW_TRACKING_URI": self.mlflow.address, "RAY_JOB_STOP_WAIT_TIME_S": "30",
            }
        )  # fmt: skip
        self.ray.start(cpus=2)
        wait_for(self.mlflow.answers, "MLflow's server")

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Calls `ray job`."""
        return subprocess.run(
            [str(BIN / "ray"), "job", *words], cwd=ROOT, env=self.ray.env, capture_output=True,
            text=True, timeout=240, check=False,
        )  # fmt: skip

    def submit(self, *words: str, name: str, wait: bool = True) -> subprocess.CompletedProcess[str]:
        """Submits a study as the documentation says."""
        how = [] if wait else ["--no-wait"]
        end = time.monotonic() + 60
        while True:
            submitted = self.ask(
                "submit", "--submission-id", name, "--working-dir", ".", *how, "--", "python",
                "study/run.py", *SMALL, *words, "--results", str(self.results),
            )  # fmt: skip
            # A head that has just been started answers before it can run anything.
            if "No available agent" not in submitted.stderr or time.monotonic() > end:
                return submitted

    def get(self, path: str) -> dict[str, Any]:
        """What Ray tells of its jobs; much faster than the command line."""
        token = Path(self.ray.env["RAY_AUTH_TOKEN_PATH"]).read_text(encoding="utf-8")
        request = urllib.request.Request(
            f"{self.ray.dashboard}/api/jobs/{path}", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return dict(json.load(answer))

    def log(self, name: str) -> str:
        """What a job has printed."""
        return str(self.get(f"{name}/logs")["logs"])

    def status(self, name: str) -> str:
        """Ray's word for how a job stands."""
        return str(self.get(name)["status"])

    def until(self, name: str, text: str, seconds: float = 400) -> None:
        """Waits until a job has printed something; one that ends before fails the test."""
        end = time.monotonic() + seconds
        while text not in (log := self.log(name)):
            assert time.monotonic() < end, f"no {text!r} from {name}:\n{log}"
            assert self.status(name) != "FAILED", self.log(name)
            time.sleep(0.3)

    def close(self) -> None:
        """Ends it all."""
        self.ray.close()
        self.mlflow.kill()


@pytest.fixture(scope="module")
def site(tmp_path_factory, postgresql: PostgreSQL) -> Iterator[Site]:
    """A site that runs."""
    site = Site(tmp_path_factory.mktemp("site"), postgresql)
    yield site
    site.close()


def test_a_submitted_study_ends_in_its_report_and_nothing_shows_the_password(
    site: Site, monkeypatch
) -> None:
    words = ("study.name=whole", "study.num_encoders=2", "protector.rounds=20")
    submitted = site.submit(*words, name="whole", wait=False)
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    seen = []
    while (status := site.status("whole")) != "SUCCEEDED":
        assert status != "FAILED", site.log("whole")
        for process in psutil.process_iter():
            try:
                seen.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        time.sleep(1)
    log = site.log("whole")
    assert "2 encoders verified" in log
    assert "View run" not in log  # MLflow's own chatter, two lines a run
    folder = StudyFolder(site.results, "whole")
    assert (folder.root / "report.html").is_file()
    monkeypatch.setenv("PGPASSWORD", site.password)
    check_books(folder, site.mlflow.address, site.storage, 2, curve=None)

    # The canary: in no log, result, run, process list, nor in what Ray tells of the job.
    jobs = json.dumps(site.get("whole"))
    assert "study/run.py" in jobs
    secret = site.password.encode()
    assert site.password not in jobs
    assert any("study/run.py" in line for line in seen)
    assert not any(site.password in line for line in seen)
    looked_at = 0
    for top in (site.results, site.mlflow.log.parent, site.ray.folder):
        for path in top.rglob("*"):
            if path.is_file() and not path.is_symlink():
                looked_at += 1
                assert secret not in path.read_bytes(), path
    assert looked_at > 50
    for table in postgresql_dump(site):
        assert site.password not in table


def test_a_study_whose_attackers_are_not_well_fails_its_job(site: Site) -> None:
    words = ("study.name=unwell", "study.num_encoders=1", "protector.rounds=5",
             "study.baselines=[]")  # fmt: skip
    submitted = site.submit(*words, "attack.max_steps=20", name="unwell")
    assert submitted.returncode != 0
    assert site.status("unwell") == "FAILED"
    log = site.log("unwell")
    assert "the attackers are not well" in log
    assert "ceiling of decoder: 0." in log
    page = (site.results / "unwell" / "report.html").read_text(encoding="utf-8")
    assert "the leakages of this study prove nothing" in page


def test_a_stopped_job_goes_on_where_it_was(site: Site, monkeypatch) -> None:
    words = ("study.name=stopped", "study.num_encoders=1", "study.baselines=[]",
             "protector.rounds=300")  # fmt: skip
    site.submit(*words, name="first", wait=False)
    folder = StudyFolder(site.results, "stopped")

    def in_training() -> bool:
        points = list(Spool(folder.spool).read())
        return any(not folder.trial(point.key).exists() for point in points[-1:])

    wait_for(in_training, "an encoder that reports", 400)
    before = time.time()
    stopped = site.ask("stop", "first")
    assert "was stopped" in stopped.stdout, stopped.stdout + stopped.stderr
    assert "go on with" in site.log("first")
    # What was running saved itself when it was stopped, not some time before.
    saved = list((folder.root / "checkpoints").glob("*.pt"))
    assert saved
    assert all(path.stat().st_mtime > before for path in saved)
    # Two starts at once: one is refused, the other ends as if nothing had happened.
    site.submit(*words, "--resume", name="second", wait=False)
    site.until("second", "results in")
    twin = site.submit(*words, "--resume", name="twin")
    assert twin.returncode != 0
    assert "is being run by another process" in site.log("twin")
    site.until("second", "since the last end")
    wait_for(lambda: site.status("second") == "SUCCEEDED", "its end", 200)
    monkeypatch.setenv("PGPASSWORD", site.password)
    check_books(folder, site.mlflow.address, site.storage, 1, curve=None)


def postgresql_dump(site: Site) -> list[str]:
    """All that Optuna and MLflow keep, as text."""
    import psycopg

    texts = []
    for name in ("optuna", "mlflow"):
        address = site.storage.rsplit("/", 1)[0] + f"/{name}"
        with psycopg.connect(address, password=site.password) as connection:
            names = connection.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
            ).fetchall()
            for (table,) in names:
                texts.append(str(connection.execute(f'SELECT * FROM "{table}"').fetchall()))
    return texts
