"""Ends the workers when their driver is gone, however it went: no process is left behind.

Needs Python alone. Reads `+group` and `-group` lines; at the end of its input, which is when the
driver has ended, every process of the groups that are left is killed.
"""

import contextlib
import os
import signal
import sys


def main() -> None:
    """Read until the driver ends."""
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        groups.add(group) if line.startswith("+") else groups.discard(group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
