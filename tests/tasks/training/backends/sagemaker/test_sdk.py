"""The SageMaker Python SDK submits and stops, and does nothing beside what it is asked for."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError

from configs.remote_backends import SagemakerBackend
from tasks.errors import SetupError
from tasks.training.backends.sagemaker import sdk
from tasks.training.backends.sagemaker.jobs import SagemakerJobs
from tasks.training.backends.sagemaker.request import Placed
from tasks.training.backends.sagemaker.sdk import RequestKeeper, TrainingService
from tasks.training.backends.sagemaker.standin.service import StandIn
from tasks.training.backends.sagemaker.standin.state import JobFolder
from tasks.training.job import TrainingJob

pytest.importorskip("sagemaker.train", reason="the [aws] extra is not installed")

Make = Callable[..., TrainingJob]
STACK = Path(__file__).parents[5] / "infra" / "aws" / "stack.yaml"
BACKEND = SagemakerBackend(kind="sagemaker", instance_type="ml.g5.xlarge", tags={"empty": ""})
PLACED = Placed(
    "arn:aws:iam::123456789012:role/temper-job",
    "eu-west-1",
    {"code": "s3://b/code", "job": "s3://b/job"},
    "s3://b/outputs",
    "s3://b/checkpoints",
)
SERVERLESS = {
    "TrainingJobName": "temper-nova-1",
    "RoleArn": PLACED.role,
    "ServerlessJobConfig": {
        "BaseModelArn": "arn:aws:sagemaker:eu-west-1:aws:hub-content/H/Model/m/1",
        "AcceptEula": True,
        "JobType": "Evaluation",
        "EvaluationType": "BenchmarkEvaluation",
    },
    "HyperParameters": {"task": "mmlu", "subtask": ""},
    "OutputDataConfig": {"S3OutputPath": "s3://b/o", "CompressionType": "NONE"},
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    "Tags": [{"Key": "empty", "Value": ""}],
}


@pytest.fixture
def sdk_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What of the SDK is called, in turn."""
    from sagemaker.core.resources import TrainingJob as Resource
    from sagemaker.train import ModelTrainer

    called = list[str]()
    for owner, name in ((ModelTrainer, "train"), (Resource, "create"), (Resource, "stop")):
        original = getattr(owner, name)

        def spied(
            *args: Any, _name: str = f"{owner.__name__}.{name}", _to: Any = original, **options: Any
        ) -> Any:
            called.append(_name)
            return _to(*args, **options)

        monkeypatch.setattr(owner, name, spied)
    return called


@pytest.fixture
def boto_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every call that any client of boto3 makes, such as ``s3:PutObject``."""
    from botocore.client import BaseClient

    made, original = list[str](), BaseClient._make_api_call

    def called(client: Any, operation: str, parameters: Any) -> Any:
        made.append(f"{client.meta.service_model.service_name}:{operation}")
        unknown_to_moto = {
            "SimulatePrincipalPolicy": {"EvaluationResults": []},
            "ListServiceQuotas": {"Quotas": []},
        }
        if operation in unknown_to_moto:
            return unknown_to_moto[operation]
        return original(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", called)
    return made


def test_a_job_of_the_stand_in_was_submitted_and_stopped_by_the_sdk_as_it_was_planned(
    make: Make, aws: Any, temper_home: Path, sdk_calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StandIn, "_start", lambda *_: None)
    monkeypatch.setattr(JobFolder, "machine_lives", lambda _: True)
    job = make(spot=True, tags={"empty": ""})
    jobs = SagemakerJobs(job.training.backend)  # type: ignore[arg-type]
    planned = jobs.plan(job)["CreateTrainingJob"]
    assert sdk_calls == ["ModelTrainer.train", "TrainingJob.create"]
    assert not (temper_home / "standin").exists()
    handle = jobs.submit(job)
    seen = json.loads((temper_home / "standin" / handle.name / "request.json").read_text())
    assert seen == planned
    assert sdk_calls == ["ModelTrainer.train", "TrainingJob.create"] * 2
    jobs.submit(job)  # found
    assert len(sdk_calls) == 4
    jobs.cancel(handle)
    assert sdk_calls[4:] == ["TrainingJob.stop"]
    assert (temper_home / "standin" / handle.name / "stop").exists()


def test_the_sdk_is_loaded_by_a_submission_and_by_nothing_before_it() -> None:
    program = """
import sys
from pathlib import Path
from configs.remote_backends import SagemakerBackend
from configs.training import Training
from tasks.artifacts import LocalModel, MixtureReceipt
from tasks.training.job import TrainingJob
from tasks.training.backends.sagemaker.jobs import SagemakerJobs
from tasks.training.backends.sagemaker.request import Placed
from tasks.training.backends.sagemaker.sdk import planned_request
backend = SagemakerBackend(kind="sagemaker", instance_type="ml.g5.xlarge")
SagemakerJobs(backend)
assert not [m for m in sys.modules if m.partition(".")[0] in ("sagemaker", "boto3")]
model = LocalModel(path=Path("/m"), digest="a" * 64, name="tiny", tokenizer_digest="t" * 64)
mixture = MixtureReceipt(path=Path("/x"), digest="b" * 64, rows=4, tokens=4, supervised_tokens=4,
                         shards=("s",), sources=("a",))
job = TrainingJob(key="k" * 64, folder=Path("/j"), model=model, mixture=mixture,
                  training=Training(), seed=1, steps=1)
