"""One piece of work for Nova's service: submitted or found, watched to its end, stopped."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import yaml

from configs.nova import NovaBackend
from configs.settings import Settings
from tasks.storage import write_text
from tasks.store.aws import region_of
from tasks.training.backends.nova.hyperpod import Cluster
from tasks.training.backends.nova.training_request import NovaPlaced, Request, start_command
from tasks.training.backends.sagemaker.attempts import ENDED, Attempts, Calls, Described
from tasks.training.backends.sagemaker.jobs import open_sagemaker, refuse_dry_run, role, s3_store
from tasks.training.backends.sagemaker.sdk import TrainingService, require_sdk
from tasks.training.job import JobHandle, JobStatus

POLL_SECONDS = 15.0


class NovaService:
    """Jobs at the service, serverless or on a HyperPod cluster, by their names.

    Args:
        backend: The recipe's.
        name_of: Key and attempt to the service's name of a job.
        calls: SageMaker; opened when absent.
        cluster: Runs the commands of HyperPod.
        poll_seconds: Between two looks.
    """

    def __init__(
        self,
        backend: NovaBackend,
        name_of: Callable[[str, int], str],
        calls: Calls | None = None,
        cluster: Cluster | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self.backend, self.poll_seconds = backend, poll_seconds
        patience, region = backend.patience_minutes * 60, backend.region
        self._calls = calls or Calls(
            lambda: TrainingService(open_sagemaker(region), region), patience
        )
        self._name_of = name_of
        self.attempts = Attempts(self._calls, name_of, poll_seconds)
        self._cluster = cluster or Cluster()

    def poll(self, handle: JobHandle) -> JobStatus:
        """Return where the job stands, in the service's words.

        Raises:
            Unreachable: AWS does not answer; the job goes on and is found again.
        """
        found = self.described(handle.name)
        if found is None:
            lost = "the service does not know the job any more."
            return JobStatus(state="lost", message=lost, where=handle.name)
        status = found["TrainingJobStatus"]
        if status in ("Failed", "Stopped"):
            why = str(found.get("FailureReason") or f"the job ended as {status}")
            return JobStatus(state="failed", message=f"{why.rstrip('.')}.", where=handle.name)
        says = str(found.get("SecondaryStatus", status))
        return JobStatus(state="completed" if status == "Completed" else "running", message=says)

    def cancel(self, handle: JobHandle) -> None:
        """Stop the job; one that has ended stays as it is."""
        self.stop(handle.name)

    def described(self, name: str) -> Described | None:
        """Return what is known of a job; None where nobody knows it."""
        if self.backend.hyperpod is not None:
            return self._cluster.described(self.backend.hyperpod, name)
        return self.attempts.described(name)

    def stop(self, name: str) -> None:
        """Stop a job; one that has ended stays as it is."""
        if self.backend.hyperpod is not None:
            # On a cluster to stop is to remove, and what has ended has to stay to be found.
            found = self._cluster.find(self.backend.hyperpod, name)
            if found is not None and found["TrainingJobStatus"] not in ENDED:
                self._cluster.delete(self.backend.hyperpod, name)
        else:
            self.attempts.stop(name)


class NovaWork(NovaService, ABC):
    """One piece of work for the service; found by its key."""

    @property
    @abstractmethod
    def key(self) -> str:
        """Digest of everything that changes what comes of it."""

    @property
    @abstractmethod
    def folder(self) -> Path:
        """Its folder on this machine."""

    @abstractmethod
    def look(self) -> None:
        """Refuse what the service would, before anything is uploaded."""

    @abstractmethod
    def address(self) -> str:
        """Return the S3 address that ``upload`` would give; nothing is published."""

    @abstractmethod
    def upload(self) -> str:
        """Publish what the job reads and return its S3 address; empty where it reads nothing."""

    @abstractmethod
    def request(self, placed: NovaPlaced, attempt: int) -> Request:
        """Return the CreateTrainingJob request of a serverless job."""

    @abstractmethod
    def recipe(self, placed: NovaPlaced, attempt: int) -> Request:
        """Return the recipe of a job on HyperPod."""

    @abstractmethod
    def kept(self) -> str | None:
        """Return the job whose result is on this machine already; None if there is none."""

    @abstractmethod
    def commands(self) -> list[list[str]]:
        """Return the commands that submit the job on HyperPod."""

    def name_of(self, attempt: int) -> str:
        """Return the service's name of an attempt."""
        return self._name_of(self.key, attempt)

    @property
    def recipe_file(self) -> Path:
        """Where the HyperPod recipe is written."""
        return self.folder / "recipe.yaml"

    def plan(self) -> Request:
        """Return exactly what ``submit`` would send; nothing is uploaded, sent or asked."""
        placed = self.placed(self.address())
        if self.backend.hyperpod is None:
            return {"CreateTrainingJob": self.request(placed, 1)}
        return {"recipe": self.recipe(placed, 1), "commands": self.commands()}

    def submit(self) -> str:
        """Start the job, or find it, and return its name; nothing is asked where it is kept.

        Raises:
            TrainingError: ``dry_run`` is set.
            SetupError: Role or store is not set, or AWS refuses.
        """
        refuse_dry_run(self.backend.dry_run)
        if (kept := self.kept()) is not None:
            return kept
        if self.backend.hyperpod is not None:
            return self._submit_to_cluster()
        attempt, found = self.attempts.newest(self.key)
        name = self.name_of(attempt)
        if found is None:
            require_sdk()
            self.look()
            request = self.request(self.placed(self.upload()), attempt)
            self.attempts.create(name, "create_training_job", **request)
        return name

    def placed(self, data: str) -> NovaPlaced:
        """Return who the job runs as and where its files are."""
        name = role() if self.backend.hyperpod is None else (Settings().sagemaker_role or "")
        return NovaPlaced(
            name, region_of(self.backend.region), data, s3_store(self.backend.region).uri("outputs")
        )

    def _submit_to_cluster(self) -> str:
        pod = self.backend.hyperpod
        assert pod is not None
        self._cluster.connect(pod)
        there, known = self._cluster.jobs(pod), self._submitted()
        numbered = numbers(there, self.name_of(0).removesuffix("0"), known)
        if (found := best(there, numbered)) is not None:
            self._note(numbered[found], found)
            return found
        attempt = max([0, *numbered.values(), *map(int, known)]) + 1
        recipe = self.recipe(self.placed(self.upload()), attempt)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.recipe_file, yaml.safe_dump(recipe, sort_keys=False))
        name = self._cluster.start(start_command(pod, str(self.recipe_file)))
        self._note(attempt, name)
        return name

    def _submitted(self) -> dict[str, str]:
        """Return the names that the cluster gave to earlier attempts."""
        path = self.folder / "cluster.json"
        return dict(json.loads(path.read_text())) if path.is_file() else {}

    def _note(self, attempt: int, name: str) -> None:
        """Remember a name: the cluster may give a job another than was asked for."""
        self.folder.mkdir(parents=True, exist_ok=True)
        known = {**self._submitted(), str(attempt): name}
        write_text(self.folder / "cluster.json", json.dumps(known))


