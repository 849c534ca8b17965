"""The driver killed ten times in a row.

A file of its own, and the longest test of all: it begins first, beside all others.
"""

import pytest

from tests.study.test_soak import soak


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(1200)
def test_ten_kills_of_the_driver_leave_the_books_in_order() -> None:
    lines = soak("--count", "10", "--only", "driver killed", "--minutes", "12", "--seed", "3")
    assert "{'driver killed': 10}" in lines[-1]
