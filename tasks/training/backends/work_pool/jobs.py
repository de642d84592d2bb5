"""The work-pool backend: parts published, one run of the deployment, the result fetched."""

import json
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from configs.remote_backends import WorkPoolBackend
from configs.training import Training
from tasks.artifacts import Checkpoint, LocalModel
from tasks.errors import StorageError, TrainingError, Unreachable
from tasks.storage import write_text
from tasks.store.places import BlobStore, fetch, open_store
from tasks.training.backends.local import latest_record
from tasks.training.backends.uploads import addresses, upload
from tasks.training.backends.work_pool.worker import stream_key
from tasks.training.job import JobHandle, JobStatus, State, TrainingJob, take_checkpoint
from tasks.training.preflight.estimate import Load, Preflight
from tasks.training.preflight.run import check_store

T = TypeVar("T")

PAUSE_SECONDS = 5.0


class PoolJobs:
    """Trainings as runs of one deployment."""

    poll_seconds = 5.0
    keeps_weights = False

    def __init__(self, backend: WorkPoolBackend) -> None:
        self.backend = backend

    def submit(self, job: TrainingJob) -> JobHandle:
        """Publish what the worker needs and start the run, or find it.

        Raises:
            TrainingError: ``dry_run`` is set.
            SetupError: The store isn't set, or there is no such deployment.
            Unreachable: The Prefect server does not answer.
        """
        if self.backend.dry_run:
            raise TrainingError(
                "nothing was published or started.",
                where="training.backend.dry_run",
                fix="set dry_run: false to run.",
            )
        place = open_store()
        parameters = self._parameters(job, place, upload(job, place, code=False))
        name = self._started(job, parameters)
        job.write()
        handle = JobHandle(backend="work_pool", key=job.key, folder=job.folder, name=name)
        write_text(job.folder / "handle.json", handle.model_dump_json())
        return handle

    def check(self, training: Training, model: LocalModel, load: Load, rows: int) -> Preflight:
        """Return what can be known before a job is submitted."""
        return check_store()

    def plan(self, job: TrainingJob) -> dict[str, Any]:
        """Return what ``submit`` would start; nothing is published or started."""
        place = open_store()
        return {
            "deployment": self.backend.deployment,
            "parameters": self._parameters(job, place, addresses(job, place, code=False)),
        }

    def poll(self, handle: JobHandle) -> JobStatus:
        """Return where the run stands."""
        from tasks.training.backends.work_pool.task import read_run

        run = self._patient(lambda: read_run(handle.name))
        says = run.says + self._catch_up(handle)
        latest = latest_record(handle.folder / "losses.jsonl")
        steps = int(json.loads((handle.folder / "job.json").read_text())["steps"])
        seen = {
            "step": int(latest.get("step", 0)),
            "steps": steps,
            "latest": latest,
            "message": says,
        }
        known: dict[str, State] = {"completed": "completed", "failed": "failed"}
        return JobStatus(state=known.get(run.state, "running"), **seen)

    def cancel(self, handle: JobHandle) -> None:
        """Have the worker stop the run."""
        from tasks.training.backends.work_pool.task import cancel_run

        self._patient(lambda: cancel_run(handle.name))

    def collect(self, job: TrainingJob, handle: JobHandle) -> Checkpoint:
        """Fetch what the worker left into the job's folder and return its checkpoint.

        Raises:
            StorageError: The run ended well and published nothing.
        """
        if (job.folder / "out").is_dir() and (job.folder / "result.json").is_file():
            return take_checkpoint(job)
        told = open_store().read(f"results/{job.key[:32]}/{handle.name}.json")
        if told is None:
            raise StorageError(
                "the run published no result.",
                where=handle.name,
                fix="check that worker and flow have the same TEMPER_STORE.",
            )
        aside = job.folder / "fetched"
        if not aside.exists():
            fetch(str(json.loads(told)["uri"]), aside)
        for path in sorted(aside.iterdir()):
            path.replace(job.folder / path.name)
        aside.rmdir()
        return take_checkpoint(job)

    def _catch_up(self, handle: JobHandle) -> str:
        """Fetch the metrics stream where it has changed; return what is in the way, if anything."""
        key, file = stream_key(handle.key, handle.name), handle.folder / "losses.jsonl"
        try:
            place = open_store()
            size = place.sizes(str(Path(key).parent)).get(key)
            if size is not None and not (file.is_file() and file.stat().st_size == size):
                place.get(key, aside := file.with_suffix(".new"))
                aside.replace(file)
        except StorageError as error:
            # The training itself is well: only its losses are not seen for now.
            return f" (its losses can't be read: {error})"
        return ""

    def _parameters(
        self, job: TrainingJob, place: BlobStore, parts: dict[str, str]
    ) -> dict[str, Any]:
        return {
            "key": job.key,
            "parts": parts,
            "threads": self.backend.threads,
            "store": place.uri(),
        }

    def _started(self, job: TrainingJob, parameters: dict[str, Any]) -> str:
        """Return the id of the run that goes on or is done; a failed one is followed by another."""
        from tasks.training.backends.work_pool.task import start_run

        for attempt in count(1):
            key = f"{job.key[:32]}-{attempt}"
            starting = partial(start_run, self.backend.deployment, parameters, key)
            run = self._patient(starting)
            if run.state != "failed":
                return run.id
        raise AssertionError("count() does not end")

    def _patient(self, call: Callable[[], T]) -> T:
        """Return the answer of the Prefect server, asked again while it is away."""
        import httpx

        deadline = time.monotonic() + self.backend.patience_minutes * 60
        while True:
            try:
                return call()
            except httpx.TransportError as error:
                if time.monotonic() > deadline:
                    raise Unreachable(
                        f"the Prefect server does not answer: {error}",
                        where="PREFECT_API_URL",
                        fix="run again later: the training goes on meanwhile and is found.",
                    ) from error
                time.sleep(PAUSE_SECONDS)
