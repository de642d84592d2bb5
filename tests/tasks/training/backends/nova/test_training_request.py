"""The requests for Nova: the documented wire form, and nothing that the service model refuses."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.recipe import Recipe
from tasks.errors import DataError, StorageError, TrainingError, Unreachable
from tasks.training.backends.nova.hyperpod import Cluster
from tasks.training.backends.nova.job import NovaJob, NovaModelReceipt, Rows, check_rows, nova_job
from tasks.training.backends.nova.training_jobs import NovaJobs, NovaTraining, read_receipt
from tasks.training.backends.nova.training_request import (
    NovaPlaced,
    hyperpod_commands,
    hyperpod_recipe,
    serverless_request,
)
from tasks.training.backends.sagemaker.attempts import Calls
from tasks.training.backends.sagemaker.standin.rules import problems
from tasks.training.job import JobHandle
from tasks.training.progress_view import watch_job

Make = Callable[..., Recipe]
ROLE = "arn:aws:iam::123456789012:role/temper-job"
PLACED = NovaPlaced(ROLE, "us-east-1", "s3://b/rows/train.jsonl", "s3://b/outputs")
MLFLOW = "arn:aws:sagemaker:us-east-1:123456789012:mlflow-tracking-server/m"


def _job(recipe: Recipe, rows: int = 1000) -> NovaJob:
    return nova_job(recipe, Rows("d" * 64, Path("train.jsonl"), rows))


def test_the_serverless_request_has_the_documented_form(nova_recipe: Make) -> None:
    job = _job(
        nova_recipe({"instruction-following": 1}, 0.75, None, max_steps=100, mlflow_arn=MLFLOW)
    )
    found = serverless_request(job, PLACED, 1)
    assert problems(found) == []
    assert "ResourceConfig" not in found
    assert "AlgorithmSpecification" not in found
    assert found["ServerlessJobConfig"] == {
        "BaseModelArn": "arn:aws:sagemaker:us-east-1:aws:hub-content/SageMakerPublicHub/Model/"
        "nova-textgeneration-lite-v2",
        "AcceptEula": True,
        "JobType": "FineTuning",
        "CustomizationTechnique": "SFT",
        "Peft": "LORA",
    }
    assert found["InputDataConfig"] == [
        {
            "ChannelName": "train",
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "Converse",
                    "S3Uri": "s3://b/rows/train.jsonl",
                    "S3DataDistributionType": "FullyReplicated",
                }
            },
        }
    ]
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


SPACE = list(
    product(
        ("lora", "full"),
        (8192, 65536),
        (32, 128),
        (None, 1e-5),
        ({}, {"kms_key": "k"}),
        ({"code": 1.0}, {None: 1.0}),
    )
)


@pytest.mark.parametrize("options", SPACE, ids=str)
def test_each_request_is_one_that_the_service_takes(nova_recipe: Make, options: Any) -> None:
    peft, length, batch, rate, more, weights = options
    recipe = nova_recipe(
        weights,
        0.6,
        None,
        peft=peft,
        max_length=length,
        learning_rate=rate,
        global_batch_size=batch,
        **more,
    )
    assert problems(serverless_request(_job(recipe), PLACED, 1)) == []


def test_the_space_has_over_forty_requests() -> None:
    assert len(SPACE) == 64


def test_the_hyperpod_recipe_has_the_documented_form(nova_recipe: Make) -> None:
    recipe = nova_recipe(
        {"code": 3, "math": 1},
        0.5,
        None,
        hyperpod={"cluster": "c"},
        model_package_group=None,
        max_steps=50,
    )
    job = _job(recipe)
    found = yaml.safe_load(yaml.safe_dump(hyperpod_recipe(job, PLACED, 1)))
    assert found["data_mixing"]["sources"]["customer_data"] == {"percent": 50.0}
    nova = found["data_mixing"]["sources"]["nova_data"]
    assert (nova["code"], nova["math"], nova["rai"], len(nova)) == (75.0, 25.0, 0.0, 23)
    assert "dataset_catalog" not in found["data_mixing"]
    config = found["training_config"]
    assert config["max_steps"] == 50 >= config["save_steps"]
    assert config["optim_config"] == {
        "lr": 1e-5,
        "weight_decay": 0.0,
        "adam_beta1": 0.9,
        "adam_beta2": 0.95,
    }
    assert config["peft"]["peft_scheme"] == "lora"
    assert config["lr_scheduler"] == {"warmup_steps": 15, "min_lr": 1e-6}
    assert found["run"]["replicas"] == 4
    assert hyperpod_commands(job, "r.yaml") == [
        ["hyperpod", "connect-cluster", "--cluster-name", "c", "--namespace", "kubeflow"],
        [
            "hyperpod",
            "start-job",
            "--namespace",
            "kubeflow",
            "--recipe",
            "r.yaml",
            "--override-parameters",
            '{"instance_type": "ml.p5.48xlarge"}',
        ],
    ]


def test_continued_pre_training_has_categories_of_its_own(nova_recipe: Make) -> None:
    recipe = nova_recipe(
        {"longform-text": 1},
        0.9,
        None,
        method="cpt",
        training={"method": "cpt"},
        hyperpod={"cluster": "c"},
        model_package_group=None,
    )
    found = hyperpod_recipe(_job(recipe), PLACED, 1)
    assert len(found["data_mixing"]["sources"]["nova_data"]) == 16
    assert "peft" not in found["training_config"]


@pytest.mark.parametrize(
    ("rows", "fits"), [(199, False), (200, True), (20_000, True), (20_001, False)]
)
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


@pytest.mark.parametrize(
    ("runtime", "changes", "same"),
    [
        ({}, {"warmup_steps": 200}, True),
        ({}, {"lora_alpha": 192}, True),
        ({}, {"model_version": "1.0.0"}, False),
        ({}, {"learning_rate": 2e-5}, False),
        ("pod", {"warmup_steps": 200}, False),
        ("pod", {"lora_alpha": 192}, False),
        ("pod", {"model_version": "1.0.0"}, True),
    ],
)
def test_the_key_is_of_what_is_sent_and_of_nothing_else(
    nova_recipe: Make, runtime: Any, changes: dict[str, Any], same: bool
) -> None:
    more = {"hyperpod": {"cluster": "c"}, "model_package_group": None} if runtime else {}
    job = _job(nova_recipe({"code": 1}, **more))
    # Past the recipe's own check, which refuses what would not be sent.
    backend = job.backend.model_copy(update=changes)
    recipe = nova_recipe({"code": 1}, **more)
    training = recipe.training.model_copy(update={"backend": backend})
    other = _job(recipe.model_copy(update={"training": training}))
    sent = hyperpod_recipe if runtime else serverless_request
    requests = [_without_names(sent(j, PLACED, 1), j) for j in (job, other)]
    assert (job.key == other.key) == same
    assert (requests[0] == requests[1]) == same


def _without_names(request: Any, job: NovaJob) -> str:
    return json.dumps(request).replace(job.key, "").replace(job.key[:32], "")


def test_the_runtime_is_part_of_the_key(nova_recipe: Make) -> None:
    pod = {"hyperpod": {"cluster": "c"}, "model_package_group": None}
    assert _job(nova_recipe({"code": 1}, **pod)).key != _job(nova_recipe({"code": 1})).key


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
) -> Callable[..., tuple[NovaTraining, Service]]:
    """A function from the states of the service to jobs of it; preflight is let through."""
    import tasks.training.backends.nova.training_jobs as module

    monkeypatch.setenv("TEMPER_STORE", "s3://bucket/store")
    monkeypatch.setenv("TEMPER_SAGEMAKER_ROLE", ROLE)
    monkeypatch.setattr(module, "refuse", lambda _: None)
    monkeypatch.setattr(module, "check_nova", lambda *_: None)
    monkeypatch.setattr(NovaTraining, "upload", lambda _: "s3://bucket/store/rows/train.jsonl")
    rows = tmp_path / "train.jsonl"
    rows.write_text("{}\n")

    def made(*states: dict[str, Any], **fields: Any) -> tuple[NovaTraining, Service]:
        service = Service(*states)
        job = nova_job(nova_recipe({"code": 1}, **fields), Rows("d" * 64, rows, 1000))
        calls = Calls(lambda: service, 60)
        return NovaTraining(job, calls, poll_seconds=0.0), service

    return made


def wait_for(training: NovaTraining, name: str) -> NovaModelReceipt:
    """Wait for a job as every backend is waited for, and return what it left."""
    backend = NovaJobs(training.backend, training._calls, training._cluster, 0.0)
    handle = JobHandle(backend="nova", key=training.key, folder=training.folder, name=name)
    watch_job(backend, handle)
    checkpoint = backend.collect(training.job, handle)
    receipt = read_receipt(checkpoint.path)
    assert receipt is not None
    assert (checkpoint.name, checkpoint.has_weights) == (receipt.model, False)
    return receipt


RUNNING = {"TrainingJobStatus": "InProgress", "SecondaryStatus": "Training"}
DONE = {"TrainingJobStatus": "Completed", "OutputModelPackageArn": "arn:package/1"}
BROKEN = {"TrainingJobStatus": "Failed", "FailureReason": "ClientError: bad rows"}


def test_a_job_is_submitted_once_and_its_model_is_named(ready: Any, temper_home: Path) -> None:
    jobs, service = ready(RUNNING, RUNNING, RUNNING, DONE)
    name = jobs.submit()
    assert jobs.submit() == name
    receipt = wait_for(jobs, name)
    assert len(service.requests) == 1
    assert problems(service.requests[0]) == []
    assert receipt.model == "arn:package/1"
    assert json.loads((jobs.job.folder / "nova.json").read_text())["job"] == name


def test_a_failed_job_says_why_and_is_followed_by_another_attempt(ready: Any) -> None:
    jobs, service = ready(BROKEN)
    name = jobs.submit()
    with pytest.raises(TrainingError, match="ClientError: bad rows"):
        wait_for(jobs, name)
    service.states = [BROKEN, RUNNING]
    assert jobs.submit().endswith("-2")


def test_a_wait_that_is_broken_off_stops_the_job(ready: Any, monkeypatch: Any) -> None:
    jobs, service = ready(RUNNING)
    name = jobs.submit()

    def cancelled(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tasks.training.progress_view.report", cancelled)
    with pytest.raises(KeyboardInterrupt):
        wait_for(jobs, name)
    assert service.stopped == 1


def test_a_dry_run_plans_the_same_request_and_sends_nothing(ready: Any) -> None:
    jobs, service = ready(RUNNING, dry_run=True)
    planned = jobs.plan()["CreateTrainingJob"]
    with pytest.raises(TrainingError, match="nothing was uploaded or submitted"):
        jobs.submit()
    assert service.requests == []
    wet, other = ready(RUNNING)
    wet.submit()
    planned["InputDataConfig"] = other.requests[0]["InputDataConfig"]
    assert planned == other.requests[0]


class Shell:
    """A cluster's command line; it may name jobs otherwise than it is asked to.

    Args:
        conditions: What jobs are in, one at each look; the last stays.
        adds: What it adds to the name of the recipe.
    """

    def __init__(self, *conditions: str, adds: str = "-x7k2p") -> None:
        self.commands, self.conditions = list[list[str]](), list(conditions)
        self.adds, self.jobs, self.fails = adds, list[str](), False

    def __call__(self, command: Any) -> Any:
        import subprocess

        self.commands.append(list(command))
        if command[:2] == ["kubectl", "get"]:
            return self._got(command)
        if command[:2] == ["kubectl", "delete"]:
            self.jobs.remove(command[3])
        if "start-job" in command:
            file = Path(command[command.index("--recipe") + 1])
            self.jobs.append(yaml.safe_load(file.read_text())["run"]["name"] + self.adds)
            if self.fails:
                raise Unreachable("no answer in 180 seconds")
        said = f"NAME: {self.jobs[-1]}\n" if self.jobs else ""
        return subprocess.CompletedProcess(command, 0, said, "")

    def _got(self, command: Any) -> Any:
        import subprocess

        if command[3] == "--namespace":
            out: Any = {"items": [self._job(name) for name in self.jobs]}
        elif command[3] in self.jobs:
            out = self._job(command[3])
        else:
            return subprocess.CompletedProcess(command, 1, "", "Error (NotFound): none")
        return subprocess.CompletedProcess(command, 0, json.dumps(out), "")

    def _job(self, name: str) -> dict[str, Any]:
        one = self.conditions.pop(0) if len(self.conditions) > 1 else self.conditions[0]
        held = [{"type": one, "status": "True", "message": "why"}]
        return {"metadata": {"name": name}, "status": {"conditions": held}}

    @property
    def started(self) -> int:
        """How often a job was paid for."""
        return sum("start-job" in c for c in self.commands)


@pytest.fixture
def on_cluster(ready: Any) -> Callable[..., NovaTraining]:
    """A function from a command line to jobs of its cluster."""

    def made(shell: Shell) -> NovaTraining:
        jobs: NovaTraining = ready(hyperpod={"cluster": "c"}, model_package_group=None)[0]
        jobs._cluster = Cluster(shell)
        return jobs

    return made


def test_a_cluster_is_asked_first_and_submitted_to_once(on_cluster: Any) -> None:
    shell = Shell("Running", "Running", "Succeeded")
    jobs = on_cluster(shell)
    name = jobs.submit()
    assert (name, jobs.submit()) == (f"{jobs.name_of(1)}-x7k2p", name)
    assert shell.started == 1
    written = yaml.safe_load(jobs.recipe_file.read_text())
    assert written["run"]["name"].startswith("temper-nova-")
    assert wait_for(jobs, name).model.startswith("s3://bucket/store/outputs")
    assert [c[1] for c in shell.commands[:3]] == ["connect-cluster", "get", "start-job"]


def test_a_job_whose_name_was_not_heard_is_found_and_not_bought_twice(on_cluster: Any) -> None:
    shell = Shell("Running")
    shell.fails = True
    jobs = on_cluster(shell)
    with pytest.raises(Unreachable):
        jobs.submit()
    shell.fails = False
    assert jobs.submit() == f"{jobs.name_of(1)}-x7k2p"
    assert shell.started == 1


def test_another_machine_finds_the_job_of_the_first(
    on_cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = Shell("Running")
    name = on_cluster(shell).submit()
    monkeypatch.setenv("TEMPER_HOME", str(tmp_path / "elsewhere"))
    other = on_cluster(shell)
    assert (other.submit(), shell.started) == (name, 1)
    assert list(other._submitted().values()) == [name]


def test_a_model_that_is_there_is_not_bought_again_when_the_cluster_forgets(
    on_cluster: Any,
) -> None:
    shell = Shell("Succeeded")
    jobs = on_cluster(shell)
    name = jobs.submit()
    receipt = wait_for(jobs, name)
    shell.jobs.clear()
    asked = len(shell.commands)
    again = on_cluster(shell)
    assert wait_for(again, again.submit()) == receipt
    assert len(shell.commands) == asked


def test_a_serverless_model_that_is_there_is_not_asked_for_again(ready: Any) -> None:
    jobs, service = ready(DONE)
    receipt = wait_for(jobs, jobs.submit())
    again, other = ready(BROKEN)
    assert wait_for(again, again.submit()) == receipt
    assert (len(service.requests), other.requests) == (1, [])


def test_a_receipt_that_can_not_be_read_is_told_and_nothing_is_bought(on_cluster: Any) -> None:
    shell = Shell("Running")
    jobs = on_cluster(shell)
    jobs.folder.mkdir(parents=True)
    (jobs.folder / "nova.json").write_text("{")
    with pytest.raises(StorageError, match="can't be read"):
        jobs.submit()
    assert shell.commands == []


def test_a_failed_attempt_on_a_cluster_is_followed_by_the_next_number(on_cluster: Any) -> None:
    shell = Shell("Failed")
    jobs = on_cluster(shell)
    assert [jobs.submit(), jobs.submit()] == [f"{jobs.name_of(n)}-x7k2p" for n in (1, 2)]
    # The first is cleaned up: the second is still the one there is.
    del shell.jobs[0]
    shell.conditions = ["Running"]
    assert jobs.submit() == f"{jobs.name_of(2)}-x7k2p"


def test_a_cluster_that_gives_no_list_is_not_submitted_to(on_cluster: Any) -> None:
    import subprocess

    commands: list[Any] = []

    def shell(command: Any) -> Any:
        commands.append(command)
        code = int(command[0] == "kubectl")
        return subprocess.CompletedProcess(command, code, "NAME: j", "no route to host")

    jobs = on_cluster(shell)
    with pytest.raises(Unreachable, match="no route to host"):
        jobs.submit()
    assert not any("start-job" in c for c in commands)


@pytest.mark.parametrize(
    ("condition", "removed"), [("Running", True), ("Succeeded", False), ("Failed", False)]
)
def test_only_what_still_runs_is_removed_from_a_cluster(
    on_cluster: Any, condition: str, removed: bool
) -> None:
    shell = Shell(condition)
    jobs = on_cluster(shell)
    jobs.stop(jobs.submit())
    assert (shell.commands[-1][:3] == ["kubectl", "delete", "pytorchjob"]) == removed


def test_a_wait_broken_off_while_the_cluster_is_away_says_that_the_job_may_go_on(
    on_cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = on_cluster(Shell("Running"))
    name = jobs.submit()

    def away(*_: Any) -> None:
        monkeypatch.setattr(Cluster, "find", _no_answer)
        raise KeyboardInterrupt

    monkeypatch.setattr("tasks.training.progress_view.report", away)
    with pytest.raises(TrainingError, match="could not be stopped") as caught:
        wait_for(jobs, name)
    assert not isinstance(caught.value, Unreachable)


def _no_answer(*_: Any) -> None:
    raise Unreachable("no answer")
