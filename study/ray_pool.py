"""A pool of workers whose tasks Ray places, with the face of Python's own pools."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import ray

MAX_FAILURES = 2
"""Times a task is started again whose process or node was lost."""


class RayPool(Executor):
    """Runs every call as a Ray task of its own; Ray must be connected.

    Args:
        cpus: Cores that each task holds.
        gpus: Devices that each task holds.
    """

    def __init__(self, cpus: float, gpus: float) -> None:
        self._options = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": MAX_FAILURES}
        self._refs: list[Any] = []

    def submit(  # type: ignore[override]
        self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """Starts a call as soon as there is room for it."""
        ref = ray.remote(_call).options(**self._options).remote(fn, args, kwargs)
        self._refs.append(ref)
        future: Future[Any] = ref.future()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes back what has not ended, if it is asked to."""
        if cancel_futures:
            for ref in self._refs:
                ray.cancel(ref, force=True)


def _call(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return fn(*args, **kwargs)
