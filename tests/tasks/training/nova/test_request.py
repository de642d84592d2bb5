"""The requests for Nova: the documented wire form, and nothing that the service model refuses."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.recipe import Recipe
from tasks.errors import DataError, TrainingError, Unreachable
from tasks.training.nova.cluster import Cluster
from tasks.training.nova.job import NovaJob, Rows, check_rows, nova_job
from tasks.training.nova.jobs import NovaJobs
from tasks.training.nova.request import (
    NovaPlaced,
    hyperpod_commands,
    hyperpod_recipe,
    serverless_request,
)
from tasks.training.sagemaker.calls import Calls
from tasks.training.sagemaker.standin.rules import problems

Make = Callable[..., Recipe]
ROLE = "arn:aws:iam::123456789012:role/temper-job"
PLACED = NovaPlaced(ROLE, "us-east-1", "s3://b/rows/train.jsonl", "s3://b/outputs")
MLFLOW = "arn:aws:sagemaker:us-east-1:123456789012:mlflow-tracking-server/m"


def _job(recipe: Recipe, rows: int = 1000) -> NovaJob:
    return nova_job(recipe, Rows("d" * 64, Path("train.jsonl"), rows))


def test_the_serverless_request_has_the_documented_form(nova_recipe: Make) -> None:
    job = _job(nova_recipe({"instruction-following": 1}, 0.75, None, max_steps=100,
                           mlflow_arn=MLFLOW))  # fmt: skip
    found = serverless_request(job, PLACED, 1)
    assert problems(found) == []
    assert "ResourceConfig" not in found
    assert "AlgorithmSpecification" not in found
    assert found["ServerlessJobConfig"] == {
        "BaseModelArn": "arn:aws:sagemaker:us-east-1:aws:hub-content/SageMakerPublicHub/Model/"
        "nova-textgeneration-lite-v2",
        "AcceptEula": True, "JobType": "FineTuning", "CustomizationTechnique": "SFT",
        "Peft": "LORA"}  # fmt: skip
    assert found["InputDataConfig"] == [{"ChannelName": "train", "DataSource": {"S3DataSource": {
        "S3DataType": "Converse", "S3Uri": "s3://b/rows/train.jsonl",
        "S3DataDistributionType": "FullyReplicated"}}}]  # fmt: skip
    assert found["HyperParameters"]["customer_data_percent"] == "75"
    assert found["HyperParameters"]["nova_instruction-following_percent"] == "100"
    assert sum(k.startswith("nova_") for k in found["HyperParameters"]) == 23
    assert all(isinstance(v, str) for v in found["HyperParameters"].values())
    assert "learning_rate" not in found["HyperParameters"]
    assert found["MlflowConfig"]["MlflowResourceArn"] == MLFLOW
    assert found["TrainingJobName"] == f"temper-nova-{job.key[:32]}-1"


def test_all_parameters_are_trained_by_leaving_peft_out(nova_recipe: Make) -> None:
    found = serverless_request(_job(nova_recipe({}, peft="full")), PLACED, 1)
    assert "Peft" not in found["ServerlessJobConfig"]
    assert not any("percent" in k for k in found["HyperParameters"])


SPACE = list(product(
    ("lora", "full"), (8192, 65536), (32, 128), (None, 1e-5), ({}, {"kms_key": "k"}),
    ({"code": 1.0}, {None: 1.0}),
))  # fmt: skip


@pytest.mark.parametrize("options", SPACE, ids=str)
def test_each_request_is_one_that_the_service_takes(nova_recipe: Make, options: Any) -> None:
    peft, length, batch, rate, more, weights = options
    recipe = nova_recipe(weights, 0.6, None, peft=peft, max_length=length, learning_rate=rate,
                         global_batch_size=batch, **more)  # fmt: skip
    assert problems(serverless_request(_job(recipe), PLACED, 1)) == []


def test_the_space_has_over_forty_requests() -> None:
    assert len(SPACE) == 64


def test_the_hyperpod_recipe_has_the_documented_form(nova_recipe: Make) -> None:
    recipe = nova_recipe({"code": 3, "math": 1}, 0.5, None, hyperpod={"cluster": "c"},
                         model_package_group=None, max_steps=50)  # fmt: skip
    job = _job(recipe)
    found = yaml.safe_load(yaml.safe_dump(hyperpod_recipe(job, PLACED, 1)))
    assert found["data_mixing"]["sources"]["customer_data"] == {"percent": 50.0}
    nova = found["data_mixing"]["sources"]["nova_data"]
    assert (nova["code"], nova["math"], nova["rai"], len(nova)) == (75.0, 25.0, 0.0, 23)
    assert "dataset_catalog" not in found["data_mixing"]
    config = found["training_config"]
    assert config["max_steps"] == 50 >= config["save_steps"]
    assert config["optim_config"] == {"lr": 1e-5, "weight_decay": 0.0, "adam_beta1": 0.9,
                                      "adam_beta2": 0.95}  # fmt: skip
    assert config["peft"]["peft_scheme"] == "lora"
    assert config["lr_scheduler"] == {"warmup_steps": 15, "min_lr": 1e-6}
    assert found["run"]["replicas"] == 4
    assert hyperpod_commands(job, "r.yaml") == [
        ["hyperpod", "connect-cluster", "--cluster-name", "c", "--namespace", "kubeflow"],
        ["hyperpod", "start-job", "--namespace", "kubeflow", "--recipe", "r.yaml",
         "--override-parameters", '{"instance_type": "ml.p5.48xlarge"}']]  # fmt: skip


def test_continued_pre_training_has_categories_of_its_own(nova_recipe: Make) -> None:
    recipe = nova_recipe({"longform-text": 1}, 0.9, None, method="cpt", training={"method": "cpt"},
                         hyperpod={"cluster": "c"}, model_package_group=None)  # fmt: skip
    found = hyperpod_recipe(_job(recipe), PLACED, 1)
    assert len(found["data_mixing"]["sources"]["nova_data"]) == 16
    assert "peft" not in found["training_config"]


@pytest.mark.parametrize(("rows", "fits"), [(199, False), (200, True), (20_000, True),
                                            (20_001, False)])  # fmt: skip
def test_serverless_jobs_take_so_many_rows(nova_recipe: Make, rows: int, fits: bool) -> None:
    backend: Any = nova_recipe({}).training.backend
    if fits:
        return check_rows(rows, backend)
    with pytest.raises(DataError, match="outside what the service takes"):
        check_rows(rows, backend)
    return None


def test_steps_pass_once_over_own_rows_and_nova_s_beside_them(nova_recipe: Make) -> None:
    assert _job(nova_recipe({"code": 1}, 0.5, None), 3200).steps == 200
    assert _job(nova_recipe({}), 3200).steps == 100


def test_placement_is_not_part_of_the_key(nova_recipe: Make) -> None:
    key = _job(nova_recipe({"code": 1})).key
    assert _job(nova_recipe({"code": 1}, kms_key="k", max_runtime_hours=3)).key == key
    assert _job(nova_recipe({"code": 2, "math": 1})).key != key
    assert _job(nova_recipe({"code": 1}, peft="full")).key != key


class Service:
    """Jobs that go through the states given, one at each look."""

    def __init__(self, *states: dict[str, Any]) -> None:
        self.states, self.requests, self.stopped = list(states), list[dict[str, Any]](), 0

    def create_training_job(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        return {}

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803
        from botocore.exceptions import ClientError

        if not self.requests:
            raise ClientError({"Error": {"Code": "ResourceNotFound", "Message": "none"}}, "D")
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def stop_training_job(self, **_: Any) -> dict[str, Any]:
        self.stopped += 1
        return {}


@pytest.fixture
def ready(
    nova_recipe: Make, temper_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[NovaJobs, Service]]:
    """A function from the states of the service to jobs of it; preflight is let through."""
    import tasks.training.nova.jobs as module

    monkeypatch.setenv("TEMPER_STORE", "s3://bucket/store")
    monkeypatch.setenv("TEMPER_SAGEMAKER_ROLE", ROLE)
    monkeypatch.setattr(module, "refuse", lambda _: None)
    monkeypatch.setattr(module, "looked_at", lambda *_: None)
    monkeypatch.setattr(NovaJobs, "upload", lambda _: "s3://bucket/store/rows/train.jsonl")
    rows = tmp_path / "train.jsonl"
    rows.write_text("{}\n")

    def made(*states: dict[str, Any], **fields: Any) -> tuple[NovaJobs, Service]:
        service = Service(*states)
        job = nova_job(nova_recipe({"code": 1}, **fields), Rows("d" * 64, rows, 1000))
        calls = Calls(lambda: service, 60)
        return NovaJobs(job, calls, poll_seconds=0.0), service

    return made


RUNNING = {"TrainingJobStatus": "InProgress", "SecondaryStatus": "Training"}
DONE = {"TrainingJobStatus": "Completed", "OutputModelPackageArn": "arn:package/1"}
BROKEN = {"TrainingJobStatus": "Failed", "FailureReason": "ClientError: bad rows"}


def test_a_job_is_submitted_once_and_its_model_is_named(ready: Any, temper_home: Path) -> None:
    jobs, service = ready(RUNNING, RUNNING, RUNNING, DONE)
    name = jobs.submit()
    assert jobs.submit() == name
    receipt = jobs.wait(name)
    assert len(service.requests) == 1
    assert problems(service.requests[0]) == []
    assert receipt.model == "arn:package/1"
    assert json.loads((jobs.job.folder / "nova.json").read_text())["job"] == name


def test_a_failed_job_says_why_and_is_followed_by_another_attempt(ready: Any) -> None:
    jobs, service = ready(BROKEN)
    name = jobs.submit()
    with pytest.raises(TrainingError, match="ClientError: bad rows"):
        jobs.wait(name)
    service.states = [BROKEN, RUNNING]
    assert jobs.submit().endswith("-2")


def test_a_wait_that_is_broken_off_stops_the_job(ready: Any, monkeypatch: Any) -> None:
    jobs, service = ready(RUNNING)
    name = jobs.submit()

    def cancelled(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tasks.training.nova.service.report", cancelled)
    with pytest.raises(KeyboardInterrupt):
        jobs.wait(name)
    assert service.stopped == 1


def test_a_dry_run_plans_the_same_request_and_sends_nothing(ready: Any) -> None:
    jobs, service = ready(RUNNING, dry_run=True)
    planned = jobs.planned()["CreateTrainingJob"]
    with pytest.raises(TrainingError, match="nothing was uploaded or submitted"):
        jobs.submit()
    assert service.requests == []
    wet, other = ready(RUNNING)
    wet.submit()
    planned["InputDataConfig"] = other.requests[0]["InputDataConfig"]
    assert planned == other.requests[0]


class Shell:
    """A cluster's command line: notes the commands and says what it is told to."""

    def __init__(self, *conditions: str) -> None:
        self.commands, self.conditions = list[list[str]](), list(conditions)

    def __call__(self, command: Any) -> Any:
        import subprocess

        self.commands.append(list(command))
        if command[:2] == ["kubectl", "get"]:
            if not self.conditions or not any("start-job" in c for c in self.commands):
                return subprocess.CompletedProcess(command, 1, "", "Error (NotFound): none")
            held = [{"type": self.conditions.pop(0), "status": "True", "message": "why"}]
            out = json.dumps({"status": {"conditions": held}})
            return subprocess.CompletedProcess(command, 0, out, "")
        return subprocess.CompletedProcess(command, 0, "NAME: the-job\n", "")