placed = Placed("arn:aws:iam::1:role/r", "eu-west-1", {}, "s3://o", "s3://c")
planned_request(job, backend, placed, 1)
assert "sagemaker.train.model_trainer" in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_submission_to_aws_makes_only_calls_that_the_policy_allows(
    make: Make, aws: Any, boto_calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEMPER_SAGEMAKER_STANDIN")
    job = make()
    jobs = SagemakerJobs(job.training.backend)  # type: ignore[arg-type]
    handle = jobs.submit(job)
    assert jobs.poll(handle).state == "completed"  # moto runs nothing
    made = {_action(call) for call in boto_calls}
    assert {c for c in boto_calls if c.startswith("sagemaker:")} == {
        "sagemaker:DescribeTrainingJob",
        "sagemaker:CreateTrainingJob",
    }
    assert boto_calls.count("sagemaker:CreateTrainingJob") == 1
    # Who one is, AWS tells everyone.
    assert made - _allowed() == {"sts:GetCallerIdentity"}


def _action(call: str) -> str:
    """Return the action that IAM asks for where it isn't called as the operation is."""
    named = {
        "s3:HeadBucket": "s3:ListBucket",
        "s3:ListObjectsV2": "s3:ListBucket",
        "s3:HeadObject": "s3:GetObject",
        "s3:CreateMultipartUpload": "s3:PutObject",
        "s3:UploadPart": "s3:PutObject",
        "s3:CompleteMultipartUpload": "s3:PutObject",
        "service-quotas:ListServiceQuotas": "servicequotas:ListServiceQuotas",
    }
    return named.get(call, call)


def _allowed() -> set[str]:
    class Template(yaml.SafeLoader):
        """Reads CloudFormation's short forms as nothing."""

    Template.add_multi_constructor("!", lambda *_: None)
    policy = yaml.load(STACK.read_text(), Template)["Resources"]["Submitter"]["Properties"]
    actions = [s["Action"] for s in policy["PolicyDocument"]["Statement"]]
    return {a for given in actions for a in ([given] if isinstance(given, str) else given)}


def test_making_a_request_calls_nobody(
    make: Make, boto_calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    from sagemaker.core.config.config_manager import SageMakerConfig
    from sagemaker.core.telemetry import telemetry_logging

    # Defaults of the SDK may lie in S3.
    monkeypatch.setenv("SAGEMAKER_USER_CONFIG_OVERRIDE", "s3://defaults/config.yaml")
    SageMakerConfig.load_default_configs_for_resource_name.cache_clear()
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    told = list[Any]()
    monkeypatch.setattr(telemetry_logging, "_send_telemetry_request", lambda *a: told.append(a))
    monkeypatch.setattr(socket, "create_connection", lambda *a, **_: told.append(a))
    request = sdk.planned_request(make(), BACKEND, PLACED, 1)
    assert request["TrainingJobName"].endswith("-1")
    assert (boto_calls, told) == ([], [])


def test_defaults_that_this_machine_has_for_the_sdk_change_nothing(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sagemaker.core.config.config_manager import SageMakerConfig

    # A default like this one makes ModelTrainer upload scripts of its own and start those.
    modules = {"ModelTrainer": {"sourceCode": {"command": "echo"}}}
    defaults = {"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": modules}}}
    SageMakerConfig.validate_sagemaker_config(defaults)
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(defaults))
    monkeypatch.setenv("SAGEMAKER_USER_CONFIG_OVERRIDE", str(config))
    request = sdk.planned_request(make(), BACKEND, PLACED, 1)
    assert [c["ChannelName"] for c in request["InputDataConfig"]] == ["code", "job"]
    assert "ContainerArguments" not in request["AlgorithmSpecification"]


def test_a_tag_without_a_text_stays_a_tag(make: Make) -> None:
    request = sdk.planned_request(make(), BACKEND, PLACED, 1)
    assert {"Key": "empty", "Value": ""} in request["Tags"]


def test_a_request_of_our_own_is_sent_as_it_is() -> None:
    kept = RequestKeeper()
    TrainingService(kept, "eu-west-1").create_training_job(**SERVERLESS)
    assert kept.request == SERVERLESS


def test_a_request_that_the_sdk_would_shorten_is_not_sent() -> None:
    kept = RequestKeeper()
    with pytest.raises(SetupError, match="would send other Novelty than planned"):
        TrainingService(kept, "eu-west-1").create_training_job(**SERVERLESS, Novelty="1")
    assert kept.request == {}


def test_what_the_service_refuses_is_told_as_it_was_said(make: Make) -> None:
    refused = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "Create")
    with pytest.raises(ClientError) as caught:
        TrainingService(_Breaking(refused), "eu-west-1").train(make(), BACKEND, PLACED, 1)
    assert caught.value is refused


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(1)], ids=repr)
def test_a_submission_that_is_broken_off_is_not_taken_for_one_that_was_made(
    make: Make, end: BaseException
) -> None:
    with pytest.raises(KeyboardInterrupt):
        TrainingService(_Breaking(end), "eu-west-1").train(make(), BACKEND, PLACED, 1)


class _Breaking:
    """A client whose submission ends with that."""

    def __init__(self, end: BaseException) -> None:
        self._end = end

    def create_training_job(self, **_: Any) -> dict[str, Any]:
        raise self._end


def test_without_the_sdk_nothing_is_uploaded(
    make: Make, aws: Any, keys: Callable[[], dict[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sdk, "find_spec", lambda _: None)
    job = make()
    jobs = SagemakerJobs(job.training.backend)  # type: ignore[arg-type]
    with pytest.raises(SetupError, match=r"isn't installed.*temper-llm\[aws\]"):
        jobs.submit(job)
    with pytest.raises(SetupError, match="isn't installed"):
        jobs.plan(job)
    assert keys() == {}
