"""Whether processes are still there."""

import time


def await_ends(pids, seconds=120.0):
    """Wait until none of these is left."""
    until = time.monotonic() + seconds
    while any(map(is_alive, pids)):
        assert time.monotonic() < until, "a process is left"
        time.sleep(0.05)


def is_alive(pid):
    """Ended ones that nobody has asked about do not count."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