def test_a_cluster_is_asked_first_and_submitted_to_once(ready: Any) -> None:
    jobs, _ = ready(hyperpod={"cluster": "c"}, model_package_group=None)
    shell = Shell("Running", "Running", "Succeeded")
    jobs._cluster = Cluster(shell)
    assert jobs.submit() == "the-job"
    assert jobs.submit() == "the-job"
    assert sum("start-job" in c for c in shell.commands) == 1
    written = yaml.safe_load(jobs.recipe_file.read_text())
    assert written["run"]["name"].startswith("temper-nova-")
    assert jobs.wait("the-job").model.startswith("s3://bucket/store/outputs")
    assert [c[1] for c in shell.commands[:3]] == ["connect-cluster", "get", "start-job"]


@pytest.mark.parametrize(("condition", "removed"), [("Running", True), ("Succeeded", False),
                                                    ("Failed", False)])  # fmt: skip
def test_only_what_still_runs_is_removed_from_a_cluster(
    ready: Any, condition: str, removed: bool
) -> None:
    jobs, _ = ready(hyperpod={"cluster": "c"}, model_package_group=None)
    shell = Shell(condition)
    jobs._cluster = Cluster(shell)
    jobs.cancel(jobs.submit())
    assert (shell.commands[-1][:3] == ["kubectl", "delete", "pytorchjob"]) == removed


def test_a_wait_broken_off_while_the_cluster_is_away_says_that_the_job_may_go_on(
    ready: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, _ = ready(hyperpod={"cluster": "c"}, model_package_group=None)
    shell = Shell("Running")
    jobs._cluster = Cluster(shell)
    name = jobs.submit()

    def away(*_: Any) -> None:
        monkeypatch.setattr(Cluster, "find", _no_answer)
        raise KeyboardInterrupt

    monkeypatch.setattr("tasks.training.nova.service.report", away)
    with pytest.raises(TrainingError, match="could not be stopped") as caught:
        jobs.wait(name)
    assert not isinstance(caught.value, Unreachable)


def _no_answer(*_: Any) -> None:
    raise Unreachable("no answer")
