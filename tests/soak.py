"""Runs studies for a while, injects faults at random, and checks the books.

    python tests/soak.py                        30 minutes
    python tests/soak.py --minutes 5 --seed 7   another half hour's beginning
    python tests/soak.py --count 10 --only 'driver killed'

Trials are fakes that take a second or two; Ray, MLflow's server and PostgreSQL are real. Whatever
happens, the study goes on, or the same command with --resume goes on with it; in the end Optuna's
trials, MLflow's runs, Tune's trials and the tables' rows agree, each curve has each step once.
"""

import argparse
import collections
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from study.folder import StudyFolder
from tests.books import check_books
from tests.services import ROOT, MlflowServer, PostgreSQL, Server, wait_for

STEPS = 8
REFUSED = 2
QUIET_SECONDS = (1.0, 6.0)
"""Time between two faults."""
AWAY_SECONDS = (1.0, 12.0)
"""Time that a server or the disk's room is gone."""
START_SECONDS = 40.0
"""Time that a driver may take to begin its first trial."""
END_SECONDS = 240.0
"""Time that a study may take to end once nothing disturbs it."""


class Soak:
    """One study after the other on servers that come and go.

    Args:
        folder: Where all of it lies.
        seed: Of what happens when.
        log: Where the drivers write.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.log = folder / "driver.log"
        self.results = folder / "results"
        self.results.mkdir()
        self.has_disk = self._mount()
        self.postgresql = PostgreSQL()
        self.postgresql.start()
        os.environ["PGPASSWORD"] = self.postgresql.password
        self.storage = self.postgresql.make_database("optuna")
        database = self.postgresql.make_database("mlflow")
        self.mlflow = MlflowServer(folder, database)
        self.mlflow.start()
        self.folder = StudyFolder(self.results, "small")
        self.num_encoders = 4
        self.driver: Server | None = None
        self.disturbed = False
        self.back: list[tuple[float, Callable[[], None]]] = []
        self.counts: collections.Counter[str] = collections.Counter()
        self.ends: collections.Counter[int] = collections.Counter()

    def faults(self) -> dict[str, Callable[[], None]]:
        """Everything that can happen, by its name."""
        found = {
            "trial killed": self.kill_trial,
            "driver killed": lambda: self.end_driver(signal.SIGKILL),
            "driver stopped": lambda: self.end_driver(signal.SIGTERM),
            "checkpoint damaged": self.damage_checkpoint,
            "second driver": self.start_twin,
            "MLflow away": self.stop_mlflow,
            "PostgreSQL restarted": self.stop_postgresql,
        }
        if self.has_disk:
            found["disk full"] = self.fill_disk
        return found

    def run(self, seconds: float, only: str | None = None, count: float = math.inf) -> None:
        """Lets things happen for a while, then lets the study end, and checks.

        Args:
            seconds: How long.
            only: The one fault that happens; None for all.
            count: How often something happens.
        """
        order: list[str] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.counts.total() < count:
            self.keep_driver()
            self.pause(self.random.uniform(*QUIET_SECONDS))
            if not self.driver_runs():  # it came to its end: nothing that could be hit
                continue
            if not order:  # each once before any twice
                names = list(self.faults()) if only is None else [only]
                order = self.random.sample(names, len(names))
            name = order.pop()
            self.counts[name] += 1
            self.say(f"{name} ({self.counts.total()})")
            self.faults()[name]()
        self.finish()
        self.say(f"faults: {dict(self.counts)}; exit codes of drivers: {dict(self.ends)}")

    def keep_driver(self) -> None:
        """Sees to it that a driver runs; one that came to its end has its books checked."""
        if self.driver_runs():
            return
        if self.driver is not None:
            code = self.end_code()
            self.say(f"the driver ended with {code}")
            if code == 0:
                self.check()
                self.num_encoders += self.random.randint(1, 3)
        self.restore_all()
        before = self.num_starts()
        self.start_driver()
        # Faults of a start are faults too, but most are to hit a study that is at work.
        end = time.monotonic() + START_SECONDS * self.random.choice([0.1, 1, 1, 1])
        while self.num_starts() == before and self.driver_runs() and time.monotonic() < end:
            self.pause(0.1)

    def driver_runs(self) -> bool:
        """Whether there is a driver that has not ended."""
        return self.driver is not None and self.driver.is_running

    def num_starts(self) -> int:
        """Trials that were begun, one or more times each."""
        path = self.results / "starts.txt"
        return len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0

    def finish(self) -> None:
        """Lets the study come to its end in peace."""
        self.restore_all()
        end = time.monotonic() + END_SECONDS
        while True:
            while self.driver is not None and self.driver.is_running:
                assert time.monotonic() < end, f"the study does not end; see {self.log}"
                time.sleep(0.2)
            if self.driver is not None and self.end_code() == 0:
                break
            assert time.monotonic() < end, f"the study does not end well; see {self.log}"
            self.start_driver()
        self.check()

    def check(self) -> None:
        """Compares the books."""
        address, number = self.mlflow.address, self.num_encoders
        self.restore_all()
        check_books(self.folder, address, self.storage, number, curve=STEPS)
        self.say(f"the books of {number} encoders agree")

    def command(self) -> list[str]:
        """What is started again and again."""
        return [
            sys.executable, str(ROOT / "tests" / "study" / "study_driver.py"), str(self.results),
            "attack.group=2", "study.max_concurrent=2", f"study.num_encoders={self.num_encoders}",
            "--resume",
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        """The drivers'."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
        return env | {
            "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "FAKE_STEPS": str(STEPS),
            "FAKE_SECONDS": "0.15", "FAKE_CHECKPOINT": "0.3", "OPTUNA_STORAGE": self.storage,
            "MLFLOW_TRACKING_URI": self.mlflow.address,
        }  # fmt: skip

    def start_driver(self) -> None:
        """Starts one."""
        self.disturbed = False
        self.driver = Server(self.command(), self.log, self.environment())
        self.driver.launch()

    def end_code(self) -> int:
        """How the driver ended; one that is refused while all is well is a fault of its own."""
        assert self.driver is not None
        code = self.driver.returncode
        assert code is not None
        self.ends[code] += 1
        # What begins while its database is away is refused, and rightly.
        assert code != REFUSED or self.disturbed, f"refused without a reason; see {self.log}"
        self.driver.kill()  # what a killed one left running
        self.driver = None
        return code

    def end_driver(self, blow: signal.Signals) -> None:
        """Kills or stops the driver, its trials as they are."""
        assert self.driver is not None
        self.driver.signal(blow)
        end = time.monotonic() + 60
        while self.driver.is_running:
            assert time.monotonic() < end, f"{blow.name} does not end the driver"
            time.sleep(0.05)
        self.ends[self.driver.returncode or 0] += 1
        if blow == signal.SIGTERM:
            self.driver.kill()
        # The trials of a killed one may still be writing when the next one starts.
        self.driver = None

    def kill_trial(self) -> None:
        """Kills the process of a trial."""
        assert self.driver is not None
        found = []
        for process in self.driver.processes():
            try:
                name = " ".join(process.cmdline())
            except psutil.Error:
                continue
            if name.startswith("ray::") and "Train" in name:
                found.append(process)
        if found:
            self.random.choice(found).kill()

    def damage_checkpoint(self) -> None:
        """Flips a bit of a checkpoint, or cuts it off."""
        found = sorted((self.folder.root / "checkpoints").glob("*.pt"))
        if not found:
            return
        path = self.random.choice(found)
        try:
            content = bytearray(path.read_bytes())
            if self.random.random() < 0.5:
                content[len(content) // 2] ^= 1
            else:
                del content[len(content) // 2 :]
            path.write_bytes(content)
        except OSError:  # replaced meanwhile, or no room
            return

    def start_twin(self) -> None:
        """Starts the same study a second time, while the first one holds it."""
        assert self.driver is not None
        if not self.driver.is_running or self.back:
            return
        # It has its lock within seconds, or has ended by then.
        wait_for(self._is_held, "the driver to hold the study")
        if not self.driver.is_running:
            return
        twin = subprocess.run(
            self.command(), env=self.environment(), capture_output=True, text=True, check=False
        )
        if self.driver.is_running:
            assert twin.returncode == REFUSED, (twin.returncode, twin.stdout, twin.stderr)
            assert "is being run by another process" in twin.stderr, twin.stderr

    def stop_mlflow(self) -> None:
        """Kills MLflow's server for a while."""
        if self.mlflow.is_running:
            self.mlflow.kill()
            self.later(self.mlflow.start)

    def stop_postgresql(self) -> None:
        """Crashes PostgreSQL for a while."""
        if self.postgresql.is_running:
            self.postgresql.stop("immediate")
            self.later(self.postgresql.start)

    def fill_disk(self) -> None:
        """Takes all the room of the results folder for a while."""
        filler = self.results / ".filler"
        if not filler.exists():
            subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=4k"], check=False,
                           capture_output=True)  # fmt: skip
            self.later(lambda: filler.unlink())

    def later(self, call: Callable[[], None]) -> None:
        """Brings something back after a while."""
        self.disturbed = True
        self.back.append((time.monotonic() + self.random.uniform(*AWAY_SECONDS), call))

    def pause(self, seconds: float) -> None:
        """Waits, and brings back what is due."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for entry in list(self.back):
                # MLflow's server does not start without PostgreSQL.
                early = entry[1] == self.mlflow.start and not self.postgresql.is_running
                if entry[0] <= time.monotonic() and not early:
                    self.back.remove(entry)
                    entry[1]()
            time.sleep(0.1)

    def restore_all(self) -> None:
        """Brings everything back: PostgreSQL first, which MLflow needs."""
        waiting = [call for _, call in self.back]
        self.back.clear()
        for call in sorted(waiting, key=lambda call: call != self.postgresql.start):
            call()

    def close(self) -> None:
        """Ends everything."""
        if self.driver is not None:
            self.driver.kill()
        self.mlflow.kill()
        self.postgresql.close()
        if self.has_disk:
            subprocess.run(["umount", "-l", str(self.results)], check=False)

    def say(self, text: str) -> None:
        """Prints a line, here and among what the drivers print."""
        line = f"soak {time.strftime('%H:%M:%S')}: {text}"
        print(line, flush=True)
        with self.log.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _is_held(self) -> bool:
        assert self.driver is not None
        try:
            inode = self.folder.lock.stat().st_ino
        except FileNotFoundError:
            return False
        owner, file = f" {self.driver.pid} ", f":{inode} "
        held = [line for line in Path("/proc/locks").read_text().splitlines() if "FLOCK" in line]
        return not self.driver.is_running or any(owner in x and file in x for x in held)

    def _mount(self) -> bool:
        """Whether the results folder could be made a small disk of its own."""
        command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(self.results)]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0


def main() -> int:
    """Soaks for as long as asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (30)")
    parser.add_argument("--seed", type=int, default=0, help="of what happens when (0)")
    parser.add_argument("--count", type=float, default=math.inf, help="faults at most")
    parser.add_argument("--only", metavar="FAULT", help="nothing else happens")
    parser.add_argument("--keep", action="store_true", help="keep the folder, for its log")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cutpoint-soak-"))
    print(f"soak in {folder}", flush=True)
    soak = Soak(folder, options.seed)
    try:
        if options.only not in (None, *soak.faults()):
            parser.error(f"--only: one of {', '.join(soak.faults())}, got {options.only!r}")
        soak.run(60 * options.minutes, options.only, options.count)
    finally:
        soak.close()
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
