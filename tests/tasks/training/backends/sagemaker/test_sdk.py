"""The SDK's ModelTrainer asks for the same machines, times, places and network as we do."""

from pathlib import Path
from typing import Any

import pytest

from configs.remote_backends import SagemakerBackend
from configs.training import Training
from tasks.artifacts import LocalModel, MixtureReceipt
from tasks.training.backends.sagemaker.request import Placed, build_request
from tasks.training.job import TrainingJob

ROLE = "arn:aws:iam::123456789012:role/temper-job"
SAME = (
    "ResourceConfig",
    "StoppingCondition",
    "CheckpointConfig",
    "VpcConfig",
    "RetryStrategy",
    "EnableManagedSpotTraining",
    "EnableNetworkIsolation",
    "RoleArn",
    "EnableInterContainerTrafficEncryption",
)


def _ours(**fields: Any) -> dict[str, Any]:
    model = LocalModel(path=Path("/m"), digest="a" * 64, name="tiny", tokenizer_digest="t" * 64)
    mixture = MixtureReceipt(
        path=Path("/x"),
        digest="b" * 64,
        rows=40,
        tokens=400,
        supervised_tokens=80,
        shards=("s",),
        sources=("a",),
    )
    job = TrainingJob(
        key="k" * 64,
        folder=Path("/j"),
        model=model,
        mixture=mixture,
        training=Training(),
        seed=1,
        steps=10,
    )
    placed = Placed(ROLE, "us-east-1", {"mixture": "s3://b/m"}, "s3://b/out", "s3://b/ckpt")
    return build_request(job, SagemakerBackend(kind="sagemaker", **fields), placed, 1)


def _theirs(compute: Any, stopping: Any, **more: Any) -> dict[str, Any]:
    from sagemaker.core.helper.session_helper import Session
    from sagemaker.train import ModelTrainer
    from sagemaker.train.configs import (
        CheckpointConfig,
        Compute,
        InputData,
        OutputDataConfig,
        StoppingCondition,
    )

    trainer = ModelTrainer(
        training_image="image",
        role=ROLE,
        sagemaker_session=Session(default_bucket="b"),
        base_job_name="x",
        compute=Compute(**compute),
        stopping_condition=StoppingCondition(**stopping),
        output_data_config=OutputDataConfig(s3_output_path="s3://b/out", compression_type="GZIP"),
        checkpoint_config=CheckpointConfig(s3_uri="s3://b/ckpt"),
        input_data_config=[InputData(channel_name="mixture", data_source="s3://b/m/")],
        **{k: v for k, v in more.items() if k != "retry"},
    )
    if "retry" in more:
        trainer = trainer.with_retry_strategy(more["retry"])
    return dict(trainer._create_training_job_args(boto3=True))


@pytest.fixture(autouse=True)
def sdk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The SDK without its look at the role, and without its message home."""
    pytest.importorskip("sagemaker.train")
    config = tmp_path / "config.yaml"
    config.write_text(
        "SchemaVersion: '1.0'\nSageMaker:\n  PythonSDK:\n    Modules:\n"
        "      TelemetryOptOut: true\n"
    )
    for name, value in {
        "SAGEMAKER_VALIDATE_ROLE": "false",
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(config),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "t",
        "AWS_SECRET_ACCESS_KEY": "t",
    }.items():
        monkeypatch.setenv(name, value)


def _agree(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    for key in SAME:
        mine, other = ours.get(key), theirs.get(key)
        # Left out and false are the same to the service; it has a default of its own for this path.
        if isinstance(other, dict) and key == "CheckpointConfig":
            other = {"LocalPath": "/opt/ml/checkpoints", **other}
        assert (mine or None) == (other or None), key


def test_a_spot_job_on_several_machines() -> None:
    from sagemaker.train.configs import Networking, RetryStrategy

    ours = _ours(
        instance_type="ml.g5.48xlarge",
        instance_count=2,
        volume_gb=200,
        spot=True,
        max_runtime_hours=1,
        max_wait_hours=2,
        retries=2,
        encrypt_traffic=True,
        vpc={"subnets": ["subnet-1"], "security_groups": ["sg-1"]},
    )
    theirs = _theirs(
        {
            "instance_type": "ml.g5.48xlarge",
            "instance_count": 2,
            "volume_size_in_gb": 200,
            "enable_managed_spot_training": True,
        },
        {"max_runtime_in_seconds": 3600, "max_wait_time_in_seconds": 7200},
        retry=RetryStrategy(maximum_retry_attempts=2),
        networking=Networking(
            subnets=["subnet-1"],
            security_group_ids=["sg-1"],
            enable_inter_container_traffic_encryption=True,
        ),
    )
    _agree(ours, theirs)
    [channel] = ours["InputDataConfig"]
    assert channel["DataSource"] == theirs["InputDataConfig"][0]["DataSource"]


def test_a_job_in_a_warm_pool() -> None:
    ours = _ours(instance_type="ml.g5.xlarge", keep_alive_minutes=30, max_runtime_hours=1)
    theirs = _theirs(
        {
            "instance_type": "ml.g5.xlarge",
            "instance_count": 1,
            "volume_size_in_gb": 100,
            "keep_alive_period_in_seconds": 1800,
        },
        {"max_runtime_in_seconds": 3600},
    )
    _agree(ours, theirs)
