"""Memory that is freed stays with the process: the next training step asks for the same again.

glibc hands large pieces back to the system and gets them again page by page, each page cleared: a
thousand of them in a step of a small net.
"""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
KEPT_BYTES = 1 << 30
"""Freed memory at the end of the heap that is kept."""
LARGEST_KEPT = 1 << 25
"""Pieces above are always the system's own; glibc allows no more."""


def keep_freed_memory(kept: int = KEPT_BYTES) -> bool:
    """Has glibc keep what is freed, for this process and until it ends.

    Args:
        kept: Bytes at the end of the heap that are not handed back.

    Returns:
        Whether it could be told; False where the C library is another, which stays as it is.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    told = [mallopt(_TRIM_THRESHOLD, kept), mallopt(_MMAP_THRESHOLD, LARGEST_KEPT)]
    return all(result == 1 for result in told)
