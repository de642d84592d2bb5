"""What a run leaves at Nova's service when it breaks off: nothing that is still paid for."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from configs.loading import load_recipe
from configs.recipe import Recipe
from tasks.errors import SetupError, TrainingError, Unreachable
from tasks.training.job import JobHandle

GROUP = "arn:aws:sagemaker:us-east-1:123456789012:model-package-group/temper"
PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/temper/1"
TASKS = ("mmlu", "bbh", "math", "ifeval")


class Service:
    """Jobs by name: all run until told otherwise, or stopped."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}
        self.stubborn = self.full = ""

    def create_training_job(self, **request: Any) -> dict[str, Any]:
        if len(self.states) == 5 and self.full:
            raise _error(self.full)
        self.states[request["TrainingJobName"]] = "InProgress"
        return {}

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803
        if TrainingJobName not in self.states:
            raise _error("ResourceNotFound")
        return {"TrainingJobStatus": self.states[TrainingJobName], "FailureReason": "no capacity"}

    def stop_training_job(self, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803
        if self.states[TrainingJobName] != "InProgress" or TrainingJobName == self.stubborn:
            raise _error("ValidationException")
        self.states[TrainingJobName] = "Stopped"
        return {}


def _error(code: str) -> Exception:
    from botocore.exceptions import ClientError

    return ClientError({"Error": {"Code": code, "Message": "told"}}, "Operation")


@pytest.fixture
def service(temper_home: Any, monkeypatch: pytest.MonkeyPatch) -> Service:
    """The service; account and store are let through."""
    import flows.evaluators as flow
    import tasks.training.backends.nova.evaluation_jobs as module

    made = Service()
    monkeypatch.setenv("TEMPER_STORE", "s3://bucket/store")
    monkeypatch.setenv("TEMPER_SAGEMAKER_ROLE", "arn:aws:iam::123456789012:role/temper-job")
    monkeypatch.setattr("tasks.training.backends.nova.service.open_sagemaker", lambda _: made)
    monkeypatch.setattr(module, "refuse", lambda _: None)
    monkeypatch.setattr(module, "check_account", lambda _: None)
    monkeypatch.setattr(flow, "make_context", lambda *_: None)
    return made


def evaluate() -> Any:
    """Put four benchmarks to the base and to a candidate."""
    from flows.evaluators import score_nova_models

    recipe = _recipe()
    opened: Any = [(suite, None) for suite in recipe.evaluation.suites]
    nothing: Any = None
    return score_nova_models(recipe, nothing, opened, (None, PACKAGE))


def _recipe() -> Recipe:
    return load_recipe(
        {
            "name": "n",
            "model": {"path": "m"},
            "sources": [{"kind": "files", "path": "x.jsonl", "name": "own", "role": "domain"}],
            "mixture": {"unit": "rows", "domain_share": 1},
            "training": {
                "backend": {"kind": "nova", "accept_eula": True, "model_package_group": GROUP}
            },
            "evaluation": {
                "suites": [{"kind": "nova_benchmark", "name": t, "task": t} for t in TASKS]
            },
        }
    )


def _break_at_first_look(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def broken(*_: Any) -> None:
        raise error

    monkeypatch.setattr("tasks.training.progress_view.report", broken)


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(1), RuntimeError("a defect")], ids=repr
)
def test_a_first_wait_that_breaks_off_stops_all_eight_jobs(
    service: Service, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    _break_at_first_look(monkeypatch, error)
    with pytest.raises(type(error)):
        evaluate()
    assert list(service.states.values()) == ["Stopped"] * 8


def test_an_evaluation_that_fails_stops_the_other_seven(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(*_: Any) -> None:
        service.states[next(iter(service.states))] = "Failed"

    monkeypatch.setattr("tasks.training.progress_view.report", look)
    monkeypatch.setattr("tasks.training.progress_view.time.sleep", lambda _: None)
    with pytest.raises(TrainingError, match="no capacity"):
        evaluate()
    assert list(service.states.values()) == ["Failed"] + ["Stopped"] * 7


def test_jobs_go_on_where_aws_does_not_answer(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    _break_at_first_look(monkeypatch, Unreachable("no answer"))
    with pytest.raises(Unreachable):
        evaluate()
    assert list(service.states.values()) == ["InProgress"] * 8


def test_a_submission_that_is_refused_stops_those_before_it(service: Service) -> None:
    service.full = "ResourceLimitExceeded"
    with pytest.raises(SetupError, match="ResourceLimitExceeded"):
        evaluate()
    assert list(service.states.values()) == ["Stopped"] * 5


def test_a_job_that_can_not_be_stopped_is_named_and_the_others_are_stopped(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        service.stubborn = list(service.states)[2]
        raise KeyboardInterrupt

    monkeypatch.setattr("tasks.training.progress_view.report", interrupted)
    with pytest.raises(TrainingError, match="could not be stopped") as caught:
        evaluate()
    assert service.stubborn in caught.value.message
    assert isinstance(caught.value.__cause__, KeyboardInterrupt)
    left = [name for name, state in service.states.items() if state == "InProgress"]
    assert left == [service.stubborn]


def test_what_is_stopped_is_submitted_anew_by_the_next_run(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    _break_at_first_look(monkeypatch, KeyboardInterrupt())
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            evaluate()
    assert sorted(name[-2:] for name in service.states) == ["-1"] * 8 + ["-2"] * 8


def test_a_training_is_stopped_between_its_submission_and_its_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import flows.finetune as module

    stopped: list[str] = []

    class Backend:
        def cancel(self, handle: JobHandle) -> None:
            stopped.append(handle.name)

    def run_task(task: Any, *_: Any) -> JobHandle:
        if task is module.wait_for_training:
            raise KeyboardInterrupt
        return JobHandle(backend="nova", key="k", folder=tmp_path, name="the-job")

    job: Any = SimpleNamespace(backend=None)
    monkeypatch.setattr(module, "make_training_job", lambda *_: job)
    monkeypatch.setattr(module, "find_checkpoint", lambda _: None)
    monkeypatch.setattr(module, "open_backend", lambda _: Backend())
    monkeypatch.setattr(module, "run_task", run_task)
    nothing: Any = None
    with pytest.raises(KeyboardInterrupt):
        module.train(_recipe(), nothing, nothing)
    assert stopped == ["the-job"]
