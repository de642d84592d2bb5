"""The CreateTrainingJob request over the space of options, against botocore's service model."""

import re
from functools import cache
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from configs.machines import MACHINES
from configs.remote_backends import SagemakerBackend
from configs.training import Training
from tasks.artifacts import LocalModel, MixtureReceipt
from tasks.errors import SetupError
from tasks.training.backends.sagemaker.request import (
    Placed,
    environment,
    job_name,
    metric_definitions,
)
from tasks.training.backends.sagemaker.sdk import (
    VERSIONS,
    RequestKeeper,
    TrainingService,
    image_of,
)
from tasks.training.backends.sagemaker.standin.rules import problems
from tasks.training.job import TrainingJob

pytest.importorskip("sagemaker.train", reason="the [aws] extra is not installed")

KEY = "0123456789abcdef" * 4
CHANNELS = {n: f"s3://bucket/store/{n}" for n in ("code", "job", "model", "mixture")}
PLACED = Placed(
    "arn:aws:iam::123456789012:role/temper-job",
    "eu-west-1",
    CHANNELS,
    "s3://bucket/store/outputs",
    "s3://bucket/store/checkpoints/k",
)
Fields = dict[str, Any]

INSTANCES: tuple[Fields, ...] = (
    {"instance_type": "ml.m5.xlarge"},
    {"instance_type": "ml.g5.2xlarge"},
    {"instance_type": "ml.g5.48xlarge", "instance_count": 2},
    {"instance_type": "ml.p4d.24xlarge", "instance_count": 4},
    {"instance_type": "ml.p5.48xlarge", "volume_gb": 2000},
)
TIMES: tuple[Fields, ...] = (
    {},
    {"spot": True},
    {"spot": True, "max_runtime_hours": 2, "max_wait_hours": 2},
    {"keep_alive_minutes": 60, "max_runtime_hours": 0.5},
)
REST: tuple[Fields, ...] = (
    {
        "tags": {"team": "nlp", "cost:centre": "42"},
        "metrics": [{"name": "eta", "regex": "eta (.+)"}],
    },
    {
        "kms_key": "arn:aws:kms:eu-west-1:123456789012:key/abc",
        "retries": 3,
        "vpc": {"subnets": ["subnet-1", "subnet-2"], "security_groups": ["sg-1"]},
        "encrypt_traffic": True,
        "network_isolation": True,
        "install": False,
        "environment": {"NCCL_DEBUG": "INFO"},
    },
)
FORTY = [{**a, **b, **c} for a, b, c in product(INSTANCES, TIMES, REST)]


def _job(sources: tuple[str, ...] = ("a", "b")) -> TrainingJob:
    from pathlib import Path

    model = LocalModel(path=Path("/m"), digest="a" * 64, name="tiny", tokenizer_digest="t" * 64)
    mixture = MixtureReceipt(
        path=Path("/x"),
        digest="b" * 64,
        rows=40,
        tokens=400,
        supervised_tokens=80,
        shards=("s.parquet",),
        sources=sources,
    )
    return TrainingJob(
        key=KEY,
        folder=Path("/j"),
        model=model,
        mixture=mixture,
        training=Training(),
        seed=1,
        steps=10,
    )


@cache
def _service() -> tuple[TrainingService, RequestKeeper]:
    """The SDK's session, which takes a second to open, once for all requests."""
    kept = RequestKeeper()
    return TrainingService(kept, PLACED.region), kept


def _request(attempt: int = 1, **fields: Any) -> Fields:
    service, kept = _service()
    service.train(_job(), SagemakerBackend(kind="sagemaker", **fields), PLACED, attempt)
    return kept.request


@cache
def _plain_request() -> Fields:
    return _request(instance_type="ml.g5.xlarge")


def test_there_are_forty_recipes() -> None:
    assert len(FORTY) == 40


@pytest.mark.parametrize("fields", FORTY, ids=lambda f: f["instance_type"] + str(len(f)))
def test_each_request_is_one_that_the_service_takes(fields: Fields) -> None:
    assert problems(_request(**fields)) == []


