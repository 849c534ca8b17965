"""One thread per process, as a trial has: tests share the machine with trials they start."""

import os
from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

from tests.services import PostgreSQL

torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with what may take longest: in a parallel run the last to begin decides the end."""

    def allowed(item: pytest.Item) -> float:
        mark = item.get_closest_marker("timeout")
        return float(mark.args[0]) if mark is not None and mark.args else 0.0

    items.sort(key=allowed, reverse=True)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL that runs."""
    server = PostgreSQL()
    server.start()
    yield server
    server.close()
