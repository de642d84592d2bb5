"""AWS on loopback: a moto server for S3, IAM, STS and logs, and the stand-in for SageMaker."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.remote_backends import SagemakerBackend
from configs.training import Lora, Training
from tasks.artifacts import LocalModel, MixtureReceipt
from tasks.training.job import TrainingJob, make_job

BUCKET = "temper-tests"
ROLE = "arn:aws:iam::123456789012:role/temper-job"


@pytest.fixture
def aws(open_account: Any, temper_home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty bucket as TEMPER_STORE; returns its S3 client."""
    return open_account(monkeypatch, {"TEMPER_SAGEMAKER_STANDIN": str(temper_home / "standin")})


@pytest.fixture
def keys(aws: Any) -> Callable[[], dict[str, int]]:
    """A function that returns what the bucket holds: key -> bytes."""

    def listed() -> dict[str, int]:
        found = aws.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return {o["Key"]: o["Size"] for o in found}

    return listed


@pytest.fixture
def make(tiny_model: LocalModel, mixture: MixtureReceipt) -> Callable[..., TrainingJob]:
    """A function from fields of the backend, and of the training, to a job."""

    def made(training: dict[str, Any] | None = None, **backend: Any) -> TrainingJob:
        spec = {"kind": "sagemaker", "instance_type": "ml.m5.xlarge", "install": False, **backend}
        fields = {
            "batch_rows": 4,
            "save_steps": 2,
            "learning_rate": 1e-3,
            "dtype": "float32",
            "adapter": Lora(rank=4),
            **(training or {}),
        }
        section = Training(**fields, backend=SagemakerBackend(**spec))
        return make_job(tiny_model, mixture, section, seed=7)

    return made
