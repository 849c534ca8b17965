"""Settings of libraries that can only be told by the environment."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def environment(**settings: str) -> Iterator[None]:
    """Sets variables of the environment for a while."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
