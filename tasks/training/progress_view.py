"""A job that goes on, as it is shown: how often, and in what words."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from tasks.artifacts import Checkpoint
from tasks.errors import TrainingError, Unreachable
from tasks.progress import report
from tasks.training.backends.base import Job, open_backend
from tasks.training.job import JobHandle, JobStatus

# Watching a job to its end.

Look = Callable[[JobStatus], None]
"""Called with where the job stands each time that is asked, and last with how it ended."""


class WatchedJob(Protocol):
    """What a wait needs of a backend."""

    poll_seconds: float

    def poll(self, handle: JobHandle) -> JobStatus:
        """Return where the job stands."""

    def cancel(self, handle: JobHandle) -> None:
        """Stop the job."""


def wait(job: Job, handle: JobHandle, look: Look | None = None) -> Checkpoint:
    """Return the job's checkpoint once it is done; a wait that is broken off stops the job.

    Args:
        job: The job.
        handle: How it is found.
        look: Told where the job stands; what it raises would stop the job.

    Raises:
        TrainingError: The trainer failed, or was killed.
        Unreachable: The backend does not answer; the job goes on and the next run finds it.
    """
    backend = open_backend(job.backend)
    watch_job(backend, handle, look)
    return backend.collect(job, handle)


def watch_job(
    backend: WatchedJob, handle: JobHandle, look: Look | None = None, doing: str = "training"
) -> None:
    """Return once the job is done well; a wait that is broken off stops the job.

    Args:
        backend: Where it runs.
        handle: How it is found.
        look: Told where the job stands; what it raises would stop the job.
        doing: What people are told is going on.

    Raises:
        TrainingError: The trainer failed, or was killed.
        Unreachable: The backend does not answer; the job goes on and the next run finds it.
    """
    try:
        status = _watch(backend, handle, look or _unseen, doing)
    except Unreachable:
        raise
    except BaseException:
        # Cancelled from the UI or by Ctrl-C: no process may be left behind. A kill -9 never gets
        # here; the trainer then lives on and the next run finds it by its lock.
        _give_up(backend, handle)
        raise
    if status.state != "completed":
        raise _failure(handle, status)


def _give_up(backend: WatchedJob, handle: JobHandle) -> None:
    try:
        backend.cancel(handle)
    except Unreachable as lost:
        # Not Unreachable again: what breaks the wait off is not that the service doesn't answer.
        raise TrainingError(
            f"the job could not be stopped: {lost.message}",
            where=handle.name,
            fix="stop it there, or run again: it is found.",
        ) from lost


def _watch(backend: WatchedJob, handle: JobHandle, look: Look, doing: str) -> JobStatus:
    while (status := backend.poll(handle)).state == "running":
        _report(status, doing)
        look(status)
        time.sleep(backend.poll_seconds)
    _report(status, doing)
    look(status)
    return status


def _report(status: JobStatus, doing: str) -> None:
    if status.steps:
        report(doing, status.step, status.steps)
    else:  # A service that counts no steps says in words where it is.
        says = f"{doing}: {status.message or status.state}"
        report(says, int(status.state == "completed"), 1)


def _unseen(status: JobStatus) -> None:
    """Show nothing."""


def _failure(handle: JobHandle, status: JobStatus) -> TrainingError:
    where = status.where or str(handle.folder / "trainer.log")
    if status.state == "failed":
        return TrainingError(status.message, where=where, fix="mend the cause named and run again.")
    if status.message:
        return TrainingError(status.message, where=where, fix="run again: it is submitted anew.")
    return TrainingError(
        f"the trainer was killed after step {status.step} of {status.steps}.",
        where=where,
        fix="run again: it goes on from its last saved state.",
    )


_log = logging.getLogger(__name__)
SECONDS = 5.0
"""Between two looks at a running job; the first and the last are always shown."""
SHOWN = ("loss", "supervised_tokens_per_second", "learning_rate", "grad_norm")
GROUPS = ("loss/", "validation/")


class Views:
    """Shows a job to several, every few seconds and at its end.

    Args:
        views: Each is shown where the job stands.
        seconds: Between two looks at a running job.
        warn: Told when a view fails, once as long as it fails alike; the others are shown, and it
            is tried again next time.
    """

    def __init__(
        self,
        views: Sequence[Look],
        seconds: float = SECONDS,
        warn: Callable[[str], None] = _log.warning,
    ) -> None:
        self._views, self._seconds, self._warn = tuple(views), seconds, warn
        self._last, self._said = float("-inf"), ""

    def __call__(self, status: JobStatus) -> None:
        """Show where the job stands, unless that was done just now."""
        now = time.monotonic()
        if status.state == "running" and now - self._last < self._seconds:
            return
        for view in self._views:
            try:
                view(status)
            except Exception as error:
                # A wait that raises stops the job, and days of training are worth more than a view.
                self._tell(f"training is not shown, and goes on: {type(error).__name__}: {error}")
        self._last = time.monotonic()

    def _tell(self, message: str) -> None:
        if message != self._said:
            self._warn(message)
        self._said = message


class Pace:
    """How long a job still takes, from the steps seen since the first look at it."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def left(self, status: JobStatus, now: float) -> float | None:
        """Return seconds; None as long as no step was seen to end.

        Args:
            status: Where the job stands.
            now: Seconds of any clock.
        """
        if self._first is None or status.step < self._first[1]:
            self._first = (now, status.step)
        began, step = self._first
        if status.step == step:
            return None
        return (status.steps - status.step) * (now - began) / (status.step - step)


def percent(status: JobStatus) -> float:
    """Return how much of a job is done; all of one that completed, early or not."""
    if status.state == "completed":
        return 100.0
    return 100.0 * status.step / status.steps if status.steps else 0.0


def described(status: JobStatus, left: float | None = None) -> str:
    """Return where a job stands in one line of Markdown.

    Args:
        status: State, step, and the latest record of the metrics stream.
        left: Seconds that it still takes, where they are known.
    """
    latest = status.latest
    keys = [k for k in SHOWN if k in latest]
    keys += sorted(k for k in latest if k.startswith(GROUPS))
    if not status.steps:  # the service counts none
        return " · ".join([f"**{status.state}**", *filter(None, [status.message])])
    parts = [f"**{status.state}**, step {status.step:,} of {status.steps:,}"]
    parts += [f"{key.replace('_', ' ')} {latest[key]:.4g}" for key in keys]
    if "memory" in latest:
        parts.append(f"memory {latest['memory'] / 1e9:.1f} GB")
    if left is not None and status.state == "running":
        parts.append(f"about {left / 60:,.0f} min left" if left >= 60 else "under a minute left")
    return " · ".join(parts)
