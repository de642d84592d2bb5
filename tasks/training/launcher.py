"""``python -m tasks.training.launcher COUNT job.json``: a job in several processes of this machine.

They find each other through a file, so that no port is opened for it, and what they say to each
other goes over the loopback interface alone. Where one of them ends badly, or whoever started the
launcher is gone, all end.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from tasks.lifeline import GRACE_SECONDS, child_environment, end_with_parent

MEETING = "TEMPER_RENDEZVOUS"
"""The file through which the processes find each other, in their environment."""
LAST_SECONDS = 120.0
"""How long the others may go on after the first process has ended well."""


def main(count: int, job_file: str) -> int:
    """Run the job in ``count`` processes; return 0 where all ended well."""
    end_with_parent()
    folder = Path(tempfile.mkdtemp(prefix="temper-"))
    signal.signal(signal.SIGTERM, _stop)
    ranks: list[subprocess.Popen[bytes]] = []
    try:
        for rank in range(count):
            ranks.append(
                subprocess.Popen(
                    [sys.executable, "-m", "tasks.training.trainer", job_file],
                    env=_environment(rank, count, folder / "rendezvous"),
                    stdin=subprocess.DEVNULL,
                )
            )
        return _wait(ranks)
    finally:
        _end(ranks)
        shutil.rmtree(folder, ignore_errors=True)


def join_ranks() -> None:
    """Join the processes that the launcher started; nothing where it started none.

    Where torchrun did, on machines of a cluster, Accelerate joins them by its own means.
    """
    place = os.environ.get(MEETING)
    if place is None:
        return
    import torch

    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        backend = "nccl"
    torch.distributed.init_process_group(
        backend,
        init_method=f"file://{place}",
        rank=int(os.environ["RANK"]),
        world_size=int(os.environ["WORLD_SIZE"]),
    )


def _environment(rank: int, count: int, place: Path) -> dict[str, str]:
    loopback = "lo" if sys.platform == "linux" else "lo0"
    return {
        "OMP_NUM_THREADS": "1",  # as many processes as cores are the rule; a user's own value wins
        **child_environment(),
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        # Accelerate looks for these; nothing listens there.
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "0",
        "GLOO_SOCKET_IFNAME": loopback,
        "NCCL_SOCKET_IFNAME": loopback,
        MEETING: str(place),
    }


def _wait(ranks: Sequence["subprocess.Popen[bytes]"]) -> int:
    deadline = None
    while True:
        codes = [rank.poll() for rank in ranks]
        if bad := [code for code in codes if code]:
            return 1 if bad[0] < 0 else bad[0]
        if None not in codes:
            return 0
        if codes[0] == 0:
            deadline = deadline or time.monotonic() + LAST_SECONDS
            if time.monotonic() > deadline:
                return 1
        time.sleep(0.1)


def _end(ranks: Sequence["subprocess.Popen[bytes]"]) -> None:
    for rank in ranks:
        if rank.poll() is None:
            rank.terminate()
    deadline = time.monotonic() + GRACE_SECONDS / 2
    for rank in ranks:
        with contextlib.suppress(subprocess.TimeoutExpired):
            rank.wait(max(deadline - time.monotonic(), 0.01))
        if rank.poll() is None:
            rank.kill()
            rank.wait()


def _stop(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2]))
