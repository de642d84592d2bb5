"""Where a training job runs: one seam, opened by kind."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from configs.backends import Backend
from configs.training import Training
from tasks.artifacts import Checkpoint, LocalModel
from tasks.errors import TrainingError, Unreachable
from tasks.training.backends.nova.job import NovaJob
from tasks.training.job import JobHandle, JobStatus, TrainingJob
from tasks.training.preflight.estimate import Load, Preflight

Job = TrainingJob | NovaJob
J = TypeVar("J", contravariant=True)
Running = dict[str, Callable[[], object]]
"""What stops each job that was submitted and not yet seen to end, by the job's name."""


class TrainingBackend(Protocol[J]):
    """Plans, starts, finds, watches and stops training jobs, and brings home what they leave.

    Attributes:
        poll_seconds: How long to wait between two looks.
        keeps_weights: Whether the weights, the base's and the trained ones, stay with the service;
            models are then evaluated there, too.
    """

    poll_seconds: float
    keeps_weights: bool

    def check(self, training: Training, model: LocalModel, load: Load, rows: int) -> Preflight:
        """Return what can be known before a job is submitted; it costs and writes nothing.

        Args:
            training: The recipe's section.
            model: The base model; its weights need not be here.
            load: Tokens and steps of the planned mixture.
            rows: Rows of one's own in it.
        """

    def plan(self, job: J) -> dict[str, Any]:
        """Return exactly what ``submit`` would send; nothing is uploaded, sent or started."""

    def submit(self, job: J) -> JobHandle:
        """Start the job, or find it if it runs already: the same key never runs twice."""

    def poll(self, handle: JobHandle) -> JobStatus:
        """Return where the job stands."""

    def cancel(self, handle: JobHandle) -> None:
        """Stop the job; what it has saved stays, and one that has ended stays as it is."""

    def collect(self, job: J, handle: JobHandle) -> Checkpoint:
        """Return what a completed job made, fetched where it isn't on this machine already."""


def open_local(section: Any) -> TrainingBackend[Any]:
    """Return this machine as a backend."""
    from tasks.training.backends.local import LocalProcess

    return LocalProcess()


def open_sagemaker(section: Any) -> TrainingBackend[Any]:
    """Return SageMaker's training jobs."""
    from tasks.training.backends.sagemaker.jobs import SagemakerJobs

    return SagemakerJobs(section)


def open_work_pool(section: Any) -> TrainingBackend[Any]:
    """Return the runs of a deployment on a work pool."""
    from tasks.training.backends.work_pool.jobs import PoolJobs

    return PoolJobs(section)


def open_nova(section: Any) -> TrainingBackend[Any]:
    """Return Nova's customisation jobs."""
    from tasks.training.backends.nova.training_jobs import NovaJobs

    return NovaJobs(section)


BACKENDS: dict[str, Callable[[Any], TrainingBackend[Any]]] = {
    "local": open_local,
    "sagemaker": open_sagemaker,
    "work_pool": open_work_pool,
    "nova": open_nova,
}
"""What opens each kind of backend from its section; each loads its own libraries when opened."""


def open_backend(section: Backend) -> TrainingBackend[Any]:
    """Return the backend of that kind."""
    return BACKENDS[section.kind](section)


@contextmanager
def stop_on_break() -> Iterator[Running]:
    """Give an empty collection of jobs; those in it when the body breaks off are stopped.

    Not so where the service doesn't answer: such jobs go on, and the next run finds them.

    Raises:
        TrainingError: A job could not be stopped and may go on; what broke the body off is its
            cause.
    """
    running: Running = {}
    try:
        yield running
    except Unreachable:
        raise
    except BaseException as error:
        left = []
        for name, stop in list(running.items()):
            try:
                stop()
            except Exception as why:  # whatever it is, the others are still to be stopped
                left.append(f"{name} ({str(why).rstrip('.')})")
        if left:
            raise TrainingError(
                f"the run broke off ({error!r:.300}), and jobs could not be stopped: "
                f"{'; '.join(left)}.",
                where="the service's list of jobs",
                fix="stop them there, or run again: they are found as long as they run.",
            ) from error
        raise
