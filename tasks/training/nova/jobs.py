"""Nova's jobs: submit or find, wait, and what they leave. Serverless and HyperPod."""

import json
import time
from typing import Any

import yaml

from configs.settings import Settings
from tasks.errors import TrainingError, Unreachable
from tasks.progress import report
from tasks.storage import write_text
from tasks.store.aws import region_of
from tasks.store.places import S3Place
from tasks.store.publish import address_of, publish
from tasks.training.nova.cluster import Cluster
from tasks.training.nova.job import CHANNEL, NovaJob, NovaModelReceipt
from tasks.training.nova.request import (
    NovaPlaced,
    Request,
    hyperpod_commands,
    hyperpod_recipe,
    job_name,
    serverless_request,
)
from tasks.training.preflight.run import looked_at, refuse
from tasks.training.sagemaker.attempts import Attempts, Described
from tasks.training.sagemaker.calls import Calls
from tasks.training.sagemaker.jobs import refuse_dry_run, role, s3_store
from tasks.training.sagemaker.opening import open_sagemaker

POLL_SECONDS = 15.0


class NovaJobs:
    """Trainings of Nova models in one AWS account and region.

    Args:
        job: What to train.
        calls: SageMaker; opened when absent.
        cluster: Runs the commands of HyperPod.
        poll_seconds: Between two looks.
    """

    def __init__(
        self, job: NovaJob, calls: Calls | None = None, cluster: Cluster | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:  # fmt: skip
        self.job, self.backend, self._poll = job, job.backend, poll_seconds
        patience = job.backend.patience_minutes * 60
        region = job.backend.region
        calls = calls or Calls(lambda: open_sagemaker(region), patience)
        self.attempts = Attempts(calls, job_name, poll_seconds)
        self._cluster = cluster or Cluster()

    def planned(self) -> dict[str, Any]:
        """Return exactly what ``submit`` would send; nothing is uploaded, sent or asked."""
        key, _ = address_of("rows", self.job.rows.digest, self._files())
        placed = self._placed(s3_store().uri(f"{key}/{CHANNEL}"))
        if self.backend.hyperpod is None:
            return {"CreateTrainingJob": serverless_request(self.job, placed, 1)}
        return {"recipe": hyperpod_recipe(self.job, placed, 1),
                "commands": hyperpod_commands(self.job, str(self.recipe_file))}  # fmt: skip

    @property
    def recipe_file(self) -> Any:
        """Where the HyperPod recipe is written."""
        return self.job.folder / "recipe.yaml"

    def submit(self) -> str:
        """Start the job, or find it, and return its name.

        Raises:
            TrainingError: ``dry_run`` is set.
            SetupError: Role or store is not set, or AWS refuses.
        """
        if self.backend.hyperpod is not None:
            return self._submit_to_cluster()
        attempt, found = self.attempts.newest(self.job.key)
        if found is None:
            self.attempts.create(self._request(attempt))
        return job_name(self.job.key, attempt)

    def wait(self, name: str) -> NovaModelReceipt:
        """Return the model once the job is done; a wait that is broken off stops the job.

        Raises:
            TrainingError: The job failed or was stopped, with the service's reason.
            Unreachable: AWS does not answer; the job goes on and is found again.
        """
        try:
            return self._receipt(name, self._ended(name))
        except (TrainingError, Unreachable):
            raise
        except BaseException:
            self.cancel(name)
            raise

    def cancel(self, name: str) -> None:
        """Stop the job."""
        if self.backend.hyperpod is not None:
            self._cluster.delete(self.backend.hyperpod, name)
        else:
            self.attempts.stop(name)

    def _ended(self, name: str) -> Described:
        while True:
            if self.backend.hyperpod is not None:
                found = self._cluster.described(self.backend.hyperpod, name)
            else:
                found = self.attempts.described(name) or _lost(name)
            status = found["TrainingJobStatus"]
            report(f"Nova: {found.get('SecondaryStatus', status)}", int(status == "Completed"), 1)
            if status == "Completed":
                return found
            if status in ("Failed", "Stopped"):
                why = found.get("FailureReason") or f"the job ended as {status}"
                raise TrainingError(f"{str(why).rstrip('.')}.", where=name,
                                    fix="mend the cause named and run again.")  # fmt: skip
            time.sleep(self._poll)

    def _receipt(self, name: str, found: Described) -> NovaModelReceipt:
        output = s3_store().uri("outputs")
        package = found.get("OutputModelPackageArn")
        customer = 100.0 if self.job.mix is None else float(self.job.mix.customer)
        receipt = NovaModelReceipt(
            key=self.job.key, job=name, model=str(package or f"{output}/{name}"),
            base=self.backend.model, steps=self.job.steps, rows=self.job.rows.rows,
            customer_percent=customer, output=output,
        )  # fmt: skip
        self.job.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.job.folder / "nova.json", receipt.model_dump_json(indent=1))
        return receipt

    def _request(self, attempt: int) -> Request:
        refuse_dry_run(self.backend.dry_run)
        refuse(looked_at(self.backend, self.job.rows.rows))
        return serverless_request(self.job, self._placed(self._upload()), attempt)

    def _submit_to_cluster(self) -> str:
        pod = self.backend.hyperpod
        assert pod is not None
        self._cluster.connect(pod)
        attempt, known = 1, self._submitted()
        while (found := self._cluster.find(pod, self._name(known, attempt))) is not None:
            if found["TrainingJobStatus"] not in ("Failed", "Stopped"):
                return self._name(known, attempt)
            attempt += 1
        refuse_dry_run(self.backend.dry_run)
        recipe = hyperpod_recipe(self.job, self._placed(self._upload()), attempt)
        self.job.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.recipe_file, yaml.safe_dump(recipe, sort_keys=False))
        name = self._cluster.start(hyperpod_commands(self.job, str(self.recipe_file))[1])
        # The cluster may name a job otherwise than it was asked to.
        write_text(self.job.folder / "cluster.json", json.dumps({**known, str(attempt): name}))
        return name

    def _submitted(self) -> dict[str, str]:
        """Return the names that the cluster gave to earlier attempts."""
        path = self.job.folder / "cluster.json"
        return dict(json.loads(path.read_text())) if path.is_file() else {}

    def _name(self, known: dict[str, str], attempt: int) -> str:
        return known.get(str(attempt)) or job_name(self.job.key, attempt)

    def _upload(self) -> str:
        made = publish("rows", self.job.rows.digest, self._files(), s3_store())
        return f"{made.uri}/{CHANNEL}"

    def _files(self) -> dict[str, Any]:
        return {CHANNEL: self.job.rows.file}

    def _placed(self, data: str) -> NovaPlaced:
        store: S3Place = s3_store()
        name = role() if self.backend.hyperpod is None else (Settings().sagemaker_role or "")
        return NovaPlaced(name, region_of(self.backend.region), data, store.uri("outputs"))


def _lost(name: str) -> Described:
    raise TrainingError("the service does not know the job any more.", where=name,
                        fix="run again: it is submitted anew.")  # fmt: skip
