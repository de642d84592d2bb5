"""A training through the store: published here, trained in another TEMPER_HOME, fetched back."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.training import Training
from tasks.errors import SetupError, StorageError, TrainingError
from tasks.training.backends.work_pool import task as prefect_side
from tasks.training.backends.work_pool.jobs import PoolJobs
from tasks.training.backends.work_pool.task import PoolRun
from tasks.training.job import TrainingJob, make_job
from tasks.training.progress_view import wait

pytest.importorskip("torch")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("forked"),
]


class Pool:
    """A work pool with one worker, which runs what it is given at once, on a disk of its own."""

    def __init__(self, home: Path, fails: int = 0) -> None:
        self.home, self.runs, self.fails = home, dict[str, PoolRun](), fails
        self.cancelled = list[str]()

    def start(self, deployment: str, parameters: dict[str, Any], key: str) -> PoolRun:
        from flows.train_job import train_job

        if key not in self.runs:
            if self.fails:
                self.fails -= 1
                self.runs[key] = PoolRun(key, "failed", "Failed: no GPU")
                return self.runs[key]
            mine = os.environ["TEMPER_HOME"]
            os.environ["TEMPER_HOME"] = str(self.home)
            try:
                train_job.fn(**parameters)
            finally:
                os.environ["TEMPER_HOME"] = mine
            self.runs[key] = PoolRun("None", "completed", "Completed")
        return self.runs[key]

    def read(self, run_id: str) -> PoolRun:
        return next(r for r in self.runs.values() if r.id == run_id)


@pytest.fixture
def pool(tmp_path: Path, temper_home: Path, monkeypatch: pytest.MonkeyPatch) -> Pool:
    found = Pool(tmp_path / "worker")
    monkeypatch.setenv("TEMPER_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(prefect_side, "start_run", found.start)
    monkeypatch.setattr(prefect_side, "read_run", found.read)
    monkeypatch.setattr(prefect_side, "cancel_run", found.cancelled.append)
    return found


@pytest.fixture
def make(tiny_model: Any, mixture: Any) -> Callable[..., TrainingJob]:
    def made(**backend: Any) -> TrainingJob:
        section = Training.model_validate(
            {
                "batch_rows": 16,
                "dtype": "float32",
                "adapter": {"rank": 4},
                "backend": {"kind": "work_pool", "threads": 1, **backend},
            }
        )
        return make_job(tiny_model, mixture, section, seed=7)

    return made


def test_a_training_goes_to_the_worker_and_its_checkpoint_comes_back(
    pool: Pool, make: Callable[..., TrainingJob], tmp_path: Path
) -> None:
    job = make()
    jobs = PoolJobs(job.training.backend)
    planned = jobs.plan(job)["parameters"]
    assert not (tmp_path / "store").exists()
    handle = jobs.submit(job)
    assert jobs.submit(job) == handle
    checkpoint = wait(job, handle)
    assert checkpoint.steps == job.steps
    assert checkpoint.digest != checkpoint.parent == job.model.digest
    assert len(pool.runs) == 1
    assert not (job.folder / "states").exists()
    assert set(planned["parts"]) == {"job", "model", "mixture"}
    assert all((tmp_path / "store") in Path(uri).parents for uri in planned["parts"].values())
    from configs.backends import LocalBackend
    from tasks.training.backends.local import LocalProcess

    here = job.training.model_copy(update={"backend": LocalBackend(threads=1)})
    alone = job.model_copy(update={"training": here, "key": "f" * 64, "folder": tmp_path / "f"})
    assert wait(alone, LocalProcess().submit(alone)).digest == checkpoint.digest


def test_the_losses_of_a_running_job_are_seen_through_the_store(
    pool: Pool, make: Callable[..., TrainingJob], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.training.backends.work_pool.worker import publish_metrics, stream_key
    from tasks.training.job import JobHandle

    job = make()
    job.write()
    jobs = PoolJobs(job.training.backend)
    pool.runs["r"] = PoolRun("run-1", "running", "Running")
    handle = JobHandle(backend="work_pool", key=job.key, folder=job.folder, name="run-1")
    assert jobs.poll(handle).latest == {}
    theirs = job.model_copy(update={"folder": tmp_path / "worker"})
    theirs.folder.mkdir()
    publish_metrics(theirs, "run-1", str(tmp_path / "store"))
    for step in (1, 2):
        with (theirs.folder / "losses.jsonl").open("a") as stream:
            stream.write(f'{{"step": {step}, "loss": {3 - step}}}\n')
        publish_metrics(theirs, "run-1", str(tmp_path / "store"))
        status = jobs.poll(handle)
        assert (status.state, status.step, status.latest["loss"]) == ("running", step, 3 - step)
    kept = (job.folder / "losses.jsonl").read_text()
    assert kept == (theirs.folder / "losses.jsonl").read_text()
    assert (tmp_path / "store" / stream_key(job.key, "run-1")).is_file()
    # A store that doesn't answer hides the losses, and stops nothing.
    from tasks.store.places import FolderStore

    def away(*_: Any) -> None:
        raise StorageError("the store does not answer.", where="store", fix="wait")

    monkeypatch.setattr(FolderStore, "sizes", away)
    status = jobs.poll(handle)
    assert (status.state, status.step) == ("running", 2)
    assert "its losses can't be read" in status.message


def test_a_failed_run_is_followed_by_another(pool: Pool, make: Callable[..., TrainingJob]) -> None:
    pool.fails = 1
    job = make()
    PoolJobs(job.training.backend).submit(job)
    assert [key[-2:] for key in pool.runs] == ["-1", "-2"]


def test_a_run_that_published_nothing_is_told(pool: Pool, make: Callable[..., TrainingJob]) -> None:
    job = make()
    jobs = PoolJobs(job.training.backend)
    handle = jobs.submit(job)
    with pytest.raises(StorageError, match="published no result"):
        jobs.collect(job, handle.model_copy(update={"name": "another"}))


def test_cancelling_goes_to_the_worker_and_a_dry_run_to_nobody(
    pool: Pool, make: Callable[..., TrainingJob], tmp_path: Path
) -> None:
    job = make(dry_run=True)
    jobs = PoolJobs(job.training.backend)
    with pytest.raises(TrainingError, match="nothing was published"):
        jobs.submit(job)
    assert not (tmp_path / "store").exists()
    from tasks.training.job import JobHandle

    jobs.cancel(JobHandle(backend="work_pool", key=job.key, folder=job.folder, name="r"))
    assert pool.cancelled == ["r"]


def test_without_a_store_nothing_is_started(
    pool: Pool, make: Callable[..., TrainingJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEMPER_STORE")
    job = make()
    with pytest.raises(SetupError, match="TEMPER_STORE"):
        PoolJobs(job.training.backend).submit(job)
    assert pool.runs == {}
