"""Runs a search as one Tune experiment, on a local Ray or on a cluster."""

import logging
import os
import signal
import socket
import tempfile
import types
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from study.config import ResourcesConfig, StudyConfig
from study.mirror import Mirror
from study.search import VerifiedSearch
from study.trial import CHECKPOINT_SECONDS, Bundles, StudyTrial, TrialFactory, make_trial
from trainables.errors import ConfigError

OBJECT_STORE_BYTES = 200 * 1024 * 1024
"""Trials exchange files and a few numbers, no large objects."""
CONNECT_SECONDS = 5.0
"""Patience with a cluster on first contact."""
MAX_FAILURES = 1
"""Times a trial is started again after an error before it has failed for good."""
PROBE_SECONDS = 60.0
"""Patience with a node that is to read and write the results folder."""


def num_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def start_ray(log_level: int = logging.ERROR) -> None:
    """Connects to $RAY_ADDRESS, or starts Ray here; quiet, without its dashboard.

    Raises:
        ConfigError: If the address does not answer.
    """
    if ray.is_initialized():
        return
    os.environ.setdefault("RAY_DEDUP_LOGS", "1")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    # Ray's own tables; its old output is silent at verbosity 0.
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    address = cluster_address()
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": log_level}
    if address is not None:
        knock(address)
        try:
            ray.init(address=address, **common)
        except Exception as error:  # ConnectionError, RuntimeError, gRPC's own: all mean the same
            raise ConfigError(_no_ray(address, error)) from error
        return
    ray.init(
        address="local",
        # Nobody but this machine needs to reach a Ray that serves one study here.
        _node_ip_address="127.0.0.1",
        num_cpus=num_cores(),
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        **common,
    )


def cluster_address() -> str | None:
    """$RAY_ADDRESS where it names a cluster; None where Ray is started here."""
    address = os.environ.get("RAY_ADDRESS")
    return None if address in (None, "", "local") else address


