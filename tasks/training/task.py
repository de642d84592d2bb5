"""Prefect shells of the training stage: submit and wait are two tasks."""

import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from prefect import get_run_logger, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext

from tasks.artifacts import Checkpoint, LocalModel
from tasks.training.backends.base import Job, open_backend
from tasks.training.job import JobHandle, JobStatus
from tasks.training.progress_view import Pace, Views, described, percent


@task(persist_result=True, cache_policy=NO_CACHE, task_run_name="submit the training")
def submit_training(job: Job) -> JobHandle:
    """Start the job on its backend, or find it where it already runs."""
    from tasks.training.job_checks import check_job

    check_job(job)
    return open_backend(job.backend).submit(job)


@task(persist_result=True, cache_policy=NO_CACHE, task_run_name="wait for the training")
def wait_for_training(
    job: Job, handle: JobHandle, grown: Callable[[Path], None] | None = None
) -> Checkpoint:
    """Watch the job to its end and take its checkpoint; the UI shows how far it is.

    Args:
        job: The job.
        handle: How it is found.
        grown: Called with the job's metrics stream every few seconds while it grows.
    """
    from tasks.training.progress_view import wait

    views = [] if grown is None else [lambda _: grown(handle.folder / "losses.jsonl")]
    if TaskRunContext.get() is None:
        return wait(job, handle, Views(views))
    return wait(job, handle, Views([Bar().show, *views], warn=get_run_logger().warning))


class Bar:
    """One progress artifact of the Prefect UI, brought up to date."""

    def __init__(self) -> None:
        self._id: UUID | None = None
        self._pace = Pace()

    def show(self, status: JobStatus) -> None:
        """Make the artifact, or change it."""
        text = described(status, self._pace.left(status, time.monotonic()))
        if self._id is None:
            made = create_progress_artifact(percent(status), key="training", description=text)
            # Only an async caller is given a coroutine instead.
            assert isinstance(made, UUID)
            self._id = made
        else:
            update_progress_artifact(self._id, percent(status), description=text)


@task(persist_result=True, cache_policy=NO_CACHE, task_run_name="keep {share} of what was learnt")
def blend_weights(base: LocalModel, trained: Checkpoint, share: float) -> Checkpoint:
    """Interpolate between the base and the checkpoint; a share of 1 is the checkpoint."""
    from tasks.training.interpolate import interpolate_weights

    return interpolate_weights(base, trained, share)
