"""The CreateTrainingJob request, as a pure function of job, recipe and addresses.

ModelTrainer of the SageMaker SDK makes the same request, but names every job by the clock and
uploads while it builds, so that a job can't be found again and a dry run isn't one.
"""

import re
from typing import Any, NamedTuple

from configs.machines import is_gpu
from configs.remote_backends import SagemakerBackend
from tasks.errors import SetupError
from tasks.training.job import TrainingJob

Request = dict[str, Any]

MARK = "temper "
"""Begins the log lines that carry a metrics record."""

ENTRY = ["/bin/bash", "/opt/ml/input/data/code/start.sh"]
MOST_METRICS = 40


class Placed(NamedTuple):
    """Where a job's parts are and who it runs as.

    Attributes:
        role: ARN.
        region: Such as ``eu-west-1``.
        channels: Channel name -> S3 address of its files: code, job, model, mixture.
        output: S3 address below which the service puts ``NAME/output/model.tar.gz``.
        checkpoints: S3 address that the job's states are kept in step with.
        mlflow: Address of an MLflow server that the job may reach; None for none.
    """

    role: str
    region: str
    channels: dict[str, str]
    output: str
    checkpoints: str
    mlflow: str | None = None


def job_name(key: str, attempt: int) -> str:
    """Return the name of a training's attempt: the same training is always found by it."""
    return f"temper-{key[:32]}-{attempt}"


def build_request(
    job: TrainingJob, backend: SagemakerBackend, placed: Placed, attempt: int
) -> Request:
    """Return the request; keys that the recipe leaves unset are left out."""
    request: Request = {
        "TrainingJobName": job_name(job.key, attempt),
        "RoleArn": placed.role,
        "AlgorithmSpecification": {
            "TrainingImage": image_of(backend, placed.region),
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ENTRY,
            "MetricDefinitions": metric_definitions(job, backend),
        },
        "HyperParameters": _facts(job),
        "InputDataConfig": [_channel(n, uri) for n, uri in sorted(placed.channels.items())],
        "OutputDataConfig": _output(backend, placed),
        "ResourceConfig": _resources(backend),
        "StoppingCondition": _stopping(backend),
        "CheckpointConfig": {"S3Uri": placed.checkpoints, "LocalPath": "/opt/ml/checkpoints"},
        "Environment": environment(backend, placed),
        "EnableManagedSpotTraining": backend.spot,
        "EnableNetworkIsolation": backend.network_isolation,
        "EnableInterContainerTrafficEncryption": backend.encrypt_traffic,
        "Tags": _tags(job, backend, attempt),
    }
    if backend.vpc:
        request["VpcConfig"] = {
            "Subnets": list(backend.vpc.subnets),
            "SecurityGroupIds": list(backend.vpc.security_groups),
        }
    if backend.retries:
        request["RetryStrategy"] = {"MaximumRetryAttempts": backend.retries}
    return request


def environment(backend: SagemakerBackend, placed: Placed) -> dict[str, str]:
    """Return the container's environment: the recipe's own, and what the trainer relies on."""
    ours = {
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "DO_NOT_TRACK": "true",
        "TEMPER_INSTALL": "1" if backend.install else "0",
    }
    if placed.mlflow and not backend.network_isolation:
        ours["MLFLOW_TRACKING_URI"] = placed.mlflow
    return {**ours, **backend.environment}


def metric_definitions(job: TrainingJob, backend: SagemakerBackend) -> list[dict[str, str]]:
    """Return what the service reads out of the log: the recipe's, the losses, those by source."""
    names = [
        "loss",
        "learning_rate",
        "grad_norm",
        "tokens_per_second",
        *(f"loss/{s}" for s in job.mixture.sources),
    ]
    own = [{"Name": m.name, "Regex": m.regex} for m in backend.metrics]
    ours = [
        {"Name": f"train:{n}", "Regex": f'^{MARK}.*"{re.escape(n)}": ([-+0-9.eE]+)'} for n in names
    ]
    taken = {m["Name"] for m in own}
    return [*own, *(m for m in ours if m["Name"] not in taken)][:MOST_METRICS]


