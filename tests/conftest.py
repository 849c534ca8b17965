"""One thread per process, as a trial has: tests share the machine with trials they start."""

import os
from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

from tests.services import PostgreSQL

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL that runs."""
    server = PostgreSQL()
    server.start()
    yield server
    server.close()
