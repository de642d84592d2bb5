"""What Nova's own evaluator is asked: the requests as pure functions.

The serverless request has the fields that SageMaker's SDK sends for its benchmark evaluator:
``JobType: Evaluation`` with ``EvaluationType: BenchmarkEvaluation``, and task, strategy and metric
as hyperparameters. For data of one's own (task ``gen_qa``) the SDK names an evaluator of one's own
beside ``CustomScorerEvaluation``; whether the service takes such a request without one, as it is
sent here because the answers alone are wanted, its documentation doesn't say. The recipe for
HyperPod is the documented one for both.

The SDK sends the request; its evaluators don't make it. A serverless one is run by them as a
SageMaker Pipeline: a new execution under a random token each time it is asked, so that the same
evaluation is bought twice, with permissions for pipelines, and nothing to show before it is sent.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from configs.nova import NovaBackend
from configs.suites.nova_benchmark import BENCHMARKS
from tasks.storage import digest_of
from tasks.training.backends.nova.training_request import (
    MODEL_PATHS,
    MODEL_TYPES,
    NovaPlaced,
    Request,
    model_arn,
    network,
)

OWN = "gen_qa"
OWN_FILE = "gen_qa.jsonl"
OWN_STRATEGY = ("gen_qa", "all")


class OwnItem(NamedTuple):
    """One item of one's own data; ``metadata`` comes back with the answer."""

    query: str
    response: str
    system: str | None
    metadata: str


class OwnFile(BaseModel):
    """Items of one's own as ``gen_qa.jsonl`` on this machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str
    path: Path
    items: int


class EvaluationRequest(BaseModel):
    """One evaluation of one model.

    Attributes:
        name: The suite's.
        model: The model package's ARN, or the address of a HyperPod checkpoint; None for the base.
        task: One of ``BENCHMARKS``, or ``gen_qa`` for data of one's own.
        subtask: A part of the task; all when None.
        data: The items of ``gen_qa``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    name: str
    model: str | None
    backend: NovaBackend
    task: str
    max_new_tokens: int
    subtask: str | None = None
    data: OwnFile | None = None

    @property
    def key(self) -> str:
        """Digest of everything that changes the answers; placement and names are not part of it."""
        backend = self.backend
        return digest_of(
            {
                "kind": "nova-evaluation",
                "base": [backend.model, backend.model_version],
                "model": self.model,
                "asked": self.asked(),
                "data": self.data.digest if self.data else None,
                "hyperpod": backend.hyperpod is not None,
            }
        )

    def asked(self) -> dict[str, str]:
        """Return task, strategy, metric and how answers are drawn: greedily, to be had again."""
        strategy, metric = OWN_STRATEGY if self.task == OWN else BENCHMARKS[self.task]
        return {
            "task": self.task,
            "strategy": strategy,
            "metric": metric,
            "max_new_tokens": str(self.max_new_tokens),
            "temperature": "0",
            "top_p": "1.0",
            "top_k": "-1",
            **({"subtask": self.subtask} if self.subtask else {}),
        }


def evaluation_name(key: str, attempt: int) -> str:
    """Return the name of an evaluation's attempt."""
    return f"temper-nova-eval-{key[:32]}-{attempt}"


def evaluation_request(asked: EvaluationRequest, placed: NovaPlaced, attempt: int) -> Request:
    """Return the CreateTrainingJob request of a serverless evaluation: no machines are named."""
    backend, own = asked.backend, asked.task == OWN
    kms = {"KmsKeyId": backend.kms_key} if backend.kms_key else {}
    request: Request = {
        "TrainingJobName": evaluation_name(asked.key, attempt),
        "RoleArn": placed.role,
        "ServerlessJobConfig": {
            "BaseModelArn": model_arn(backend, placed.region),
            "AcceptEula": backend.accept_eula,
            "JobType": "Evaluation",
            "EvaluationType": "CustomScorerEvaluation" if own else "BenchmarkEvaluation",
        },
        "HyperParameters": asked.asked(),
        "OutputDataConfig": {"S3OutputPath": placed.output, "CompressionType": "NONE", **kms},
        "StoppingCondition": {"MaxRuntimeInSeconds": backend.max_runtime_hours * 3600},
        "Tags": _tags(asked, attempt),
    }
    if own:
        request["InputDataConfig"] = [
            {
                "ChannelName": "train",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": placed.data}},
            }
        ]
    if asked.model is not None:
        request["ModelPackageConfig"] = {
            "ModelPackageGroupArn": backend.model_package_group,
            "SourceModelPackageArn": asked.model,
        }
    return request | _mlflow(asked, attempt) | network(backend)


def evaluation_recipe(asked: EvaluationRequest, placed: NovaPlaced, attempt: int) -> Request:
    """Return the evaluator's recipe for HyperPod."""
    backend, told = asked.backend, asked.asked()
    drawn: dict[str, Any] = {
        "max_new_tokens": asked.max_new_tokens,
        "temperature": 0.0,
        "top_p": 1.0,
        "top_k": -1,
    }
    return {
        "run": {
            "name": evaluation_name(asked.key, attempt),
            "model_type": MODEL_TYPES[backend.model],
            "model_name_or_path": asked.model or MODEL_PATHS[backend.model],
            "replicas": 1,
            "data_s3_path": placed.data,
            "output_s3_path": placed.output,
        },
        "evaluation": {k: v for k, v in told.items() if k not in drawn},
        "inference": drawn,
    }


def own_items(items: Iterable[OwnItem]) -> str:
    """Return ``gen_qa.jsonl``: question, wanted answer, system text and metadata of each item."""
    lines = []
    for item in items:
        row = {"query": item.query, "response": item.response, "metadata": item.metadata}
        row |= {"system": item.system} if item.system else {}
        lines.append(json.dumps(row, ensure_ascii=False))
    return "".join(f"{line}\n" for line in lines)


def _mlflow(asked: EvaluationRequest, attempt: int) -> Request:
    if not asked.backend.mlflow_arn:
        return {}
    return {
        "MlflowConfig": {
            "MlflowResourceArn": asked.backend.mlflow_arn,
            "MlflowExperimentName": asked.name,
            "MlflowRunName": evaluation_name(asked.key, attempt),
        }
    }


def _tags(asked: EvaluationRequest, attempt: int) -> list[dict[str, str]]:
    ours = {"temper:key": asked.key, "temper:attempt": str(attempt)}
    return [{"Key": k, "Value": v} for k, v in {**asked.backend.tags, **ours}.items()]
