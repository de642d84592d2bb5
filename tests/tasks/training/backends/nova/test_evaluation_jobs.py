"""Evaluations at the service: one job each, its files fetched from S3 (moto)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.recipe import Recipe
from tasks.errors import EvaluationError, SetupError, TrainingError
from tasks.storage import digest_of
from tasks.training.backends.nova.evaluation_jobs import NovaEvaluation
from tasks.training.backends.nova.evaluation_request import OWN, EvaluationRequest, OwnFile
from tasks.training.backends.nova.hyperpod import Cluster
from tasks.training.backends.sagemaker.attempts import Calls
from tasks.training.backends.sagemaker.standin.rules import problems

pytest.importorskip("moto")
Make = Callable[..., Recipe]
PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/temper/3"
RESULTS = json.dumps({"results": {"all": {"accuracy": 0.5}}})


class Service:
    """Jobs by name, all in one state; a name that is not there is unknown."""

    def __init__(self, status: str = "Completed") -> None:
        self.status, self.requests = status, dict[str, dict[str, Any]]()

    def create_training_job(self, **request: Any) -> dict[str, Any]:
        assert problems(request) == []
        self.requests[request["TrainingJobName"]] = request
        return {}

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803
        from botocore.exceptions import ClientError

        if TrainingJobName not in self.requests:
            raise ClientError({"Error": {"Code": "ResourceNotFound", "Message": "none"}}, "D")
        return {"TrainingJobStatus": self.status, "FailureReason": "ClientError: no such part"}

    def stop_training_job(self, **_: Any) -> dict[str, Any]:
        self.status = "Stopped"
        return {}


@pytest.fixture
def bucket(open_account: Any, temper_home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty account on loopback; gives its S3 client."""
    return open_account(monkeypatch, {"TEMPER_SAGEMAKER_STANDIN": str(temper_home / "standin")})


@pytest.fixture
def ready(nova_recipe: Make, tmp_path: Path) -> Callable[..., tuple[NovaEvaluation, Service]]:
    """A function from a task and fields of the backend to an evaluation and its service."""

    def made(task: str = "mmlu", **backend: Any) -> tuple[NovaEvaluation, Service]:
        file = tmp_path / "gen_qa.jsonl"
        file.write_text('{"query": "q", "response": "-", "metadata": "m"}\n')
        data = OwnFile(digest=digest_of(file.read_text()), path=file, items=1)
        spec: Any = nova_recipe({}, **backend).training.backend
        asked = EvaluationRequest(
            name="suite",
            model=PACKAGE,
            backend=spec,
            task=task,
            max_new_tokens=64,
            data=data if task == OWN else None,
        )
        service = Service()
        return NovaEvaluation(asked, Calls(lambda: service, 60), poll_seconds=0.0), service

    return made


def put(bucket: Any, key: str, text: str) -> None:
    bucket.put_object(Bucket="temper-tests", Key=f"store/outputs/{key}", Body=text.encode())


@pytest.mark.parametrize("below", ["output/output/None/eval_results", "eval-result"])
def test_results_are_found_in_either_documented_folder(bucket: Any, ready: Any, below: str) -> None:
    evaluation, service = ready()
    name = evaluation.submit()
    assert evaluation.submit() == name
    assert list(service.requests) == [name]
    put(bucket, f"{name}/{below}/results_2026-01-01.json", "{}")
    put(bucket, f"{name}/{below}/results_2026-01-02.json", RESULTS)
    put(bucket, f"{name}0/{below}/results_2027-01-01.json", "{}")
    found = evaluation.wait(name)
    assert (found.results.read_text(), found.outputs) == (RESULTS, None)
    # What was fetched is kept: neither the service nor the bucket is asked again.
    service.requests.clear()
    assert evaluation.wait(evaluation.submit()) == found
    assert service.requests == {}


