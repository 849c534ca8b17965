"""A real MLflow server that is killed while a study writes, and comes back."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from study.delivery import Delivery
from study.folder import write_json
from study.journal import Journal
from study.search import VerifiedSearch
from study.spool import Spool
from study.tracking import Runs, connect
from tests.study.study_fakes import CONTENT, fake_trial

pytestmark = pytest.mark.slow
START_SECONDS = 60


class Server:
    """MLflow's server on this machine, on a database of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self._command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port",
            str(self.port), "--workers", "1", "--backend-store-uri",
            f"sqlite:///{folder / 'server.db'}", "--artifacts-destination", str(folder / "kept"),
        ]  # fmt: skip
        self._log = (folder / "server.log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and waits until it answers."""
        self._process = subprocess.Popen(
            self._command, stdout=self._log, stderr=self._log, start_new_session=True
        )
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{self.address}/health", timeout=2).close()
                return
            except OSError:
                assert time.monotonic() < end, "the server did not start"
                time.sleep(0.1)

    def kill(self) -> None:
        """Kills it with everything it started."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture
def server(tmp_path: Path, monkeypatch) -> Iterator[Server]:
    """One that runs."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    server = Server(tmp_path)
    server.start()
    yield server
    server.kill()


def test_a_server_that_is_killed_and_comes_back_has_everything_once(
    server: Server, make_bench, tmp_path: Path
) -> None:
    bench = make_bench("study.num_encoders=3", "model.cut_point=conv3", "attack.group=3")
    client = connect(server.address)
    runs = Runs(client, bench.folder.name, tmp_path / "unused")
    warnings: list[str] = []
    journal = Journal(runs, bench.config, bench.folder, CONTENT)
    told = Delivery(journal, Spool(bench.folder.spool), warnings.append, 0.2)
    search = VerifiedSearch(bench.jobs, bench.folder, bench.proposals, told)
    for count in range(99):
        if count == 4:
            server.kill()
        config = search.suggest(str(count))
        if not isinstance(config, dict):
            break
        trial = fake_trial(config["trial"])
        result: dict[str, Any] = {"done": False}
        while not result["done"]:
            result = trial.step()
            search.on_trial_result(str(count), result)
        write_json(result, bench.folder.trial(config["key"]))
        search.on_trial_complete(str(count), {"done": True})
        if count == 8:
            server.start()
    assert search.finished
    assert told.close(60) == 0
    journal.set_status("finished")
    journal.close("FINISHED")
    assert any("does not take results" in text for text in warnings)
    assert not bench.folder.spool.exists()

    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    kinds = [run.data.tags["kind"] for run in found]
    # Floor, ceiling, labels and three encoders, with three attackers each, two of them in-loop too.
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "study": 1, "encoder": 2 + 4, "attack": 6 * 3 + 2,
    }  # fmt: skip
    keys = [(run.data.tags.get("trial_id"), run.data.tags.get("attacker")) for run in found]
    assert len(set(keys)) == len(keys)
    assert {run.info.status for run in found} == {"FINISHED"}
    for run in found:
        for name in run.data.metrics:
            steps = [point.step for point in client.get_metric_history(run.info.run_id, name)]
            assert sorted(set(steps)) == sorted(steps), (run.data.tags, name)
            if name == "train/loss":
                assert sorted(steps) == [1, 2, 3]
    (study,) = (run for run in found if run.data.tags["kind"] == "study")
    history = client.get_metric_history(study.info.run_id, "hypervolume")
    assert [point.step for point in history] == [1, 2, 3]
