"""Evaluations by Nova's own evaluator: submitted or found, watched, and their files fetched."""

from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict

from tasks.errors import EvaluationError
from tasks.storage import home
from tasks.store.places import address_of, publish
from tasks.training.backends.nova.evaluation_request import (
    OWN,
    OWN_FILE,
    EvaluationRequest,
    evaluation_name,
    evaluation_recipe,
    evaluation_request,
)
from tasks.training.backends.nova.hyperpod import Cluster
from tasks.training.backends.nova.service import POLL_SECONDS, NovaWork
from tasks.training.backends.nova.training_request import NovaPlaced, Request, start_command
from tasks.training.backends.sagemaker.attempts import Calls
from tasks.training.backends.sagemaker.jobs import s3_store
from tasks.training.job import JobHandle
from tasks.training.preflight.run import check_account, refuse
from tasks.training.progress_view import watch_job

OUTPUTS = "inference_output.jsonl"


class EvaluationResult(BaseModel):
    """What an evaluation left, on this machine.

    Attributes:
        key: The evaluation's.
        job: The service's name of the job.
        results: ``results_*.json``.
        outputs: ``inference_output.jsonl``; None of a benchmark.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    job: str
    results: Path
    outputs: Path | None


class NovaEvaluation(NovaWork):
    """One evaluation of one model.

    Args:
        asked: What is asked of which model.
        calls: SageMaker; opened when absent.
        cluster: Runs the commands of HyperPod.
        poll_seconds: Between two looks.
    """

    def __init__(
        self,
        asked: EvaluationRequest,
        calls: Calls | None = None,
        cluster: Cluster | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        super().__init__(asked.backend, evaluation_name, calls, cluster, poll_seconds)
        self.asked = asked

    @property
    def key(self) -> str:
        """The evaluation's."""
        return self.asked.key

    @property
    def folder(self) -> Path:
        """The evaluation's."""
        return home("jobs", self.key[:32])

    def wait(self, name: str) -> EvaluationResult:
        """Return the files once the job is done; a wait that is broken off stops it.

        The evaluator's guide says that results lie under the output's address and the job's name,
        and names two folders below it; so the files are looked for by their names, and of several
        results the newest counts.

        Raises:
            EvaluationError: The job is done and left no results.
            TrainingError: The job failed or was stopped, with the service's reason.
            Unreachable: AWS does not answer; the job goes on and is found again.
        """
        folder = self.folder / name
        found = _kept(folder)
        if not found:
            handle = JobHandle(backend="nova", key=self.key, folder=self.folder, name=name)
            watch_job(self, handle, doing="Nova's evaluator")
            found = self._fetched(name, folder)
        outputs = found.get(OUTPUTS)
        return EvaluationResult(key=self.key, job=name, results=found["results"], outputs=outputs)

    def kept(self) -> str | None:
        """Return the newest job whose results were fetched."""
        found = [place.parent for place in self.folder.glob("*/results_*.json")]
        return max(found, key=lambda f: (f.stat().st_mtime, f.name)).name if found else None

    def look(self) -> None:
        """Refuse what the service would."""
        refuse(check_account(self.backend))

    def upload(self) -> str:
        """Publish data of one's own and return the address of its file."""
        if self.asked.data is not None:
            publish("rows", self.asked.data.digest, self._files(), s3_store(self.backend.region))
        return self.address()

    def request(self, placed: NovaPlaced, attempt: int) -> Request:
        """Return the CreateTrainingJob request."""
        return evaluation_request(self.asked, placed, attempt)

    def recipe(self, placed: NovaPlaced, attempt: int) -> Request:
        """Return the HyperPod recipe."""
        return evaluation_recipe(self.asked, placed, attempt)

    def commands(self) -> list[list[str]]:
        """Return the command that starts the job; the training has connected the cluster."""
        assert self.backend.hyperpod is not None
        return [start_command(self.backend.hyperpod, str(self.recipe_file))]

    def address(self) -> str:
        """Return the address of the data's file; empty for a benchmark."""
        if self.asked.data is None:
            return ""
        key, _ = address_of("rows", self.asked.data.digest, self._files())
        return s3_store(self.backend.region).uri(f"{key}/{OWN_FILE}")

    def _files(self) -> dict[str, Path]:
        assert self.asked.data is not None
        return {OWN_FILE: self.asked.data.path}

    def _fetched(self, name: str, folder: Path) -> dict[str, Path]:
        place = s3_store(self.backend.region)
        # A cluster may have named the job otherwise than the recipe, whose name the evaluator uses.
        asked_as = [self.name_of(int(n)) for n, known in self._submitted().items() if known == name]
        keys = [k for x in (name, *asked_as) for k in sorted(place.sizes(f"outputs/{x}/"))]
        results = [k for k in keys if PurePosixPath(k).match("results_*.json")]
        outputs = [k for k in keys if PurePosixPath(k).name == OUTPUTS]
        if not results or (self.asked.task == OWN and not outputs):
            lacking = OUTPUTS if results else "results_*.json"
            raise EvaluationError(
                f"the evaluation is done and left no {lacking}.",
                where=place.uri(f"outputs/{name}"),
                fix="look at the job's log.",
            )
        folder.mkdir(parents=True, exist_ok=True)
        # The results last: where they are, everything is.
        for key in [*outputs[-1:], max(results, key=lambda k: PurePosixPath(k).name)]:
            aside = folder / f".{PurePosixPath(key).name}"
            place.get(key, aside)
            aside.rename(folder / PurePosixPath(key).name)
        return _kept(folder)


def _kept(folder: Path) -> dict[str, Path]:
    """Return the files fetched before: ``results`` and, of one's own data, the answers."""
    results = sorted(folder.glob("results_*.json"))
    outputs = folder / OUTPUTS
    kept = {OUTPUTS: outputs} if outputs.is_file() else {}
    return {"results": results[-1], **kept} if results else {}
