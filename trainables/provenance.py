"""Where figures come from: which code, which versions, which machine."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

LIBRARIES = ("torch", "torchvision", "ray", "optuna", "mlflow", "numpy", "scikit-learn", "pyarrow")
ROOT = Path(__file__).resolve().parent.parent
GIT_SECONDS = 5.0


def code_version(root: Path) -> str:
    """The commit of a checkout, `+ changes` if files differ from it; empty outside of one."""
    commit = _git(root, "rev-parse", "HEAD")
    if not commit:
        return ""
    return commit + (" + changes" if _git(root, "status", "--porcelain") else "")


def _git(root: Path, *words: str) -> str:
    # Of this folder alone: a copy may lie within somebody else's checkout.
    if not (root / ".git").exists():
        return ""
    try:
        ended = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=False,
            timeout=GIT_SECONDS, env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ended.stdout.strip() if ended.returncode == 0 else ""


def versions() -> dict[str, str]:
    """Python's version and those of what computes and stores."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> str:
    """This machine, without its name."""
    cores = len(os.sched_getaffinity(0))
    return f"{platform.system()} on {platform.machine()}, {cores} cores"


def processor() -> str:
    """The processor's model."""
    info = Path("/proc/cpuinfo")
    for line in info.read_text(encoding="utf-8").splitlines() if info.exists() else ():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def device() -> str:
    """What computes: the GPU's name, else the processor's."""
    import torch  # seconds that a caller who asks for the commit alone need not wait

    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else processor()