def _facts(job: TrainingJob) -> dict[str, str]:
    """Return what a person sees of the job in the console; the trainer reads ``job.json``."""
    spec = job.training
    return {
        "key": job.key,
        "method": spec.method,
        "steps": str(job.steps),
        "seed": str(job.seed),
        "learning_rate": f"{spec.learning_rate:g}",
        "batch_rows": str(spec.batch_rows),
        "model": job.model.name,
        "mixture": job.mixture.digest[:32],
    }


def _channel(name: str, uri: str) -> Request:
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": f"{uri.rstrip('/')}/",
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "InputMode": "File"}


def _output(backend: SagemakerBackend, placed: Placed) -> Request:
    kept = {"S3OutputPath": placed.output, "CompressionType": "GZIP"}
    return {**kept, "KmsKeyId": backend.kms_key} if backend.kms_key else kept


def _resources(backend: SagemakerBackend) -> Request:
    found: Request = {
        "InstanceType": backend.instance_type,
        "InstanceCount": backend.instance_count,
        "VolumeSizeInGB": backend.volume_gb,
    }
    if backend.keep_alive_minutes:
        found["KeepAlivePeriodInSeconds"] = backend.keep_alive_minutes * 60
    if backend.volume_kms_key:
        found["VolumeKmsKeyId"] = backend.volume_kms_key
    return found


def _stopping(backend: SagemakerBackend) -> Request:
    found: Request = {"MaxRuntimeInSeconds": int(backend.max_runtime_hours * 3600)}
    if backend.max_wait_seconds is not None:
        found["MaxWaitTimeInSeconds"] = backend.max_wait_seconds
    return found


def _tags(job: TrainingJob, backend: SagemakerBackend, attempt: int) -> list[dict[str, str]]:
    ours = {
        "temper:key": job.key,
        "temper:model": job.model.digest,
        "temper:mixture": job.mixture.digest,
        "temper:attempt": str(attempt),
    }
    return [{"Key": k, "Value": v} for k, v in {**backend.tags, **ours}.items()]


# Which of AWS's PyTorch training containers a job uses.

ACCOUNT = "763104351884"
"""The account that serves AWS's deep learning containers in most regions."""

ACCOUNTS = {
    "af-south-1": "626614931356",
    "ap-east-1": "871362719292",
    "ap-east-2": "975050140332",
    "ap-northeast-3": "364406365360",
    "ap-south-2": "772153158452",
    "ap-southeast-3": "907027046896",
    "ap-southeast-4": "457447274322",
    "ap-southeast-5": "550225433462",
    "ap-southeast-7": "590183813437",
    "ca-west-1": "204538143572",
    "cn-north-1": "727897471807",
    "cn-northwest-1": "727897471807",
    "eu-central-2": "380420809688",
    "eu-south-1": "692866216735",
    "eu-south-2": "503227376785",
    "il-central-1": "780543022126",
    "me-central-1": "914824155844",
    "me-south-1": "217643126080",
    "mx-central-1": "637423239942",
    "us-gov-east-1": "446045086412",
    "us-gov-west-1": "442386744353",
}
"""Accounts of the regions that have one of their own."""

VERSIONS = {
    "2.5": ("2.5.1", "py311"),
    "2.6": ("2.6.0", "py312"),
    "2.7": ("2.7.1", "py312"),
    "2.8": ("2.8.0", "py312"),
    "2.9": ("2.9.0", "py312"),
    "2.10": ("2.10.0", "py313"),
}
"""Version of PyTorch -> the container's tag and its Python."""


def image_of(backend: SagemakerBackend, region: str) -> str:
    """Return the URI of the job's container image.

    Raises:
        SetupError: AWS serves no container of that version, or none that we know in the region.
    """
    if backend.image:
        return backend.image
    if backend.pytorch not in VERSIONS:
        raise SetupError(
            f"there is no container of PyTorch {backend.pytorch}.",
            where="training.backend.pytorch",
            fix=f"use one of {', '.join(VERSIONS)}; or give image:.",
        )
    if region.startswith(("us-iso", "eu-iso", "eusc")):
        raise SetupError(
            f"the containers of {region} have addresses of their own.",
            where="training.backend.image",
            fix="give the image's URI.",
        )
    version, python = VERSIONS[backend.pytorch]
    hardware = "gpu" if is_gpu(backend.instance_type) else "cpu"
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    account = ACCOUNTS.get(region, ACCOUNT)
    return f"{account}.dkr.ecr.{region}.{suffix}/pytorch-training:{version}-{hardware}-{python}"
