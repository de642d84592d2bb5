"""The seam: what every backend says of itself, and what a run that breaks off leaves."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from configs.backends import Backend, LocalBackend
from configs.nova import NovaBackend
from configs.remote_backends import SagemakerBackend, WorkPoolBackend
from configs.training import Training
from tasks.artifacts import LocalModel, MixtureReceipt
from tasks.errors import TrainingError, Unreachable
from tasks.training.backends.base import open_backend, stop_on_break
from tasks.training.backends.local import LocalProcess
from tasks.training.job import TrainingJob
from tasks.training.placement import place_trainer

NOVA = NovaBackend(
    kind="nova",
    accept_eula=True,
    model_package_group="arn:aws:sagemaker:us-east-1:123456789012:model-package-group/temper",
)
SAGEMAKER = SagemakerBackend(
    kind="sagemaker", instance_type="ml.g5.xlarge", threads=3, sharding="fsdp"
)
POOL = WorkPoolBackend(kind="work_pool", threads=2)
LOCAL = LocalBackend(processes=2, sharding="fsdp")


@pytest.mark.parametrize("section", [LOCAL, SAGEMAKER, POOL, NOVA], ids=lambda s: s.kind)
def test_only_novas_weights_stay_with_the_service(section: Backend) -> None:
    backend = open_backend(section)
    assert backend.keeps_weights == (section is NOVA)
    assert all(
        callable(getattr(backend, step))
        for step in ("check", "plan", "submit", "poll", "cancel", "collect")
    )


def test_our_trainer_is_placed_as_the_backend_says() -> None:
    assert place_trainer(LOCAL) == LOCAL
    assert place_trainer(SAGEMAKER) == LocalBackend(threads=3, sharding="fsdp")
    assert place_trainer(POOL) == LocalBackend(threads=2)
    with pytest.raises(ValueError, match="nova has a trainer of its own"):
        place_trainer(NOVA)


def test_a_local_plan_is_the_command_and_writes_nothing(tmp_path: Path) -> None:
    job = TrainingJob(
        key="k",
        folder=tmp_path / "job",
        model=LocalModel.model_construct(),
        mixture=MixtureReceipt.model_construct(),
        training=Training(backend=LocalBackend(processes=2)),
        seed=1,
        steps=1,
    )
    planned = LocalProcess().plan(job)
    assert planned["command"][2:4] == ["tasks.training.launcher", "2"]
    assert planned["command"][-1] == str(tmp_path / "job" / "job.json")
    assert list(tmp_path.iterdir()) == []


def run(error: BaseException | None, **jobs: Callable[[], object]) -> None:
    """Submit the jobs, and break off with the error."""
    with stop_on_break() as running:
        running.update(jobs)
        if error is not None:
            raise error


def test_jobs_are_stopped_when_the_body_breaks_off_and_not_when_it_ends() -> None:
    stopped: list[str] = []
    jobs = {name: partial(stopped.append, name) for name in ("a", "b")}
    run(None, **jobs)
    assert stopped == []
    with pytest.raises(KeyboardInterrupt):
        run(KeyboardInterrupt(), **jobs)
    assert stopped == ["a", "b"]


def test_jobs_go_on_where_the_service_does_not_answer() -> None:
    stopped: list[str] = []
    with pytest.raises(Unreachable):
        run(Unreachable("no answer"), a=partial(stopped.append, "a"))
    assert stopped == []


def test_a_job_that_can_not_be_stopped_is_named_and_the_others_are_stopped() -> None:
    stopped: list[str] = []

    def refuse() -> None:
        raise RuntimeError("not allowed.")

    with pytest.raises(TrainingError, match=r"a \(not allowed\)") as caught:
        run(KeyboardInterrupt(), a=refuse, b=partial(stopped.append, "b"))
    assert stopped == ["b"]
    assert isinstance(caught.value.__cause__, KeyboardInterrupt)
