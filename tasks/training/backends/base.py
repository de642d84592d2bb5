"""Where a training job runs: one seam, opened by kind."""

from typing import Protocol

from configs.backends import Backend
from tasks.errors import SetupError
from tasks.training.job import JobHandle, JobStatus, TrainingJob


class TrainingBackend(Protocol):
    """Starts, finds, watches and stops training jobs.

    Attributes:
        poll_seconds: How long to wait between two looks.
    """

    poll_seconds: float

    def submit(self, job: TrainingJob) -> JobHandle:
        """Start the job, or find it if it runs already: the same key never runs twice."""

    def poll(self, handle: JobHandle) -> JobStatus:
        """Return where the job stands."""

    def cancel(self, handle: JobHandle) -> None:
        """Stop the job; what it has saved stays."""

    def collect(self, job: TrainingJob, handle: JobHandle) -> None:
        """Bring what a completed job left into the job's folder, where it isn't there already."""


def open_backend(spec: Backend) -> TrainingBackend:
    """Return the backend of that kind."""
    match spec.kind:
        case "local":
            from tasks.training.backends.local import LocalProcess

            return LocalProcess()
        case "sagemaker":
            from tasks.training.backends.sagemaker.jobs import SagemakerJobs

            return SagemakerJobs(spec)
        case "work_pool":
            from tasks.training.backends.work_pool.jobs import PoolJobs

            return PoolJobs(spec)
        case "nova":
            raise SetupError(
                "Nova's weights stay with AWS, so there is no checkpoint here.",
                where="training.backend",
                fix="use temper train or temper run, which take Nova's own way.",
            )
