"""How much a machine can take: free memory, and sizes as a person reads them."""

from pathlib import Path

from gdjax._util.errors import ArgumentError

SHARE = 0.8  # of the free memory, or of the free disk, that may be asked for
NEGLIGIBLE_BYTES = 2**20  # bytes not worth a question: the answer takes as long as a short descent

STARTUP = 25 * 10**8  # bytes of addresses that JAX needs to begin, most of which it never touches
CGROUP = Path("/sys/fs/cgroup")  # of a container, as its processes see it; Linux alone has one


def available_memory() -> int:
    """Bytes that can be had without swapping, as far as the system says.

    The system is asked by psutil, on Linux, macOS and Windows alike. A container on Linux may
    have less than that, and so may a process, by ``ulimit -v``: their limits count too.

    Example:
        >>> available_memory() > 0
        True
    """
    import psutil  # here, since few calls need it

    free = psutil.virtual_memory().available
    limits = _room_in_container(), _room_in_process()
    return min([free, *(limit for limit in limits if limit is not None)])


def _room_in_container() -> int | None:
    """Bytes below the container's limit; None where there is no limit (cgroup v2 says "max")."""
    try:
        limit, used = (int((CGROUP / f"memory.{k}").read_text()) for k in ("max", "current"))
        lines = (CGROUP / "memory.stat").read_text().splitlines()
        cache = next(int(s.split()[1]) for s in lines if s.startswith("inactive_file "))
    except (OSError, ValueError, StopIteration):
        return None
    return max(limit - used + cache, 0)  # files that are only cached make room


def _room_in_process() -> int | None:
    """Bytes that may still be added to the addresses of this process; None without a limit."""
    limit = _limit_of_process()
    if limit is None:
        return None
    import psutil

    return max(limit - psutil.Process().memory_info().vms, 0)


def _limit_of_process() -> int | None:
    """Bytes of addresses that this process may have; None without a limit."""
    try:
        import resource  # Windows has none
    except ImportError:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit


def check_startup() -> None:
    """Refuse to load JAX where its C++ would end the process, which nothing in Python can tell.

    Raises:
        MemoryError: the process may not have that many addresses.
    """
    limit = _limit_of_process()
    if limit is not None and limit < STARTUP:
        raise MemoryError(
            f"JAX needs {size(STARTUP)} of addresses to begin, and this process may have "
            f"{size(limit)}: raise the limit, ulimit -v {STARTUP // 1024} or more"
        )


def check_fits(need: int, what: str, advice: str) -> None:
    """Refuse what would not fit into memory, before any of it is made.

    Args:
        need: bytes, at the least.
        what: the argument, and what it would take them for.
        advice: what to do about it.

    Raises:
        ArgumentError: more than four fifths of the memory that is free.

    Example:
        >>> check_fits(10**18, "steps=10 as a path", "take fewer")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        gdjax._util.errors.ArgumentError: steps=10 as a path needs 1,000,000,000 GB of memory, ...
    """
    if need <= NEGLIGIBLE_BYTES:
        return
    free = available_memory()
    if need > SHARE * free:
        raise ArgumentError(
            f"{what} needs {size(need)} of memory, and {size(free)} are free; {advice}"
        )


def size(count: int) -> str:
    """So many bytes, for a message.

    Example:
        >>> size(2_500_000_000), size(12_000), size(10**400)
        ('2.5 GB', '0.012 MB', 'more than 1,000,000,000 GB')
    """
    if count > 10**18:
        return "more than 1,000,000,000 GB"
    if count < 1e9:
        return f"{count / 1e6:.3g} MB"
    return f"{count / 1e9:,.0f} GB" if count >= 1e11 else f"{count / 1e9:.3g} GB"
