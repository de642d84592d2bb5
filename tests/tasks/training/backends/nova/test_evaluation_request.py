"""What Nova's evaluator is asked: the documented form, and nothing the service model refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.recipe import Recipe
from configs.suites.nova_benchmark import BENCHMARKS
from tasks.training.backends.nova.evaluation_request import (
    OWN,
    EvaluationRequest,
    OwnFile,
    OwnItem,
    evaluation_name,
    evaluation_recipe,
    evaluation_request,
    own_items,
)
from tasks.training.backends.nova.training_request import NovaPlaced
from tasks.training.backends.sagemaker.standin.rules import problems

ROLE = "arn:aws:iam::123456789012:role/temper-job"
PLACED = NovaPlaced(ROLE, "us-east-1", "s3://b/rows/gen_qa.jsonl", "s3://b/outputs")
PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/temper/3"
MLFLOW = "arn:aws:sagemaker:us-east-1:123456789012:mlflow-tracking-server/m"
Make = Callable[..., Recipe]


@pytest.fixture
def asked(nova_recipe: Make) -> Callable[..., EvaluationRequest]:
    """A function from a task, and fields of evaluation and backend, to an evaluation."""

    def made(
        task: str, model: str | None = PACKAGE, subtask: str | None = None, **backend: Any
    ) -> EvaluationRequest:
        spec: Any = nova_recipe({}, **backend).training.backend
        data = OwnFile(digest="d" * 64, path=Path("gen_qa.jsonl"), items=2) if task == OWN else None
        return EvaluationRequest(
            name="suite",
            model=model,
            backend=spec,
            task=task,
            max_new_tokens=8196,
            subtask=subtask,
            data=data,
        )

    return made


@pytest.mark.parametrize("task", [*BENCHMARKS, OWN])
@pytest.mark.parametrize("model", [None, PACKAGE])
def test_every_request_is_one_that_the_service_takes(
    asked: Callable[..., EvaluationRequest], task: str, model: str | None
) -> None:
    more = {
        "kms_key": "k",
        "mlflow_arn": MLFLOW,
        "tags": {"team": "a"},
        "vpc": {"subnets": ["subnet-1"], "security_groups": ["sg-1"]},
    }
    for fields in ({}, more):
        one = asked(task, model, **fields)
        request = evaluation_request(one, PLACED, 1)
        assert problems(request) == []
        assert request["TrainingJobName"] == evaluation_name(one.key, 1)


def test_a_benchmark_is_asked_of_the_trained_model_in_the_sdk_s_form(
    asked: Callable[..., EvaluationRequest],
) -> None:
    one = asked("mmlu", subtask="anatomy")
    found = evaluation_request(one, PLACED, 2)
    assert found["ServerlessJobConfig"] == {
        "BaseModelArn": "arn:aws:sagemaker:us-east-1:aws:hub-content/SageMakerPublicHub/Model/"
        "nova-textgeneration-lite-v2",
        "AcceptEula": True,
        "JobType": "Evaluation",
        "EvaluationType": "BenchmarkEvaluation",
    }
    assert found["HyperParameters"] == {
        "task": "mmlu",
        "strategy": "zs_cot",
        "metric": "accuracy",
        "subtask": "anatomy",
        "max_new_tokens": "8196",
        "temperature": "0",
        "top_p": "1.0",
        "top_k": "-1",
    }
    assert found["ModelPackageConfig"]["SourceModelPackageArn"] == PACKAGE
    assert found["OutputDataConfig"] == {
        "S3OutputPath": "s3://b/outputs",
        "CompressionType": "NONE",
    }
    assert "InputDataConfig" not in found
    assert "ResourceConfig" not in found
    assert found["TrainingJobName"].endswith("-2")


def test_the_base_model_is_named_by_leaving_the_package_out(asked: Any) -> None:
    assert "ModelPackageConfig" not in evaluation_request(asked("ifeval", None), PLACED, 1)


def test_data_of_one_s_own_goes_in_as_a_channel(asked: Any) -> None:
    found = evaluation_request(asked(OWN), PLACED, 1)
    assert found["ServerlessJobConfig"]["EvaluationType"] == "CustomScorerEvaluation"
    [channel] = found["InputDataConfig"]
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == "s3://b/rows/gen_qa.jsonl"
    told = found["HyperParameters"]
    assert (told["task"], told["strategy"], told["metric"]) == ("gen_qa", "gen_qa", "all")


@pytest.mark.parametrize("task", [*BENCHMARKS, OWN])
def test_the_recipe_for_a_cluster_has_the_documented_form(asked: Any, task: str) -> None:
    one = asked(task, "s3://escrow/checkpoint", hyperpod={"cluster": "c"}, model_package_group=None)
    placed = PLACED if task == OWN else PLACED._replace(data="")
    found = evaluation_recipe(one, placed, 1)
    strategy, metric = BENCHMARKS.get(task, ("gen_qa", "all"))
    assert found["evaluation"] == {"task": task, "strategy": strategy, "metric": metric}
    assert found["inference"] == {
        "max_new_tokens": 8196,
        "temperature": 0.0,
        "top_p": 1.0,
        "top_k": -1,
    }
    assert found["run"]["model_name_or_path"] == "s3://escrow/checkpoint"
    assert found["run"]["data_s3_path"] == (PLACED.data if task == OWN else "")
    base = asked(task, None, hyperpod={"cluster": "c"}, model_package_group=None)
    assert evaluation_recipe(base, placed, 1)["run"]["model_name_or_path"] == "nova-lite-2/prod"


def test_what_changes_an_answer_changes_the_key_and_where_it_runs_does_not(asked: Any) -> None:
    key = asked("mmlu").key
    assert asked("mmlu", kms_key="k", max_runtime_hours=3, tags={"a": "b"}).key == key
    others = [
        asked("mmlu", None),
        asked("bbh"),
        asked("mmlu", subtask="anatomy"),
        asked("mmlu", model_version="1.0.0"),
    ]
    assert len({key, *(o.key for o in others)}) == 5


def test_own_items_are_one_line_each() -> None:
    text = own_items([OwnItem("q\n1", "a", None, "m1"), OwnItem("q2", "b", "be brief", "m2")])
    assert [json.loads(line) for line in text.splitlines()] == [
        {"query": "q\n1", "response": "a", "metadata": "m1"},
        {"query": "q2", "response": "b", "metadata": "m2", "system": "be brief"},
    ]


def test_the_benchmarks_are_those_of_the_sdk_s_evaluator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")  # it opens a client as it is loaded
    sdk = pytest.importorskip("sagemaker.train.evaluate")
    properties = {b.value: sdk.get_benchmark_properties(b) for b in sdk.get_benchmarks()}
    theirs = {name: (p["strategy"], *p["metrics"]) for name, p in properties.items()}
    theirs.pop("llm_judge")
    assert theirs == BENCHMARKS
