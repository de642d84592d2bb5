"""Jobs run by the stand-in: from the upload to the checkpoint, and the ways they end."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.artifacts import Checkpoint
from tasks.errors import SetupError, TrainingError
from tasks.training.backends.sagemaker.jobs import SagemakerJobs
from tasks.training.backends.sagemaker.standin.mounts import way_in
from tasks.training.backends.sagemaker.standin.service import StandIn
from tasks.training.job import TrainingJob
from tasks.training.progress_view import wait

pytest.importorskip("torch")
pytest.importorskip("moto")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
Make = Callable[..., TrainingJob]
Keys = Callable[[], dict[str, int]]


@pytest.fixture(autouse=True)
def namespaces() -> None:
    """Leave out what can't be done where no private mount namespace is permitted."""
    try:
        way_in()
    except SetupError as error:
        pytest.skip(str(error))


def _until(what: Callable[[], Any], seconds: float = 240) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return found


def _transitions(home: Path, name: str) -> list[str]:
    state = json.loads((home / "standin" / name / "state.json").read_text())
    return [t["Status"] for t in state["SecondaryStatusTransitions"]]


def test_a_job_trains_from_what_was_uploaded_and_its_checkpoint_comes_home(
    make: Make, aws: Any, keys: Keys, temper_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET_OF_THE_CALLER", "must not be seen by the job")
    job = make()
    jobs = SagemakerJobs(job.training.backend)
    handle = jobs.submit(job)
    uploaded = keys()
    # Submitted again, as after a crash, it is the same job and nothing is uploaded.
    assert jobs.submit(job) == handle
    assert [j["TrainingJobName"] for j in _list(temper_home)] == [handle.name]
    checkpoint = wait(job, handle)
    assert _transitions(temper_home, handle.name) == [
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    assert checkpoint.steps == 12
    assert checkpoint.digest != checkpoint.parent == job.model.digest
    steps = [json.loads(x)["step"] for x in (checkpoint.path / "losses.jsonl").open()]
    assert steps == list(range(1, 13))
    # Streamed through the log group, too, while it ran.
    assert "Loading weights" in (job.folder / "trainer.log").read_text()
    ran = json.loads((checkpoint.path / "job.json").read_text())
    assert ran["folder"] == "/opt/ml/work"
    assert ran["model"]["path"] == "/opt/ml/input/data/model"
    manifests = [k for k in uploaded if k.endswith("manifest.json")]
    assert {k.split("/")[1] for k in manifests} == {"code", "jobs", "models", "mixtures"}
    assert len(manifests) == 4


@pytest.mark.long
def test_a_spot_job_whose_machine_is_taken_away_ends_with_the_weights_of_an_undisturbed_one(
    make: Make, aws: Any, keys: Keys, temper_home: Path, python: Path
) -> None:
    # A row a step: long enough that it is taken away in the middle.
    job = make(training={"save_steps": 1, "batch_rows": 1}, spot=True)
    jobs = SagemakerJobs(job.training.backend)
    handle = jobs.submit(job)
    _until(lambda: any("states/checkpoint-" in k and "trainer_state" in k for k in keys()))
    StandIn(temper_home / "standin").interrupt(handle.name)
    checkpoint = wait(job, handle)
    assert _transitions(temper_home, handle.name) == [
        "Starting",
        "Downloading",
        "Training",
        "Interrupted",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    from tasks.training.backends.local import LocalProcess

    alone = job.model_copy(update={"folder": temper_home / "alone", "key": "f" * 64})
    local = wait_local(alone, LocalProcess(), python)
    assert checkpoint.digest == local.digest


def wait_local(job: TrainingJob, process: Any, python: Path) -> Checkpoint:
    """Return the checkpoint of the same job on this machine, by one process."""
    from configs.backends import LocalBackend

    here = job.training.model_copy(update={"backend": LocalBackend(threads=1)})
    job = job.model_copy(update={"training": here})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", str(python))
        return wait(job, process.submit(job))


TWO = {"instance_type": "ml.g5.xlarge", "instance_count": 2}


@pytest.mark.long
def test_two_machines_end_with_the_weights_of_one(
    make: Make, aws: Any, temper_home: Path, python: Path
) -> None:
    from safetensors.torch import load_file

    from tasks.training.backends.local import LocalProcess

    job = make(**TWO)
    jobs = SagemakerJobs(job.training.backend)
    handle = jobs.submit(job)
    checkpoint = wait(job, handle)
    folder = temper_home / "standin" / handle.name
    configs = [
        json.loads((folder / host / "ml/input/config/resourceconfig.json").read_text())
        for host in ("algo-1", "algo-2")
    ]
    assert [c["current_host"] for c in configs] == ["algo-1", "algo-2"]
    assert [c["hosts"] for c in configs] == [["algo-1", "algo-2"]] * 2
    result = json.loads((checkpoint.path / "result.json").read_text())
    assert result["made_with"]["processes"] == 2
    alone = job.model_copy(update={"folder": temper_home / "alone", "key": "f" * 64})
    local = wait_local(alone, LocalProcess(), python)
    one, two = (_rows(c.path, "losses.jsonl", "loss") for c in (local, checkpoint))
    assert len(two) == checkpoint.steps == 12
    assert two == pytest.approx(one, abs=1e-4)
    first, second = (_rows(c.path, "rows.jsonl", "rows") for c in (local, checkpoint))
    assert [sorted(r) for r in first] == [sorted(r) for r in second]
    weights = [load_file(c.path / "model.safetensors") for c in (local, checkpoint)]
    assert all(bool((weights[0][n] - w).abs().max() < 1e-4) for n, w in weights[1].items())
    assert checkpoint.digest != job.model.digest


@pytest.mark.long
def test_two_spot_machines_that_are_taken_away_go_on_from_what_both_saved(
    make: Make, aws: Any, keys: Keys, temper_home: Path, python: Path
) -> None:
    from safetensors.torch import load_file

    from tasks.training.backends.local import LocalProcess

    # Steps of two rows, one a machine: long enough that they are taken away in the middle.
    job = make(training={"save_steps": 1, "batch_rows": 2}, spot=True, **TWO)
    jobs = SagemakerJobs(job.training.backend)
    handle = jobs.submit(job)
    _until(lambda: any("states/checkpoint-" in k and "trainer_state" in k for k in keys()))
    StandIn(temper_home / "standin").interrupt(handle.name)
    checkpoint = wait(job, handle)
    assert "Interrupted" in _transitions(temper_home, handle.name)
    steps = _rows(checkpoint.path, "losses.jsonl", "step")
    assert steps == list(range(1, checkpoint.steps + 1))
    alone = job.model_copy(update={"folder": temper_home / "alone", "key": "f" * 64})
    local = wait_local(alone, LocalProcess(), python)
    weights = [load_file(c.path / "model.safetensors") for c in (local, checkpoint)]
    assert all(bool((weights[0][n] - w).abs().max() < 1e-4) for n, w in weights[1].items())


@pytest.mark.long
def test_a_failure_on_two_machines_is_told_and_ends_both(
    make: Make, aws: Any, temper_home: Path
) -> None:
    job = make(training={"learning_rate": 1e30, "max_grad_norm": 1e30}, **TWO)
    jobs = SagemakerJobs(job.training.backend)
    handle = jobs.submit(job)
    with pytest.raises(TrainingError, match="not a number"):
        wait(job, handle)
    assert _transitions(temper_home, handle.name)[-1] == "Failed"


def _rows(folder: Path, name: str, field: str) -> list[Any]:
    return [json.loads(line)[field] for line in (folder / name).read_text().splitlines()]


def test_a_failed_job_says_why_and_the_next_submission_is_a_new_attempt(
    make: Make, aws: Any, temper_home: Path
) -> None:
    job = make(training={"learning_rate": 1e30, "max_grad_norm": 1e30})
    jobs = SagemakerJobs(job.training.backend)
    handle = jobs.submit(job)
    with pytest.raises(TrainingError) as caught:
        wait(job, handle)
    assert "not a number" in str(caught.value)
    assert "lower training.learning_rate" in str(caught.value)
    assert _transitions(temper_home, handle.name)[-1] == "Failed"
    again = jobs.submit(job)
    assert (handle.name[-2:], again.name[-2:]) == ("-1", "-2")
    jobs.cancel(again)
    assert _until(lambda: jobs.poll(again).state == "failed")
    assert _transitions(temper_home, again.name)[-1] == "Stopped"
    jobs.cancel(again)  # twice does no harm


def test_a_wait_that_is_broken_off_stops_the_job(
    make: Make, aws: Any, temper_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make()
    jobs = SagemakerJobs(job.training.backend)
    handle = jobs.submit(job)

    def cancelled(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tasks.training.progress_view.report", cancelled)
    with pytest.raises(KeyboardInterrupt):
        wait(job, handle)
    _until(lambda: _transitions(temper_home, handle.name)[-1] == "Stopped")


def _list(home: Path) -> list[dict[str, Any]]:
    found = StandIn(home / "standin").list_training_jobs(NameContains="temper-")
    return list(found["TrainingJobSummaries"])
