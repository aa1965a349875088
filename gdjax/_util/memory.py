"""How much a machine can take: free memory, and sizes as a person reads them."""

import os

SHARE = 0.8  # of the free memory, or of the free disk, that may be asked for
NEGLIGIBLE_BYTES = 2**20  # bytes not worth a question: the answer takes as long as a short descent


def available_memory() -> int:
    """Bytes that can be had without swapping, as far as the system says."""
    try:
        with open("/proc/meminfo") as lines:
            return next(1024 * int(s.split()[1]) for s in lines if s.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def size(count: int) -> str:
    """So many bytes, for a message.

    Example:
        >>> size(2_500_000_000), size(12_000)
        ('2.5 GB', '0.012 MB')
    """
    if count < 1e9:
        return f"{count / 1e6:.3g} MB"
    return f"{count / 1e9:,.0f} GB" if count >= 1e11 else f"{count / 1e9:.3g} GB"
