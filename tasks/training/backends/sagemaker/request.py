"""What a CreateTrainingJob request says of a training, as pure functions of job and recipe."""

import re
from typing import Any, NamedTuple

from configs.remote_backends import SagemakerBackend
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


def metric_definitions(job: TrainingJob, backend: SagemakerBackend) -> list[tuple[str, str]]:
    """Return name and regex of what the service reads out of the log.

    Those are the recipe's own, the losses, and the losses by source.
    """
    names = [
        "loss",
        "learning_rate",
        "grad_norm",
        "tokens_per_second",
        *(f"loss/{s}" for s in job.mixture.sources),
    ]
    ours = [(f"train:{n}", f'^{MARK}.*"{re.escape(n)}": ([-+0-9.eE]+)') for n in names]
    own = [(m.name, m.regex) for m in backend.metrics]
    taken = {name for name, _ in own}
    return [*own, *(m for m in ours if m[0] not in taken)][:MOST_METRICS]


def facts(job: TrainingJob) -> dict[str, str]:
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


def tags(job: TrainingJob, backend: SagemakerBackend, attempt: int) -> dict[str, str]:
    """Return the recipe's tags and those by which the job is known as ours."""
    ours = {
        "temper:key": job.key,
        "temper:model": job.model.digest,
        "temper:mixture": job.mixture.digest,
        "temper:attempt": str(attempt),
    }
    return {**backend.tags, **ours}
