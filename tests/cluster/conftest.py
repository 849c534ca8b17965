"""Servers that the cluster's tests share: each is started once and ended with the last test."""

from collections.abc import Iterator

import pytest

from tests.services import PostgreSQL


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL that runs."""
    server = PostgreSQL()
    server.start()
    yield server
    server.close()
