"""The soak, as long as CI can afford: each fault once."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def soak(*words: str) -> list[str]:
    """What it said, having ended well."""
    ended = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "soak.py"), *words],
        capture_output=True, text=True, check=False, timeout=800,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    lines = ended.stdout.splitlines()
    assert "the books of" in lines[-2]
    return lines


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(900)
def test_a_minute_of_faults_leaves_the_books_in_order() -> None:
    lines = soak("--minutes", "0.7", "--seed", "3")
    assert any("driver killed" in line for line in lines)
