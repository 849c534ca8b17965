"""What is freed is asked for again without the system's help."""

import platform
import subprocess
import sys

import pytest

from trainables import memory

FAULTS = """
import resource, torch
from trainables.memory import keep_freed_memory

def step():
    pieces = [torch.ones(4 << 20) for _ in range(4)]

def faults():
    step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults(), int(keep_freed_memory()), faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone is told")
def test_pages_are_not_fetched_again():
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True
    )
    before, told, after = map(int, done.stdout.split())
    assert told
    assert before > 10_000  # glibc keeps some by itself: not all 160,000 pages
    assert after < 100


def test_another_c_library_is_left_alone(monkeypatch):
    class Other:
        def __getattr__(self, name):
            raise AttributeError(name)

    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: Other())
    assert not memory.keep_freed_memory()