def test_data_of_one_s_own_is_uploaded_once_and_answers_come_with_the_results(
    bucket: Any, ready: Any
) -> None:
    evaluation, service = ready(OWN)
    name = evaluation.submit()
    [channel] = service.requests[name]["InputDataConfig"]
    at = channel["DataSource"]["S3DataSource"]["S3Uri"].removeprefix("s3://temper-tests/")
    body = bucket.get_object(Bucket="temper-tests", Key=at)["Body"].read()
    assert body == evaluation.asked.data.path.read_bytes()
    assert evaluation.plan()["CreateTrainingJob"] == service.requests[name]
    folder = f"{name}/output/output/None/eval_results"
    put(bucket, f"{folder}/results_1.json", RESULTS)
    with pytest.raises(EvaluationError, match=r"left no inference_output\.jsonl"):
        evaluation.wait(name)
    put(bucket, f"{folder}/inference_output.jsonl", "{}\n")
    assert evaluation.wait(name).outputs.read_text() == "{}\n"


def test_a_job_that_is_done_and_left_nothing_is_told(bucket: Any, ready: Any) -> None:
    evaluation, _ = ready()
    name = evaluation.submit()
    with pytest.raises(EvaluationError, match=r"left no results_\*\.json"):
        evaluation.wait(name)


def test_a_failed_evaluation_says_why_and_is_followed_by_another_attempt(
    bucket: Any, ready: Any
) -> None:
    evaluation, service = ready()
    name = evaluation.submit()
    service.status = "Failed"
    with pytest.raises(TrainingError, match="no such part"):
        evaluation.wait(name)
    assert evaluation.submit() == f"{name[:-1]}2"
    assert len(service.requests) == 2


def test_a_wait_that_is_broken_off_stops_the_job(
    bucket: Any, ready: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluation, service = ready()
    name, service.status = evaluation.submit(), "InProgress"

    def cancelled(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tasks.training.progress_view.report", cancelled)
    with pytest.raises(KeyboardInterrupt):
        evaluation.wait(name)
    assert service.status == "Stopped"


def test_a_dry_run_uploads_and_submits_nothing(bucket: Any, ready: Any) -> None:
    evaluation, service = ready(OWN, dry_run=True)
    assert problems(evaluation.plan()["CreateTrainingJob"]) == []
    with pytest.raises(TrainingError, match="nothing was uploaded or submitted"):
        evaluation.submit()
    assert service.requests == {}
    assert "Contents" not in bucket.list_objects_v2(Bucket="temper-tests")


def test_a_role_that_is_not_there_is_told_before_anything_is_sent(
    bucket: Any, ready: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPER_SAGEMAKER_ROLE", "arn:aws:iam::123456789012:role/other")
    evaluation, service = ready(OWN)
    with pytest.raises(SetupError, match="role"):
        evaluation.submit()
    assert service.requests == {}
    assert "Contents" not in bucket.list_objects_v2(Bucket="temper-tests")


def test_a_cluster_is_given_the_recipe_once_and_its_results_are_under_the_recipe_s_name(
    bucket: Any, ready: Any
) -> None:
    import subprocess

    import yaml

    started: list[list[str]] = []

    def shell(command: Any) -> Any:
        if command[:2] == ["kubectl", "get"]:
            held = [{"type": "Succeeded", "status": "True"}]
            job = {"metadata": {"name": "the-job"}, "status": {"conditions": held}}
            listed = {"items": [job] if started else []}
            said = json.dumps(listed if command[3] == "--namespace" else job)
            return subprocess.CompletedProcess(command, 0, said, "")
        started.extend([command] if "start-job" in command else [])
        return subprocess.CompletedProcess(command, 0, "NAME: the-job\n", "")

    evaluation, _ = ready(hyperpod={"cluster": "c"}, model_package_group=None)
    evaluation._cluster = Cluster(shell)
    assert [evaluation.submit(), evaluation.submit()] == ["the-job"] * 2
    assert len(started) == 1
    recipe = yaml.safe_load(evaluation.recipe_file.read_text())
    assert recipe["evaluation"]["task"] == "mmlu"
    put(bucket, f"{recipe['run']['name']}/eval-result/results_1.json", RESULTS)
    found = evaluation.wait("the-job")
    assert found.results.read_text() == RESULTS
    # The cluster forgets what is done; what was fetched is not bought again.
    started.clear()
    assert evaluation.wait(evaluation.submit()) == found
    assert started == []
