"""What is ridden out while polling, and what is given up on without stopping the job."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from configs.remote_backends import SagemakerBackend
from tasks.errors import SetupError, TrainingError, Unreachable
from tasks.store.aws import trouble
from tasks.training.backends.sagemaker.attempts import LOGINS, Calls
from tasks.training.backends.sagemaker.jobs import SagemakerJobs
from tasks.training.backends.sagemaker.sdk import TrainingService
from tasks.training.backends.sagemaker.standin.service import StandIn
from tasks.training.backends.sagemaker.standin.state import JobFolder
from tasks.training.job import JobHandle, TrainingJob

BACKEND = SagemakerBackend(kind="sagemaker", instance_type="ml.m5.xlarge", install=False)
LOST = EndpointConnectionError(endpoint_url="https://sagemaker.eu-west-1.amazonaws.com")
CLOSED = ConnectionClosedError(endpoint_url="https://sagemaker.eu-west-1.amazonaws.com")
TIMED_OUT = ReadTimeoutError(endpoint_url="https://sagemaker.eu-west-1.amazonaws.com")


def _said(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "said so"}}, "DescribeTrainingJob")


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, list[float]()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


@pytest.fixture
def running(temper_home: Path) -> tuple[StandIn, JobHandle]:
    """A job that runs, as far as the service knows, and a client whose answers can be spoilt."""
    job = JobFolder(temper_home / "standin" / "temper-x-1")
    job.folder.mkdir(parents=True)
    (job.folder / "request.json").write_text('{"TrainingJobName": "temper-x-1"}')
    job.move("InProgress", "Training", CreationTime=0.0)
    folder = temper_home / "jobs" / "x"
    folder.mkdir(parents=True)
    (folder / "job.json").write_text('{"steps": 10}')
    handle = JobHandle(backend="sagemaker", key="x", folder=folder, name="temper-x-1")
    return StandIn(temper_home / "standin"), handle


def _calls(opening: Callable[[], Any], minutes: float = 30) -> tuple[Calls, Clock]:
    clock = Clock()
    return Calls(opening, minutes * 60, clock.sleep, clock), clock


class Silent:
    """CloudWatch Logs with nothing in it."""

    def describe_log_streams(self, **_: Any) -> dict[str, Any]:
        return {"logStreams": []}


def _jobs(calls: Calls) -> SagemakerJobs:
    jobs = SagemakerJobs(BACKEND, calls)
    jobs._logs = _calls(Silent)[0]
    return jobs


@pytest.mark.parametrize(
    "faults",
    [
        [_said("ThrottlingException")] * 6,
        [LOST, CLOSED, TIMED_OUT, OSError("no route to host")],
        [_said("ExpiredTokenException")] * (LOGINS - 1),
        [_said("ServiceUnavailable"), _said("ThrottlingException"), LOST],
    ],
    ids=["throttling", "a lost connection", "credentials renewed in time", "one after the other"],
)
def test_polling_goes_on_after(running: tuple[StandIn, JobHandle], faults: list[Exception]) -> None:
    client, handle = running
    client.faults = list(faults)
    calls, clock = _calls(lambda: client)
    with JobFolder(client.folder / handle.name).held():
        status = _jobs(calls).poll(handle)
    assert (status.state, status.steps, status.message) == ("running", 10, "Training")
    assert len(clock.slept) == len(faults)
    assert client.faults == []


def test_pauses_grow_and_stay_under_a_minute(running: tuple[StandIn, JobHandle]) -> None:
    client, handle = running
    client.faults = [_said("ThrottlingException")] * 12
    calls, clock = _calls(lambda: client)
    with JobFolder(client.folder / handle.name).held():
        _jobs(calls).poll(handle)
    assert clock.slept[0] <= 2 < clock.slept[3] <= max(clock.slept) <= 60


def test_renewed_credentials_are_read_by_a_new_client(
    running: tuple[StandIn, JobHandle],
) -> None:
    client, handle = running
    opened = list[StandIn]()

    def opening() -> StandIn:
        faults = [_said("ExpiredToken")] if not opened else []
        opened.append(StandIn(client.folder, faults))
        return opened[-1]

    calls, _ = _calls(opening)
    assert calls("describe_training_job", TrainingJobName=handle.name)
    assert len(opened) == 2


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (_said("ExpiredTokenException"), "credentials have expired"),
        (LOST, "has not answered for"),
        (_said("ThrottlingException"), "has not answered for"),
    ],
)
def test_giving_up_says_that_the_job_goes_on_and_does_not_stop_it(
    running: tuple[StandIn, JobHandle],
    make: Callable[..., TrainingJob],
    monkeypatch: pytest.MonkeyPatch,
    fault: Exception,
    said: str,
) -> None:
    from tasks.training import progress_view as waiting

    client, handle = running
    client.faults = [fault] * 1000
    calls, _ = _calls(lambda: client, minutes=5)
    monkeypatch.setattr(waiting, "open_backend", lambda _: _jobs(calls))
    with pytest.raises(Unreachable, match=said) as caught:
        waiting.wait(make(), handle)
    assert "the job goes on" in str(caught.value)
    assert not JobFolder(client.folder / handle.name).wants("stop")


def test_what_is_refused_is_not_asked_again(running: tuple[StandIn, JobHandle]) -> None:
    client, handle = running
    client.faults = [_said("AccessDeniedException")]
    calls, clock = _calls(lambda: client)
    with pytest.raises(SetupError, match="AccessDeniedException: said so"):
        _jobs(calls).poll(handle)
    assert clock.slept == []


def test_a_job_that_is_gone_is_lost_and_one_whose_machine_died_has_failed(
    running: tuple[StandIn, JobHandle],
) -> None:
    client, handle = running
    jobs = _jobs(_calls(lambda: client)[0])
    gone = handle.model_copy(update={"name": "temper-y-1"})
    assert jobs.poll(gone).state == "lost"
    found = client.describe_training_job(TrainingJobName=handle.name)
    assert (found["TrainingJobStatus"], found["FailureReason"][:19]) == (
        "Failed",
        "InternalServerError",
    )


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (_said("TooManyRequestsException"), "throttled"),
        (_said("ExpiredToken"), "expired"),
        (LOST, "unreachable"),
        (TimeoutError(), "unreachable"),
        (_said("500"), "unreachable"),
        (_said("ValidationException"), "refused"),
        (NoCredentialsError(), "refused"),
    ],
)
def test_each_kind_of_trouble_is_told_apart(error: Exception, kind: str) -> None:
    assert trouble(error) == kind


def test_a_submission_that_was_heard_but_not_answered_is_one_job(
    make: Callable[..., TrainingJob], aws: Any, temper_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = StandIn(temper_home / "standin")
    create = client.create_training_job
    monkeypatch.setattr(client, "_start", lambda _: None)

    def heard(**request: Any) -> dict[str, Any]:
        create(**request)
        monkeypatch.setattr(client, "create_training_job", create)
        raise TIMED_OUT

    monkeypatch.setattr(client, "create_training_job", heard)
    job = make()
    calls, _ = _calls(lambda: TrainingService(client))
    handle = SagemakerJobs(job.training.backend, calls).submit(job)
    summaries = client.list_training_jobs()["TrainingJobSummaries"]
    assert [s["TrainingJobName"] for s in summaries] == [handle.name]


def test_a_dry_run_only_reads(
    make: Callable[..., TrainingJob], aws: Any, keys: Callable[[], dict[str, int]]
) -> None:
    made = list[str]()

    class Reader:
        def __getattr__(self, name: str) -> Any:
            def call(**_: Any) -> Any:
                made.append(name)
                raise _said("ResourceNotFound")

            return call

    job = make(dry_run=True)
    jobs = SagemakerJobs(job.training.backend, _calls(Reader)[0])
    request = jobs.plan(job)["CreateTrainingJob"]
    assert request["TrainingJobName"].endswith("-1")
    with pytest.raises(TrainingError, match="nothing was uploaded or submitted"):
        jobs.submit(job)
    assert set(made) == {"describe_training_job"}
    assert keys() == {}