# Which of a cluster's jobs are attempts at one piece of work, and which of them is to be used.


def numbers(there: Collection[str], stem: str, known: Mapping[str, str]) -> dict[str, int]:
    """Return the attempt's number of every job that is one, by the cluster's name.

    A cluster may add to the name that was asked for, so a job is known by how its name begins;
    attempt 12 is not attempt 1 with something added.

    Args:
        there: Names of the cluster's jobs.
        stem: What stands before the number in the names that are asked for.
        known: Attempt -> name the cluster gave, as this machine remembers it.
    """
    remembered = {name: int(attempt) for attempt, name in known.items()}
    asked = re.compile(rf"{re.escape(stem)}(\d+)(?:\D.*)?")
    begun = {name: int(match[1]) for name in there if (match := asked.fullmatch(name))}
    return begun | {name: n for name, n in remembered.items() if name in there}


def best(there: Mapping[str, Described], numbered: Mapping[str, int]) -> str | None:
    """Return the attempt that is done, else the newest that still runs; None where all failed."""
    states = {name: there[name]["TrainingJobStatus"] for name in numbered}
    alive = [name for name, state in states.items() if state not in ("Failed", "Stopped")]
    order = sorted(alive, key=lambda n: (states[n] != "Completed", -numbered[n], n))
    return order[0] if order else None
