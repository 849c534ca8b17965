"""A Ray of several nodes on this machine, as tests of clusters need it."""

import os
import secrets
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.services import BIN, Server, answers, free_port, wait_for

RAY_STARTS = 3
RAY_START_SECONDS = 60.0


class RayCluster:
    """A Ray of one or more nodes on this machine, which asks for a token as it does by default.

    Args:
        extra: What else its nodes, and so its jobs, have in their environment.

    Attributes:
        folder: Its files and its token; Ray wants short paths for its sockets.
        env: What a client's environment needs to reach it.
        dashboard: Where jobs are submitted.
    """

    def __init__(self, extra: Mapping[str, str] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cpr-"))
        token = self.folder / "token"
        token.write_text(secrets.token_hex(32), encoding="utf-8")
        token.chmod(0o600)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MLFLOW_"))}
        self.env |= {
            "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1",
            "RAY_DISABLE_IMPORT_WARNING": "1", "PATH": f"{BIN}:{os.environ['PATH']}",
            **(extra or {}),
        }  # fmt: skip
        self._port = 0
        self.dashboard = ""
        self.nodes: list[Server] = []

    @property
    def address(self) -> str:
        """Where drivers connect to it."""
        return f"{self._own_address()}:{self._port}"

    def start(self, cpus: int = 2) -> None:
        """Starts the head node and waits until it takes jobs."""
        self._launch(self._head, cpus)
        wait_for(lambda: answers(f"{self.dashboard}/api/version"), "Ray's dashboard")

    def add_node(self, cpus: int, extra: Mapping[str, str] | None = None) -> Server:
        """Starts another node, with more in its environment than the others have; it joins."""
        return self._launch(lambda: ["--address", self.address], cpus, extra)

    def close(self) -> None:
        """Kills everything and removes its files."""
        for node in self.nodes:
            node.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _head(self) -> list[str]:
        """What makes a node the head, on ports that are free now."""
        self._port, port = free_port(), free_port()
        self.dashboard = f"http://127.0.0.1:{port}"
        self.env["RAY_API_SERVER_ADDRESS"] = self.dashboard
        return [
            "--head", "--port", str(self._port), "--dashboard-host", "127.0.0.1",
            "--dashboard-port", str(port), "--ray-client-server-port", str(free_port()),
        ]  # fmt: skip

    def _launch(
        self, role: Callable[[], list[str]], cpus: int, extra: Mapping[str, str] | None = None
    ) -> Server:
        """Starts a node; again, on other ports, where somebody took one before Ray listened."""
        said = ""
        for _ in range(RAY_STARTS):
            node = self._node(role(), cpus, extra)
            node.launch()
            end = time.monotonic() + RAY_START_SECONDS
            # One after the other: two that start at once on one machine take each other's ports.
            while node.is_running and time.monotonic() < end:
                if b"Ray runtime started" in node.log.read_bytes():
                    self.nodes.append(node)
                    return node
                time.sleep(0.1)
            node.kill()
            said = node.log.read_text(encoding="utf-8", errors="replace")[-3000:]
        raise AssertionError(f"no node of Ray in {RAY_STARTS} attempts; the last said:\n{said}")

    def _node(self, role: list[str], cpus: int, extra: Mapping[str, str] | None) -> Server:
        return Server(
            [
                str(BIN / "ray"), "start", *role, "--num-cpus", str(cpus), "--temp-dir",
                str(self.folder), "--object-store-memory", "80000000", "--disable-usage-stats",
                # The usual one may still be held by the Ray of the test before.
                "--dashboard-agent-listen-port", str(free_port()), "--block",
            ],
            self.folder / f"node-{uuid.uuid4().hex[:8]}.log", {**self.env, **(extra or {})},
        )  # fmt: skip

    @staticmethod
    def _own_address() -> str:
        """What Ray takes for this machine's address."""
        from ray.util import get_node_ip_address

        return str(get_node_ip_address())
