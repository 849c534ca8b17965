"""The real servers that a study talks to, each started by a test on this machine, and ended."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

START_SECONDS = 120.0
ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent


def free_port() -> int:
    """A port of the loopback interface where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(ready: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Waits until something is so, and fails the test if it never is."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.1)


def answers(address: str) -> bool:
    """Whether a server of the web answers, whatever it says."""
    try:
        urllib.request.urlopen(address, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def missing(what: str) -> None:
    """Skips a test whose server is not installed, but not where it has to be: in CI."""
    if os.environ.get("CUTPOINT_ALL_SERVERS"):
        pytest.fail(f"{what} is not installed")
    pytest.skip(f"{what} is not installed")


class Server:
    """A server process with everything that it starts.

    Args:
        command: What starts it.
        log: Where it writes.
        env: Its environment.
    """

    def __init__(
        self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        self._command = list(command)
        self._mark = f"CUTPOINT_TEST={uuid.uuid4().hex}"
        name, value = self._mark.split("=")
        self._env = {**(os.environ if env is None else env), name: value}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        """Whether the process that was started still runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process that was started; 0 if there is none."""
        return 0 if self._process is None else self._process.pid

    @property
    def returncode(self) -> int | None:
        """How the process that was started ended; None while it runs."""
        return None if self._process is None else self._process.poll()

    def signal(self, blow: signal.Signals) -> None:
        """Sends a signal to the process that was started, and to no other."""
        if self._process is not None:
            self._process.send_signal(blow)

    def launch(self) -> None:
        """Starts it; `wait_for` tells when it is ready."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=self._env, start_new_session=True
            )

    def processes(self) -> list[psutil.Process]:
        """Everything that was started by it, whatever became of its parents."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                name, value = self._mark.split("=")
                if process.environ().get(name) == value:
                    found.append(process)
        return found

    def kill(self) -> None:
        """Kills all of it at once, as a machine does that goes down."""
        for process in self.processes():
            with suppress(psutil.Error):
                process.kill()
        if self._process is not None:
            self._process.wait()
            self._process = None


class MlflowServer(Server):
    """MLflow's server on loopback.

    Args:
        folder: Where its log and its artifacts go.
        database: Its database; a SQLite file in the folder by default.
        env: Its environment.
    """

    def __init__(
        self, folder: Path, database: str | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        store = database or f"sqlite:///{folder / 'server.db'}"
        base = dict(os.environ if env is None else env)
        # In the environment: a command line is for everyone on the machine to read.
        base["MLFLOW_BACKEND_STORE_URI"] = store
        super().__init__(
            [
                sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1",
                "--port", str(port), "--workers", "1", "--serve-artifacts",
                "--artifacts-destination", str(folder / "kept"),
                "--allowed-hosts", f"127.0.0.1,127.0.0.1:{port}",
            ],
            folder / "mlflow-server.log",
            base,
        )  # fmt: skip

    def answers(self) -> bool:
        """Whether it takes requests."""
        return answers(f"{self.address}/health")

    def start(self) -> None:
        """Starts it and waits until it answers."""
        self.launch()
        wait_for(self.answers, "MLflow's server")


class S3Server(Server):
    """An S3-compatible server on loopback that keeps its objects in memory.

    Attributes:
        env: What a client's environment needs to find it and to be let in.
    """

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        self.env = {
            "AWS_ENDPOINT_URL": self.address, "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": secrets.token_hex(8), "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }  # fmt: skip
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        super().__init__(command, folder / "s3.log")

    def start(self) -> None:
        """Starts it and waits until it answers."""
        self.launch()
        wait_for(lambda: answers(self.address), "the S3 server")

    def make_bucket(self, name: str) -> None:
        """Makes a bucket."""
        request = urllib.request.Request(f"{self.address}/{name}", method="PUT")
        urllib.request.urlopen(request, timeout=10).close()


class PostgreSQL:
    """A cluster of databases on loopback, with a password, in a folder of its own.

    Attributes:
        password: Its owner's.
        env: What a client's environment needs to be let in.
        is_running: Whether it was started and not stopped since.
    """

    user = "cutpoint"

    def __init__(self) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
        on_path = shutil.which("pg_ctl")
        if not found and on_path is None:
            missing("PostgreSQL")
        self._bin = found[-1].parent if found else Path(str(on_path)).parent
        # It refuses to run as root, and as another user it cannot look into a test's folder.
        self._user = "postgres" if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="cutpoint-postgresql-"))
        self._data = self._folder / "data"
        self.is_running = False
        self.port = free_port()
        self.password = f"canary{secrets.token_hex(12)}"
        self.env = {"PGPASSWORD": self.password}
        secret = self._folder / "password"
        secret.write_text(self.password, encoding="utf-8")
        if self._user is not None:
            for path in (self._folder, secret):
                shutil.chown(path, self._user)
        self._call(
            "initdb", "--username", self.user, "--pwfile", str(secret), "--auth", "scram-sha-256",
            "--encoding", "UTF8", "--no-sync",
        )  # fmt: skip
        secret.unlink()

    def start(self) -> None:
        """Starts it and waits until it takes connections."""
        settings = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' "
            "-c fsync=off -c log_statement=all"
        )
        self._call("pg_ctl", "start", "-w", "-o", settings, "-l", str(self._folder / "log"))
        self.is_running = True

    def stop(self, mode: str = "fast") -> None:
        """Stops it; `immediate` is as bad as a crash."""
        self.is_running = False
        self._call("pg_ctl", "stop", "-w", "-m", mode)

    def make_database(self, name: str) -> str:
        """Makes a database and returns its address, without the password."""
        import psycopg

        connection = psycopg.connect(
            host="127.0.0.1", port=self.port, user=self.user, password=self.password,
            dbname="postgres",
        )  # fmt: skip
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{name}"')
        connection.close()
        return f"postgresql://{self.user}@127.0.0.1:{self.port}/{name}"

    def close(self) -> None:
        """Stops it and removes everything."""
        with suppress(subprocess.CalledProcessError):
            self.stop("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _call(self, program: str, *arguments: str) -> None:
        identity = {}
        if self._user is not None:
            entry = pwd.getpwnam(self._user)
            identity = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        subprocess.run(
            [str(self._bin / program), "-D", str(self._data), *arguments],
            check=True, cwd=self._folder, stdout=subprocess.DEVNULL, **identity,
        )  # fmt: skip