def knock(address: str) -> None:
    """Refuses an address where nobody listens; Ray itself would try for many minutes.

    Raises:
        ConfigError: If nobody does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():  # `auto` and the like: Ray looks the address up, and fails at once
        return
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, UnicodeError, OverflowError) as error:  # no answer, no host name, no port
        raise ConfigError(_no_ray(address, error)) from error


def max_concurrent(config: StudyConfig, cpus: float, gpus: float) -> int:
    """Trials at a time: as many of the smaller kind as the cores and devices hold."""
    if config.study.max_concurrent is not None:
        return config.study.max_concurrent
    parts = config.resources
    fits = int(cpus // min(parts.cpus_per_protect, parts.cpus_per_attack))
    least_gpus = min(parts.gpus_per_protect, parts.gpus_per_attack)
    if least_gpus > 0:
        fits = min(fits, int(gpus / least_gpus + 1e-9))
    return max(1, fits)


def check_resources(parts: ResourcesConfig, cpus: float, gpus: float) -> None:
    """Refuses trials that could never start on a single machine.

    Raises:
        ConfigError: Naming the field and what there is.
    """
    check_nodes(parts, [(cpus, gpus)])


def check_nodes(parts: ResourcesConfig, nodes: Sequence[tuple[float, float]]) -> None:
    """Refuses trials that could never start: a trial runs whole on one node.

    Args:
        parts: What a trial asks for.
        nodes: (CPUs, GPUs) of every node.

    Raises:
        ConfigError: Naming the field and what there is.
    """
    where = "there are" if len(nodes) == 1 else f"the largest of {len(nodes)} nodes has"
    for kind in ("protect", "attack"):
        cpus, gpus = (float(getattr(parts, f"{unit}_per_{kind}")) for unit in ("cpus", "gpus"))
        if any(cpus <= node[0] and gpus <= node[1] for node in nodes):
            continue
        for index, (unit, wanted) in enumerate((("cpus", cpus), ("gpus", gpus))):
            available = max((node[index] for node in nodes), default=0.0)
            if wanted > available:
                raise ConfigError(
                    f"resources.{unit}_per_{kind}: {wanted:g} asked for, "
                    f"but {where} {available:g} {unit}"
                )
        raise ConfigError(
            f"resources.cpus_per_{kind}, resources.gpus_per_{kind}: {cpus:g} cpus and {gpus:g} "
            f"gpus asked for, but none of {len(nodes)} nodes has both"
        )


def cluster_resources() -> tuple[float, float]:
    """CPUs and GPUs of the Ray that is connected."""
    resources = ray.cluster_resources()
    return float(resources.get("CPU", 0)), float(resources.get("GPU", 0))


def node_resources() -> list[tuple[float, float]]:
    """CPUs and GPUs of each node of the Ray that is connected."""
    return [
        (float(node["Resources"].get("CPU", 0)), float(node["Resources"].get("GPU", 0)))
        for node in _alive_nodes()
    ]


def check_shared(
    storage: Mirror,
    nodes: Sequence[tuple[str, str]] | None = None,
    ask: Callable[[str, str, str], Callable[[], object]] | None = None,
) -> None:
    """Refuses a results folder that not every node of a cluster can read and write.

    Args:
        storage: The folder, or the address it is kept at.
        nodes: (id, name) of every node; None asks Ray.
        ask: Starts `probe` on a node and returns what waits for it; None does it through Ray.

    Raises:
        ConfigError: Naming the node and what it could not do.
    """
    if nodes is None:
        nodes = [(str(node["NodeID"]), str(node["NodeManagerHostname"])) for node in _alive_nodes()]
    if len(nodes) < 2 and storage.address is None:
        return
    token = uuid.uuid4().hex
    place = f".probe-{token}"
    names = [f"{place}/{name}" for name in ("driver", *(node_id for node_id, _ in nodes))]
    try:
        storage.write_text(token, names[0])
        answers = [(ask or _asking(storage))(node_id, place, token) for node_id, _ in nodes]
        for (node_id, name), wait in zip(nodes, answers, strict=True):
            try:
                wait()
                answer = storage.read_text(f"{place}/{node_id}")
                if answer != token:
                    raise OSError(f"it wrote {answer!r} instead of {token!r}")
            except Exception as error:  # the node's own, or Ray's about the node
                cause = getattr(error, "cause", None) or error
                raise ConfigError(
                    f"--results: {storage} is not storage that every node shares: node {name} "
                    f"could not read and write it: {cause}"
                ) from error
    except OSError as error:
        raise ConfigError(f"--results: cannot write to {storage}: {error}") from error
    finally:
        storage.discard(place, names)


def probe(storage: Mirror, node_id: str, place: str, token: str) -> None:
    """Reads what the driver wrote and writes the same; run on another node.

    Raises:
        OSError: If the driver's file is not there, or the folder cannot be written.
    """
    text = storage.read_text(f"{place}/driver")
    if text != token:
        raise OSError(f"the driver's file reads {text!r} instead of {token!r}")
    storage.write_text(token, f"{place}/{node_id}")


def _probe_on_node(results: str, address: str | None, node_id: str, place: str, token: str) -> None:
    probe(Mirror(Path(results), address), node_id, place, token)


def _asking(storage: Mirror) -> Callable[[str, str, str], Callable[[], object]]:
    """What starts a probe on a node of the Ray that is connected."""

    def ask(node_id: str, place: str, token: str) -> Callable[[], object]:
        where = NodeAffinitySchedulingStrategy(node_id, soft=False)
        task = ray.remote(_probe_on_node).options(
            num_cpus=0, scheduling_strategy=where, max_retries=0
        )
        answer = task.remote(str(storage.results), storage.address, node_id, place, token)
        return lambda: ray.get(answer, timeout=PROBE_SECONDS)

    return ask


def run_on_worker(work: Callable[..., Any], *given: Any, cpus: float, gpus: float) -> Any:
    """Calls a function where trials run, with what one of them would hold."""
    task = ray.remote(work).options(num_cpus=cpus, num_gpus=gpus, max_retries=0)
    return ray.get(task.remote(*given))


def _alive_nodes() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def run_sweep(
    config: StudyConfig,
    search: VerifiedSearch,
    factory: TrialFactory = make_trial,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> None:
    """Runs the search until it is finished, its time is up, or a signal stops it.

    Ray must be connected. `search.finished` says afterwards whether the search came to its end.

    Args:
        config: The study.
        search: What to run.
        factory: Builds the trials; another one than `make_trial` in tests.
        checkpoint_seconds: Time between a trial's checkpoints.

    Raises:
        Exception: What the search raised, if it did.
    """
    cpus, gpus = cluster_resources()
    trainable = tune.with_resources(
        tune.with_parameters(StudyTrial, factory=factory, checkpoint_seconds=checkpoint_seconds),
        Bundles(config.resources.model_dump()),
    )
    for name in ("ray.tune", "ray.train"):
        # A trial's errors are in its file, and the search says what became of it.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with (
        _sigterm_as_sigint(),
        tempfile.TemporaryDirectory(prefix="cutpoint-tune-") as storage,
    ):
        # Tune's own records are not needed after the run: all state is in the study's folder.
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=search,
                num_samples=-1,
                max_concurrent_trials=max_concurrent(config, cpus, gpus),
                reuse_actors=True,
                trial_name_creator=_short_name,
                trial_dirname_creator=_short_name,
            ),
            run_config=tune.RunConfig(
                name=config.study.name,
                storage_path=str(Path(storage)),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
            ),
        )
        try:
            tuner.fit()
        except Exception:
            if search.error is None:
                raise
        if search.error is not None:
            raise search.error  # as it was, not as Tune words it


def _short_name(trial: Any) -> str:
    return str(trial.config.get("key", trial.trial_id))


@contextmanager
def _sigterm_as_sigint() -> Iterator[None]:
    """Lets SIGTERM end the sweep as Ctrl-C does: Tune stops the trials, which save themselves."""

    def forward(signum: int, frame: types.FrameType | None) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    try:
        before = signal.signal(signal.SIGTERM, forward)
    except ValueError:  # not the main thread, which alone may set handlers
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _no_ray(address: str, error: Exception) -> str:
    text = (str(error) or type(error).__name__).splitlines()[0]
    hint = ""
    if "401" in text or "uthenticat" in str(error):
        hint = (
            " (the cluster asks for a token: `ray get-auth-token --generate`, RAY_AUTH_MODE=token)"
        )
    return f"RAY_ADDRESS: no Ray answers at {address!r}: {text}{hint}"
