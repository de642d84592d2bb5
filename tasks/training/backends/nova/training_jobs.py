"""Trainings of Nova models as jobs of a backend, serverless or on HyperPod; weights stay there."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from configs.nova import NovaBackend
from configs.training import Training
from tasks.artifacts import Checkpoint, LocalModel
from tasks.errors import StorageError, TrainingError
from tasks.storage import write_text
from tasks.store.places import address_of, publish
from tasks.training.backends.nova.hyperpod import Cluster
from tasks.training.backends.nova.job import CHANNEL, NovaJob, NovaModelReceipt, identity
from tasks.training.backends.nova.service import POLL_SECONDS, NovaService, NovaWork
from tasks.training.backends.nova.training_request import (
    NovaPlaced,
    Request,
    hyperpod_commands,
    hyperpod_recipe,
    job_name,
    serverless_request,
)
from tasks.training.backends.sagemaker.attempts import Calls
from tasks.training.backends.sagemaker.jobs import s3_store
from tasks.training.job import JobHandle, JobStatus
from tasks.training.preflight.estimate import Load, Preflight
from tasks.training.preflight.run import check_nova, refuse

RECEIPT = "nova.json"


class NovaTraining(NovaWork):
    """The training of one Nova model in one AWS account and region.

    Args:
        job: What to train.
        calls: SageMaker; opened when absent.
        cluster: Runs the commands of HyperPod.
        poll_seconds: Between two looks.
    """

    def __init__(
        self,
        job: NovaJob,
        calls: Calls | None = None,
        cluster: Cluster | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        super().__init__(job.backend, job_name, calls, cluster, poll_seconds)
        self.job = job

    @property
    def key(self) -> str:
        """The training's."""
        return self.job.key

    @property
    def folder(self) -> Path:
        """The training's."""
        return self.job.folder

    def commands(self) -> list[list[str]]:
        """Return the commands that connect the cluster and start the job."""
        return hyperpod_commands(self.job, str(self.recipe_file))

    def address(self) -> str:
        """Return the address of the rows' file."""
        key, _ = address_of("rows", self.job.rows.digest, self._files())
        return s3_store(self.backend.region).uri(f"{key}/{CHANNEL}")

    def receive(self, name: str) -> NovaModelReceipt:
        """Return the receipt of a job that is done; it is kept in the job's folder.

        Raises:
            TrainingError: The service forgot the job before its model was named.
        """
        kept = read_receipt(self.folder)
        return kept if kept and kept.job == name else self._receipt(name)

    def kept(self) -> str | None:
        """Return the job of the receipt."""
        found = read_receipt(self.folder)
        return found.job if found else None

    def look(self) -> None:
        """Refuse what the service would."""
        refuse(check_nova(self.backend, self.job.rows.rows))

    def upload(self) -> str:
        """Publish the rows and return the address of their file."""
        made = publish("rows", self.job.rows.digest, self._files(), s3_store(self.backend.region))
        return f"{made.uri}/{CHANNEL}"

    def request(self, placed: NovaPlaced, attempt: int) -> Request:
        """Return the CreateTrainingJob request."""
        return serverless_request(self.job, placed, attempt)

    def recipe(self, placed: NovaPlaced, attempt: int) -> Request:
        """Return the HyperPod recipe."""
        return hyperpod_recipe(self.job, placed, attempt)

    def _receipt(self, name: str) -> NovaModelReceipt:
        output = s3_store(self.backend.region).uri("outputs")
        package = None
        if self.backend.hyperpod is None:  # a cluster has no packages, and forgets what is done
            done = self.attempts.described(name)
            if done is None:
                raise TrainingError(
                    "the job was done, and the service does not know it any more.",
                    where=name,
                    fix="run again: it is submitted anew.",
                )
            package = done.get("OutputModelPackageArn")
        customer = 100.0 if self.job.mix is None else float(self.job.mix.customer)
        receipt = NovaModelReceipt(
            key=self.job.key,
            job=name,
            model=str(package or f"{output}/{name}"),
            base=self.backend.model,
            steps=self.job.steps,
            rows=self.job.rows.rows,
            customer_percent=customer,
            output=output,
        )
        self.job.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.job.folder / RECEIPT, receipt.model_dump_json(indent=1))
        return receipt

    def _files(self) -> dict[str, Any]:
        return {CHANNEL: self.job.rows.file}


class NovaJobs(NovaService):
    """The backend: a job is submitted once, and leaves a receipt instead of weights.

    Args:
        backend: The recipe's.
        calls: SageMaker; opened when absent.
        cluster: Runs the commands of HyperPod.
        poll_seconds: Between two looks.
    """

    keeps_weights = True

    def __init__(
        self,
        backend: NovaBackend,
        calls: Calls | None = None,
        cluster: Cluster | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        super().__init__(backend, job_name, calls, cluster, poll_seconds)

    def check(self, training: Training, model: LocalModel, load: Load, rows: int) -> Preflight:
        """Return what can be known before a job is submitted."""
        return check_nova(self.backend, rows)

    def plan(self, job: NovaJob) -> dict[str, Any]:
        """Return exactly what ``submit`` would send; nothing is uploaded, sent or asked."""
        return self._training(job).plan()

    def submit(self, job: NovaJob) -> JobHandle:
        """Start the job, or find it; nothing is asked where its model is known already.

        Raises:
            TrainingError: ``dry_run`` is set.
            SetupError: Role or store is not set, or AWS refuses.
        """
        name = self._training(job).submit()
        return JobHandle(backend="nova", key=job.key, folder=job.folder, name=name)

    def poll(self, handle: JobHandle) -> JobStatus:
        """Return where the job stands; one that left a receipt is not asked for again."""
        kept = read_receipt(handle.folder)
        if kept is not None and kept.job == handle.name:
            return JobStatus(state="completed")
        return super().poll(handle)

    def collect(self, job: NovaJob, handle: JobHandle) -> Checkpoint:
        """Return what stands for a model whose weights stay with AWS."""
        receipt = self._training(job).receive(handle.name)
        return Checkpoint(
            path=job.folder,
            digest=identity(self.backend, receipt.model),
            name=receipt.model,
            tokenizer_digest="",
            has_weights=False,
            parent=identity(self.backend, None),
            steps=receipt.steps,
            adapter_digest="",
        )

    def _training(self, job: NovaJob) -> NovaTraining:
        return NovaTraining(job, self._calls, self._cluster, self.poll_seconds)


def read_receipt(folder: Path) -> NovaModelReceipt | None:
    """Return the receipt in a job's folder; None where there is none.

    Raises:
        StorageError: It can't be read.
    """
    path = folder / RECEIPT
    if not path.is_file():
        return None
    try:
        return NovaModelReceipt.model_validate_json(path.read_text())
    except ValidationError as error:
        raise StorageError(
            "the receipt of a trained Nova model can't be read.",
            where=str(path),
            fix="put it right; without it a model that is there may be trained again.",
        ) from error
