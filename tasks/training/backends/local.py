"""The local backend: one trainer process, which ends with whoever started it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from configs.backends import LocalBackend
from configs.training import Training
from tasks.artifacts import Checkpoint, LocalModel
from tasks.errors import TrainingError
from tasks.lifeline import child_environment
from tasks.locks import is_held
from tasks.training.job import JobHandle, JobStatus, TrainingJob, take_checkpoint
from tasks.training.placement import place_trainer
from tasks.training.preflight.estimate import Load, Preflight
from tasks.training.preflight.run import check_disk
from tasks.training.trainer import LOCK

STARTUP_SECONDS = 60.0


class LocalProcess:
    """Runs ``python -m tasks.training.trainer`` in a session of its own.

    The trainer holds a file lock for as long as it lives. That lock, not a process id, says
    whether a job is running, so that two flows never train it twice. It ends with the process that
    started it; what it has saved stays, and the next run goes on from there.
    """

    poll_seconds = 0.5
    keeps_weights = False

    def check(self, training: Training, model: LocalModel, load: Load, rows: int) -> Preflight:
        """Return what can be known before a job is submitted."""
        return check_disk(model)

    def plan(self, job: TrainingJob) -> dict[str, Any]:
        """Return the command that ``submit`` would run and where; nothing is written or started."""
        return {
            "command": command(place_trainer(job.backend), job.folder / "job.json"),
            "folder": str(job.folder),
        }

    def submit(self, job: TrainingJob) -> JobHandle:
        """Start the job unless it runs or is done; after a failure or a kill, go on with it."""
        job.folder.mkdir(parents=True, exist_ok=True)
        handle = self._stored(job)
        if handle is not None and self._serves(handle):
            return handle
        _set_aside(job.folder / "result.json")
        process = self._start(job, job.write())
        handle = JobHandle(backend="local", key=job.key, folder=job.folder, pid=process.pid)
        (job.folder / "handle.json").write_text(handle.model_dump_json())
        self._await_lock(process, job.folder)
        return handle

    def poll(self, handle: JobHandle) -> JobStatus:
        """Return where the job stands, from its lock, its result and its metrics stream."""
        running = is_locked(handle.folder)
        steps = _steps(handle.folder)
        latest = latest_record(handle.folder / "losses.jsonl")
        step = int(latest.get("step", 0))
        result = handle.folder / "result.json"
        if result.is_file():
            found = json.loads(result.read_text())
            return JobStatus(
                state=found["status"],
                step=step,
                steps=steps,
                latest=latest,
                message=found.get("message", ""),
            )
        state = "running" if running else "lost"
        return JobStatus(state=state, step=step, steps=steps, latest=latest)

    def cancel(self, handle: JobHandle) -> None:
        """End the trainer's process; its saved states stay."""
        if not is_locked(handle.folder):
            return
        # The launcher ends its processes; where it is gone itself, the first of them is told.
        for pid in (handle.pid, _holder(handle.folder)):
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)

    def collect(self, job: TrainingJob, handle: JobHandle) -> Checkpoint:
        """Return the checkpoint: the trainer worked in the job's folder."""
        return take_checkpoint(job)

    def _stored(self, job: TrainingJob) -> JobHandle | None:
        path = job.folder / "handle.json"
        return JobHandle.model_validate_json(path.read_text()) if path.is_file() else None

    def _serves(self, handle: JobHandle) -> bool:
        """Return whether the job runs or is done; one whose weights were since lost is neither."""
        state = self.poll(handle).state
        return state == "running" or (state == "completed" and (handle.folder / "out").is_dir())

    def _start(self, job: TrainingJob, job_file: Path) -> "subprocess.Popen[bytes]":
        with (job_file.parent / "trainer.log").open("ab") as log:
            return subprocess.Popen(
                command(place_trainer(job.backend), job_file),
                env=child_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _await_lock(self, process: "subprocess.Popen[bytes]", folder: Path) -> None:
        deadline = time.monotonic() + STARTUP_SECONDS
        while not is_locked(folder) and not (folder / "result.json").is_file():
            if process.poll() is not None or time.monotonic() > deadline:
                raise TrainingError(
                    "the trainer did not start.",
                    where=str(folder / "trainer.log"),
                    fix="read the end of that file.",
                )
            time.sleep(0.05)


def command(place: LocalBackend, job_file: Path) -> list[str]:
    """Return the command that trains: one process, or the launcher of as many as the place says."""
    count = count_processes(place)
    if count == 1 and place.sharding == "none":
        return [sys.executable, "-m", "tasks.training.trainer", str(job_file)]
    return [sys.executable, "-m", "tasks.training.launcher", str(count), str(job_file)]


def count_processes(place: LocalBackend) -> int:
    """Return how many processes share a step: as asked, or one for each GPU, or one."""
    if place.processes is not None:
        return place.processes
    import torch

    return max(torch.cuda.device_count(), 1)


def _holder(folder: Path) -> int | None:
    text = (folder / LOCK).read_text()
    return int(text) if text.isdigit() else None


def is_locked(folder: Path) -> bool:
    """Return whether a living trainer holds the job's lock."""
    return is_held(folder / LOCK)


def latest_record(stream: Path) -> dict[str, float]:
    """Return the last complete line of a metrics stream; empty when there is none."""
    if not stream.is_file():
        return {}
    lines = stream.read_bytes().split(b"\n")[:-1]
    return dict(json.loads(lines[-1])) if lines else {}


def _steps(folder: Path) -> int:
    return int(json.loads((folder / "job.json").read_text())["steps"])


def _set_aside(result: Path) -> None:
    """Keep the record of a failed attempt under its own number."""
    if result.is_file():
        attempt = len(list(result.parent.glob("result-*.json"))) + 1
        result.rename(result.with_name(f"result-{attempt}.json"))
