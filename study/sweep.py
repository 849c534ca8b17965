"""Runs a search as one Tune experiment, on a local Ray or on a cluster."""

import logging
import os
import signal
import socket
import tempfile
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray import tune

from study.config import ResourcesConfig, StudyConfig
from study.errors import ConfigError
from study.search import VerifiedSearch
from study.trial import CHECKPOINT_SECONDS, StudyTrial, TrialFactory, make_trial

OBJECT_STORE_BYTES = 200 * 1024 * 1024
"""Trials exchange files and a few numbers, no large objects."""
CONNECT_SECONDS = 5.0
"""Patience with a cluster on first contact."""
MAX_FAILURES = 1
"""Times a trial is started again after an error before it has failed for good."""


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
    address = os.environ.get("RAY_ADDRESS")
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": log_level}
    if address and address != "local":
        _knock(address)
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


def _knock(address: str) -> None:
    """Refuses an address where nobody listens; Ray itself would try for many minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():  # `auto` and the like: Ray looks the address up, and fails at once
        return
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except OSError as error:
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
    """Refuses trials that could never start.

    Raises:
        ConfigError: Naming the field and what there is.
    """
    for kind in ("protect", "attack"):
        for unit, available in (("cpus", cpus), ("gpus", gpus)):
            wanted = getattr(parts, f"{unit}_per_{kind}")
            if wanted > available:
                raise ConfigError(
                    f"resources.{unit}_per_{kind}: {wanted:g} asked for, "
                    f"but there are {available:g} {unit}"
                )


def cluster_resources() -> tuple[float, float]:
    """CPUs and GPUs of the Ray that is connected."""
    resources = ray.cluster_resources()
    return float(resources.get("CPU", 0)), float(resources.get("GPU", 0))


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
    """
    cpus, gpus = cluster_resources()
    trainable = tune.with_resources(
        tune.with_parameters(StudyTrial, factory=factory, checkpoint_seconds=checkpoint_seconds),
        Bundles(config.resources),
    )
    for name in ("ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.ERROR)
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
        tuner.fit()


class Bundles:
    """Resources of a trial by its kind; a class, so that it can be sent to the workers."""

    def __init__(self, resources: ResourcesConfig) -> None:
        self._resources = resources.model_dump()

    def __call__(self, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """Returns one bundle: the trial runs in it whole, device included."""
        kind = config["kind"]
        bundle = {"CPU": float(self._resources[f"cpus_per_{kind}"])}
        gpus = float(self._resources[f"gpus_per_{kind}"])
        if gpus:
            bundle["GPU"] = gpus
        return tune.PlacementGroupFactory([bundle])


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
