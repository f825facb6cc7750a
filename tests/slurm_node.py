"""A SLURM of one node on this machine, for as long as a test needs it.

Needs Debian's slurm-wlm and munge, and root, as in a container: `apt-get install slurm-wlm munge`.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

_SETTINGS = """
ClusterName=tvbjax
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={other}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=1
SlurmctldParameters=preempt_send_user_signal
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """Why there can be none here, if there cannot."""
    for program in ("munged", "slurmctld", "slurmd", "sbatch"):
        if shutil.which(program, path=_PATH) is None:
            return f"{program} is not installed (apt-get install slurm-wlm munge)"
    return None if os.geteuid() == 0 else "only root can start it"


_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


@contextlib.contextmanager
def slurm_node(folder: Path) -> Iterator[None]:
    """SLURM, with SLURM_CONF set for its commands."""
    settings = folder / "slurm.conf"
    key = folder / "munge.key"
    for name in ("state", "spool"):
        (folder / name).mkdir()
    host = socket.gethostname().split(".")[0]
    port, other = _free_ports(2)
    cpus = len(os.sched_getaffinity(0))
    settings.write_text(
        _SETTINGS.format(host=host, port=port, other=other, folder=folder, cpus=cpus)
    )
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    environment = os.environ | {"SLURM_CONF": str(settings), "PATH": _PATH}
    programs = [
        (
            "munged --foreground --force --num-threads=2 "
            f"--socket={folder}/munge.socket --key-file={key} --pid-file={folder}/munge.pid "
            f"--log-file={folder}/munge.log --seed-file={folder}/munge.seed"
        ).split(),
        ["slurmctld", "-D", "-f", str(settings)],
        ["slurmd", "-D", "-f", str(settings)],
    ]
    before = os.environ.get("SLURM_CONF")
    running = []
    try:
        for program in programs:
            with open(folder / f"{program[0]}.out", "w") as out:
                running.append(
                    subprocess.Popen(program, env=environment, stdout=out, stderr=subprocess.STDOUT)
                )
            time.sleep(1.0)
        os.environ["SLURM_CONF"] = str(settings)
        _await(folder, running)
        yield
    finally:
        subprocess.run(["scancel", "--user=root"], env=environment, capture_output=True)
        for process in reversed(running):
            process.terminate()
        for process in running:
            process.wait(30)
        os.environ.pop("SLURM_CONF")
        if before is not None:
            os.environ["SLURM_CONF"] = before


def _await(folder: Path, running: list[subprocess.Popen]) -> None:
    until = time.monotonic() + 90
    while True:
        done = subprocess.run(["sinfo", "-h", "-o", "%t"], capture_output=True, text=True)
        if done.stdout.strip() == "idle":
            return
        ended = [p.args[0] for p in running if p.poll() is not None]  # type: ignore[index]
        if ended or time.monotonic() > until:
            logs = "\n".join(
                f"{path.name}: {path.read_text()[-600:]}" for path in sorted(folder.glob("*.out"))
            )
            raise RuntimeError(
                f"SLURM does not start ({ended}; {done.stdout}{done.stderr}): {logs}"
            )
        time.sleep(0.5)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
