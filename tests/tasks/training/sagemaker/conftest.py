"""AWS on loopback: a moto server for S3, IAM, STS and logs, and the stand-in for SageMaker."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from configs.remote import SagemakerBackend
from configs.stages import Lora, Training
from tasks.artifacts import LocalModel, MixtureReceipt
from tasks.training.job import TrainingJob, make_job

BUCKET = "temper-tests"
ROLE = "arn:aws:iam::123456789012:role/temper-job"


@pytest.fixture(scope="session")
def moto_address() -> Iterator[str]:
    """The address of a moto server of this process's own."""
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(moto_address: str, temper_home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty bucket as TEMPER_STORE; returns its S3 client."""
    import boto3
    import httpx

    httpx.post(f"{moto_address}/moto-api/reset")
    for name, value in {
        "AWS_ENDPOINT_URL": moto_address, "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true", "TEMPER_STORE": f"s3://{BUCKET}/store",
        "TEMPER_SAGEMAKER_ROLE": ROLE, "TEMPER_SAGEMAKER_STANDIN": str(temper_home / "standin"),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
                            "Principal": {"Service": "sagemaker.amazonaws.com"}}]}  # fmt: skip
    boto3.client("iam", region_name="us-east-1").create_role(
        RoleName="temper-job", AssumeRolePolicyDocument=json.dumps(trust)
    )
    return client


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
        fields = {"batch_rows": 4, "save_steps": 2, "learning_rate": 1e-3, "dtype": "float32",
                  "adapter": Lora(rank=4), **(training or {})}  # fmt: skip
        section = Training(**fields, backend=SagemakerBackend(**spec))
        return make_job(tiny_model, mixture, section, seed=7)

    return made
