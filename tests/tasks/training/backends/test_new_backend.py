"""A backend of one's own: a section, a class, and one row of the table."""

from typing import Any, ClassVar, Literal

import pytest

pytest.importorskip("torch")
from configs.backends import LocalBackend  # noqa: E402
from configs.section import Section  # noqa: E402
from configs.training import Training  # noqa: E402
from tasks.artifacts import Checkpoint, LocalModel  # noqa: E402
from tasks.training.backends.base import BACKENDS, open_backend  # noqa: E402
from tasks.training.backends.local import LocalProcess  # noqa: E402
from tasks.training.job import JobHandle, JobStatus, TrainingJob, take_checkpoint  # noqa: E402
from tasks.training.placement import place_trainer  # noqa: E402
from tasks.training.preflight.estimate import Load, Preflight, PreflightCheck  # noqa: E402
from tasks.training.task import submit_training, wait_for_training  # noqa: E402

pytestmark = pytest.mark.slow


class QueueBackend(Section):
    """A queue that starts a job when it is looked at for the first time."""

    dry_run: ClassVar[bool] = False
    kind: Literal["queue"] = "queue"
    threads: int | None = None
    lane: str = "night"


class QueuedJobs:
    """Its jobs."""

    poll_seconds = 0.1
    keeps_weights = False

    def __init__(self, section: QueueBackend) -> None:
        self.section, self.waiting = section, dict[str, TrainingJob]()

    def check(self, training: Training, model: LocalModel, load: Load, rows: int) -> Preflight:
        lane = PreflightCheck(name="lane", state="ok", says=self.section.lane)
        return Preflight(backend="queue", looks=(lane,))

    def plan(self, job: TrainingJob) -> dict[str, Any]:
        return {"lane": self.section.lane, "job": job.key}

    def submit(self, job: TrainingJob) -> JobHandle:
        here = job.training.model_copy(update={"backend": place_trainer(job.training.backend)})
        self.waiting[job.key] = job.model_copy(update={"training": here})
        return JobHandle(backend="queue", key=job.key, folder=job.folder)

    def poll(self, handle: JobHandle) -> JobStatus:
        if handle.key in self.waiting:
            LocalProcess().submit(self.waiting.pop(handle.key))
            return JobStatus(state="running", message="left the queue")
        return LocalProcess().poll(handle)

    def cancel(self, handle: JobHandle) -> None:
        if self.waiting.pop(handle.key, None) is None:
            LocalProcess().cancel(handle)

    def collect(self, job: TrainingJob, handle: JobHandle) -> Checkpoint:
        return take_checkpoint(job)


def test_a_backend_is_added_by_a_section_a_class_and_one_row(
    mixture: Any, make_training_job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = QueueBackend(threads=1)
    queue = QueuedJobs(section)
    monkeypatch.setitem(BACKENDS, "queue", lambda _: queue)  # the row
    usual = make_training_job(mixture)
    job = usual.model_copy(
        update={"training": usual.training.model_copy(update={"backend": section})}
    )

    assert job.key == usual.key  # where it runs is no part of what is learnt
    opened = open_backend(job.backend)
    found = opened.check(job.training, job.model, Load(1, 1, 1), 1)
    assert [(look.name, look.says) for look in found.looks] == [("lane", "night")]
    assert opened.plan(job) == {"lane": "night", "job": job.key}

    checkpoint = wait_for_training.fn(job, submit_training.fn(job))
    assert checkpoint.steps == job.steps
    assert checkpoint.parent == job.model.digest
    assert place_trainer(section) == LocalBackend(threads=1)  # type: ignore[arg-type]
