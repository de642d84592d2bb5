"""Trainings of Nova models: what is submitted, and what they leave. Serverless and HyperPod."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tasks.errors import StorageError
from tasks.storage import write_text
from tasks.store.places import address_of, publish
from tasks.training.backends.nova.hyperpod import Cluster
from tasks.training.backends.nova.job import CHANNEL, NovaJob, NovaModelReceipt
from tasks.training.backends.nova.service import POLL_SECONDS, NovaWork
from tasks.training.backends.nova.training_request import (
    NovaPlaced,
    Request,
    hyperpod_commands,
    hyperpod_recipe,
    job_name,
    serverless_request,
)
from tasks.training.backends.sagemaker.attempts import Calls, Described
from tasks.training.backends.sagemaker.jobs import s3_store
from tasks.training.preflight.run import looked_at, refuse

RECEIPT = "nova.json"


class NovaJobs(NovaWork):
    """The training of a Nova model in one AWS account and region.

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
        super().__init__(job.backend, calls, cluster, poll_seconds)
        self.job = job

    @property
    def key(self) -> str:
        """The training's."""
        return self.job.key

    @property
    def folder(self) -> Path:
        """The training's."""
        return self.job.folder

    def planned(self) -> dict[str, Any]:
        """Return exactly what ``submit`` would send; nothing is uploaded, sent or asked."""
        key, _ = address_of("rows", self.job.rows.digest, self._files())
        placed = self.placed(s3_store(self.backend.region).uri(f"{key}/{CHANNEL}"))
        if self.backend.hyperpod is None:
            return {"CreateTrainingJob": serverless_request(self.job, placed, 1)}
        return {
            "recipe": hyperpod_recipe(self.job, placed, 1),
            "commands": hyperpod_commands(self.job, str(self.recipe_file)),
        }

    def wait(self, name: str) -> NovaModelReceipt:
        """Return the model once the job is done; what is raised is that of ``ended``.

        A job that was seen to end is not asked for again: a cluster forgets what is done.
        """
        kept = self._received()
        return kept if kept and kept.job == name else self._receipt(name, self.ended(name))

    def kept(self) -> str | None:
        """Return the job of the receipt."""
        found = self._received()
        return found.job if found else None

    def name_of(self, attempt: int) -> str:
        """Return the service's name of an attempt."""
        return job_name(self.job.key, attempt)

    def look(self) -> None:
        """Refuse what the service would."""
        refuse(looked_at(self.backend, self.job.rows.rows))

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

    def _received(self) -> NovaModelReceipt | None:
        path = self.job.folder / RECEIPT
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

    def _receipt(self, name: str, found: Described) -> NovaModelReceipt:
        output = s3_store(self.backend.region).uri("outputs")
        package = found.get("OutputModelPackageArn")
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
