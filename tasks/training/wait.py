"""Watching a job to its end."""

import time
from collections.abc import Callable

from tasks.artifacts import Checkpoint
from tasks.errors import TrainingError, Unreachable
from tasks.progress import report
from tasks.training.backend import TrainingBackend, open_backend
from tasks.training.checkpoint import take_checkpoint
from tasks.training.job import JobHandle, JobStatus, TrainingJob

Look = Callable[[JobStatus], None]
"""Called with where the job stands each time that is asked, and last with how it ended."""


def wait(job: TrainingJob, handle: JobHandle, look: Look | None = None) -> Checkpoint:
    """Return the job's checkpoint once it is done; a wait that is broken off stops the job.

    Args:
        job: The job.
        handle: How it is found.
        look: Told where the job stands; what it raises would stop the job.

    Raises:
        TrainingError: The trainer failed, or was killed.
        Unreachable: The backend does not answer; the job goes on and the next run finds it.
    """
    backend = open_backend(job.training.backend)
    watched(job, backend, handle, look)
    backend.collect(job, handle)
    return take_checkpoint(job)


def watched(
    job: TrainingJob, backend: TrainingBackend, handle: JobHandle, look: Look | None = None
) -> None:
    """Return once the job is done well; a wait that is broken off stops the job.

    Raises:
        TrainingError: The trainer failed, or was killed.
        Unreachable: The backend does not answer; the job goes on and the next run finds it.
    """
    try:
        status = _watch(backend, handle, look or _unseen)
    except Unreachable:
        raise
    except BaseException:
        # Cancelled from the UI or by Ctrl-C: no process may be left behind. A kill -9 never gets
        # here; the trainer then lives on and the next run finds it by its lock.
        backend.cancel(handle)
        raise
    if status.state != "completed":
        raise _failure(job, status)


def _watch(backend: TrainingBackend, handle: JobHandle, look: Look) -> JobStatus:
    while (status := backend.poll(handle)).state == "running":
        report("training", status.step, status.steps)
        look(status)
        time.sleep(backend.poll_seconds)
    report("training", status.step, status.steps)
    look(status)
    return status


def _unseen(status: JobStatus) -> None:
    """Show nothing."""


def _failure(job: TrainingJob, status: JobStatus) -> TrainingError:
    if status.state == "failed":
        return TrainingError(
            status.message,
            where=str(job.folder / "trainer.log"),
            fix="mend the cause named and run again.",
        )
    return TrainingError(
        f"the trainer was killed after step {status.step} of {status.steps}.",
        where=str(job.folder / "trainer.log"),
        fix="run again: it goes on from its last saved state.",
    )
