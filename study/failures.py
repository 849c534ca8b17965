"""Why a trial failed, in words that say what to change."""

SETTINGS = {
    "protect": "protector.batch_size, model.width or data.image_size",
    "attack": "attack.batch_size or attack.group",
    "reference": "attack.batch_size or attack.group",
}
"""What makes a trial of each kind smaller."""
SILENT = "its process ended without a word (killed, or out of memory?)"


def explain(reason: str, kind: str) -> str:
    """Adds to the last line of what a trial raised what can be done about it.

    Args:
        reason: The line.
        kind: What the trial was to do: protect, attack or reference.
    """
    part = "protect" if kind == "protect" else "attack"
    if ("OutOfMemoryError" in reason and "CUDA" in reason) or "DefaultCPUAllocator" in reason:
        unit = "gpus" if "CUDA" in reason else "cpus"
        return f"{reason}; lower {SETTINGS[kind]}, or raise resources.{unit}_per_{part}"
    if "MemoryError" in reason or reason == SILENT:
        return (
            f"{reason}; if memory was short: lower {SETTINGS[kind]}, or raise "
            f"resources.cpus_per_{part}, so that fewer trials share the machine"
        )
    if "No space left" in reason or "Disk quota" in reason:
        return f"{reason}; make room in the results folder, or choose another by --results"
    return reason