def test_what_the_recipe_says_is_in_the_request() -> None:
    found = _request(**{**INSTANCES[2], **TIMES[2], **REST[1]})
    assert found["ResourceConfig"] == {
        "InstanceType": "ml.g5.48xlarge",
        "InstanceCount": 2,
        "VolumeSizeInGB": 100,
    }
    assert found["StoppingCondition"] == {"MaxRuntimeInSeconds": 7200, "MaxWaitTimeInSeconds": 7200}
    assert found["EnableManagedSpotTraining"] is True
    assert found["RetryStrategy"] == {"MaximumRetryAttempts": 3}
    assert found["VpcConfig"]["SecurityGroupIds"] == ["sg-1"]
    assert found["OutputDataConfig"]["KmsKeyId"].endswith("key/abc")
    assert found["Environment"]["NCCL_DEBUG"] == "INFO"
    assert found["Environment"]["TEMPER_INSTALL"] == "0"
    assert {"Key": "temper:key", "Value": KEY} in found["Tags"]
    assert found["AlgorithmSpecification"]["ContainerEntrypoint"][-1].endswith("start.sh")
    assert found["CheckpointConfig"]["LocalPath"] == "/opt/ml/checkpoints"
    assert [c["ChannelName"] for c in found["InputDataConfig"]] == sorted(CHANNELS)
    warm = _request(**{**INSTANCES[1], **TIMES[3]})
    assert warm["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 3600


def test_an_mlflow_server_is_named_to_the_job_unless_it_reaches_nothing() -> None:
    placed = PLACED._replace(mlflow="https://mlflow.example.org")
    plain = SagemakerBackend(kind="sagemaker", instance_type="ml.g5.xlarge")
    shut = plain.model_copy(update={"network_isolation": True, "install": False})
    assert environment(plain, placed)["MLFLOW_TRACKING_URI"] == "https://mlflow.example.org"
    assert "MLFLOW_TRACKING_URI" not in environment(shut, placed)


@given(
    st.lists(
        st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", fullmatch=True),
        unique=True,
        min_size=1,
        max_size=60,
    )
)
def test_losses_by_source_are_read_from_the_log_for_any_names(sources: list[str]) -> None:
    backend = SagemakerBackend(kind="sagemaker", instance_type="ml.g5.xlarge")
    read = dict(metric_definitions(_job(tuple(sources)), backend))
    request = _plain_request()
    said = [{"Name": name, "Regex": regex} for name, regex in read.items()]
    specification = {**request["AlgorithmSpecification"], "MetricDefinitions": said}
    assert problems({**request, "AlgorithmSpecification": specification}) == []
    line = f'temper {{"step": 3, "loss": 1.5, "loss/{sources[0]}": 2.25e-1}}'
    found = {name: re.search(regex, line) for name, regex in read.items()}
    assert found["train:loss"][1] == "1.5"  # type: ignore[index]
    assert found[f"train:loss/{sources[0]}"][1] == "2.25e-1"  # type: ignore[index]


def test_the_name_is_the_training_and_its_attempt() -> None:
    assert job_name(KEY, 1) != job_name(KEY, 2)
    assert len(job_name(KEY, 1000)) <= 63


REFUSED: dict[str, tuple[Fields, str]] = {
    "a wait without spot": ({"max_wait_hours": 5}, "max_wait_hours"),
    "spot and a warm pool": ({"spot": True, "keep_alive_minutes": 5}, "keep_alive_minutes"),
    "a wait shorter than the run": (
        {"spot": True, "max_runtime_hours": 5, "max_wait_hours": 4},
        "max_wait_hours",
    ),
    "a key for a disk of the machine's own": (
        {"instance_type": "ml.g5.xlarge", "volume_kms_key": "k"},
        "volume_kms_key",
    ),
    "several machines without a GPU": (
        {"instance_type": "ml.m5.xlarge", "instance_count": 2},
        "instance_count",
    ),
    "installing without a network": ({"network_isolation": True}, "network_isolation"),
    "a variable of the service's": ({"environment": {"SM_HPS": "{}"}}, "environment"),
    "a variable that can't be one": ({"environment": {"A-B": "1"}}, "environment"),
    "a long value": ({"environment": {"A": "x" * 513}}, "environment"),
    "a tag of AWS's": ({"tags": {"aws:x": "1"}}, "tags"),
    "a tag with other characters": ({"tags": {"a": "ü?!"}}, "tags"),
    "too many tags": ({"tags": {f"t{i}": "" for i in range(46)}}, "tags"),
    "a regex without a number": ({"metrics": [{"name": "m", "regex": "x"}]}, "metrics"),
    "a regex that is none": ({"metrics": [{"name": "m", "regex": "("}]}, "metrics"),
    "over 28 days": ({"max_runtime_hours": 28 * 24 + 1}, "max_runtime_hours"),
    "an instance that is none": ({"instance_type": "g5.xlarge"}, "instance_type"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_service_refuses_is_refused_before(what: str) -> None:
    fields, named = REFUSED[what]
    with pytest.raises(ValidationError, match=named):
        SagemakerBackend(**{"kind": "sagemaker", "instance_type": "ml.g5.xlarge", **fields})


def test_a_refusal_names_its_place_in_the_recipe() -> None:
    from configs.errors import RecipeError
    from configs.loading import load_recipe

    fields = {
        "name": "r",
        "model": {"path": "m"},
        "sources": [{"kind": "files", "name": "s", "role": "domain", "path": "p"}],
        "mixture": {"domain_share": 1.0},
        "evaluation": {"suites": [{"kind": "mmlu", "name": "mmlu"}]},
        "training": {
            "backend": {"kind": "sagemaker", "instance_type": "ml.g5.xlarge", "max_wait_hours": 5}
        },
    }
    with pytest.raises(RecipeError, match=r"training\.backend\.max_wait_hours: only spot"):
        load_recipe(fields)
    wrong = {"kind": "sagemaker", "instance_type": "ml.g5.xlarge", "instance_cout": 2}
    with pytest.raises(RecipeError, match="instance_cout: .*did you mean 'instance_count'"):
        load_recipe({**fields, "training": {"backend": wrong}})
    with pytest.raises(RecipeError, match=r"training\.backend\.kind: .*'moon'"):
        load_recipe({**fields, "training": {"backend": {"kind": "moon"}}})


def test_the_checker_itself_finds_what_is_wrong() -> None:
    good = _request(instance_type="ml.g5.xlarge")
    assert problems({**good, "RoleArn": "nobody"})
    assert problems({**good, "TrainingJobName": "a_b"})
    assert problems({**good, "ResourceConfig": {**good["ResourceConfig"], "InstanceType": "ml.x"}})
    assert problems({**good, "StoppingCondition": {"MaxWaitTimeInSeconds": 1}})
    assert problems({k: v for k, v in good.items() if k != "OutputDataConfig"})
    assert problems({**good, "Nonsense": 1})


def test_every_machine_in_the_table_is_one_of_the_services() -> None:
    from tasks.training.backends.sagemaker.standin.rules import input_shape

    kinds = input_shape().members["ResourceConfig"].members["InstanceType"].metadata["enum"]
    assert set(MACHINES) <= set(kinds)


IMAGES = {
    ("2.9", "eu-west-1", "ml.g5.xlarge"): (
        "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.9.0-gpu-py312"
    ),
    ("2.5", "eu-central-2", "ml.m5.xlarge"): (
        "380420809688.dkr.ecr.eu-central-2.amazonaws.com/pytorch-training:2.5.1-cpu-py311"
    ),
    ("2.10", "cn-north-1", "ml.p5.48xlarge"): (
        "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/pytorch-training:2.10.0-gpu-py313"
    ),
}


@pytest.mark.parametrize("place", IMAGES, ids=" ".join)
def test_an_image_is_that_of_version_region_and_hardware(place: tuple[str, str, str]) -> None:
    version, region, kind = place
    backend = SagemakerBackend(kind="sagemaker", instance_type=kind, pytorch=version)
    assert image_of(backend, region) == IMAGES[place]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_that_is_offered_has_a_container(version: str) -> None:
    backend = SagemakerBackend(kind="sagemaker", instance_type="ml.g5.xlarge", pytorch=version)
    assert image_of(backend, "us-west-2").endswith(
        f"{VERSIONS[version][0]}-gpu-{VERSIONS[version][1]}"
    )


def test_an_unknown_version_or_region_is_told() -> None:
    backend = SagemakerBackend(kind="sagemaker", instance_type="ml.g5.xlarge", pytorch="1.0")
    with pytest.raises(SetupError, match=r"PyTorch 1\.0"):
        image_of(backend, "us-east-1")
    with pytest.raises(SetupError, match="no container of PyTorch 2.9.0 in moon-east-1"):
        image_of(backend.model_copy(update={"pytorch": "2.9"}), "moon-east-1")
    own = backend.model_copy(update={"image": "1.dkr.ecr/x:1"})
    assert image_of(own, "moon-east-1") == "1.dkr.ecr/x:1"
