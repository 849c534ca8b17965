"""Where a benchmark ran: what every kept table says of its machine, versions and date."""

import datetime
import os
import platform
from pathlib import Path

import torch

from trainables.provenance import processor

RESULTS = Path(__file__).parent / "results"


def describe_machine() -> str:
    """One line: processor, cores, memory, device, versions, date."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return (
        f"{processor()}, {len(os.sched_getaffinity(0))} cores, {_memory_gib():.0f} GiB, {device}; "
        f"Python {platform.python_version()}, torch {torch.__version__}; {today}"
    )


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def synchronise(device: torch.device) -> None:
    """Waits for what a device was given to do: a clock must not stop before it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def keep_table(name: str, command: str, table: str) -> Path:
    """Writes a table with the command and the machine that made it to `results/NAME.md`."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.md"
    path.write_text(f"`{command}`\n\n{describe_machine()}\n\n{table}\n", encoding="utf-8")
    return path
