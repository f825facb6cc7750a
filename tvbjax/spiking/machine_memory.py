"""How much memory there is, to say beforehand what would not fit."""

import os


def free_bytes() -> int | None:
    """The bytes of memory that are free, None where that cannot be told."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") + _cached()
    except (ValueError, OSError, AttributeError):
        return None


def _cached() -> int:
    """What Linux would give back of its files' cache."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            found = dict(line.split(":", 1) for line in lines)
        return 1024 * int(found["Cached"].split()[0])
    except (OSError, KeyError, ValueError, IndexError):
        return 0
