"""Ends the workers when their driver is gone, however it went: no process is left behind.

Needs Python alone. Reads lines of `+group folder` and `-group folder`; at the end of its input,
which is when the driver has ended, every process of the groups that are left is killed, and their
folders are removed.
"""

import contextlib
import os
import shutil
import signal
import sys


def main() -> None:
    """Read until the driver ends."""
    folders: dict[int, str] = {}
    for line in sys.stdin:
        group, folder = line[1:].rstrip("\n").split(" ", 1)
        if line.startswith("+"):
            folders[int(group)] = folder
        else:
            folders.pop(int(group), None)
    for group in folders:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    for folder in folders.values():
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
