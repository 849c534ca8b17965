"""Where a benchmark ran: what every kept table says of its machine, versions and date."""

import datetime
import os
import platform
import sys
from collections.abc import Mapping
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


def show_and_keep(name: str, table: str, places: Mapping[Path | None, str] | None = None) -> None:
    """Prints a table, and writes it to `results/NAME.md` with its command and its machine.

    Args:
        name: Of the file.
        table: And what is to be read below it.
        places: Paths of this machine in the command, each with the word to keep in its stead; None
            where an option was not given.
    """
    print(table)
    command = " ".join([f"python benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    for place, word in (places or {}).items():
        command = command if place is None else command.replace(str(place), word)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.md"
    path.write_text(f"`{command}`\n\n{describe_machine()}\n\n{table}\n", encoding="utf-8")
    print(f"kept in {path}")
