"""One seam to the service: AWS, or the stand-in that runs jobs on this machine."""

from typing import Protocol

from configs.settings import Settings
from tasks.store.aws import Client, open_client


class SagemakerClient(Protocol):
    """The calls that are made of SageMaker, named and answered as by boto3."""

    def create_training_job(self, **request: object) -> dict[str, object]:
        """Start a job; a name that is taken is ResourceInUse."""

    def describe_training_job(self, *, TrainingJobName: str) -> dict[str, object]:  # noqa: N803
        """Return what is known of a job; an unknown name is a ValidationException."""

    def stop_training_job(self, *, TrainingJobName: str) -> dict[str, object]:  # noqa: N803
        """Ask a job to stop."""


def open_sagemaker(region: str | None) -> Client:
    """Return the stand-in where TEMPER_SAGEMAKER_STANDIN names its folder, else AWS."""
    folder = Settings().sagemaker_standin
    if folder is not None:
        from tasks.training.sagemaker.standin.service import StandIn

        return StandIn(folder)
    return open_client("sagemaker", region)


def open_logs(region: str | None) -> Client:
    """Return a client of CloudWatch Logs."""
    return open_client("logs", region)
