"""The SageMaker backend: submit or find, watch, stop, and bring the result home."""

import json
import tarfile
from pathlib import Path
from typing import Any, Protocol

from configs.remote_backends import SagemakerBackend
from configs.settings import Settings
from configs.training import Training
from tasks.artifacts import Checkpoint, LocalModel
from tasks.errors import SetupError, TrainingError
from tasks.storage import write_text
from tasks.store.aws import Client, open_client, region_of
from tasks.store.places import S3Store, open_store
from tasks.training.backends.local import latest_record
from tasks.training.backends.sagemaker.attempts import Attempts, Calls
from tasks.training.backends.sagemaker.logs import LogTail
from tasks.training.backends.sagemaker.request import Placed, Request, job_name
from tasks.training.backends.sagemaker.sdk import TrainingService, planned_request, require_sdk
from tasks.training.backends.uploads import addresses, upload
from tasks.training.job import JobHandle, JobStatus, TrainingJob, take_checkpoint
from tasks.training.preflight.estimate import Load, Preflight
from tasks.training.preflight.run import check_sagemaker, refuse


class SagemakerJobs:
    """Training jobs of one AWS account and region."""

    poll_seconds = 10.0
    keeps_weights = False

    def __init__(self, backend: SagemakerBackend, sagemaker: Calls | None = None) -> None:
        self.backend = backend
        patience, region = backend.patience_minutes * 60, backend.region
        calls = sagemaker or Calls(
            lambda: TrainingService(open_sagemaker(region), region), patience
        )
        self._logs = Calls(lambda: open_logs(region), patience)
        if Settings().sagemaker_standin:
            self.poll_seconds = 0.2
        self.attempts = Attempts(calls, job_name, self.poll_seconds)

    def submit(self, job: TrainingJob) -> JobHandle:
        """Start the job, or find it: an attempt that runs or is done is the one there is.

        Raises:
            TrainingError: ``dry_run`` is set, or the service refuses the request.
            SetupError: Role or store is not set, the SDK is absent, or AWS refuses the upload.
        """
        attempt, found = self.attempts.newest(job.key)
        name = job_name(job.key, attempt)
        if found is None:
            refuse_dry_run(self.backend.dry_run)
            require_sdk()
            mixture = job.mixture
            load = Load(mixture.tokens, mixture.supervised_tokens, job.steps)
            refuse(self.check(job.training, job.model, load, mixture.rows))
            placed = self._placed(job, upload(job, self._store()))
            self.attempts.create(
                name, "train", job=job, backend=self.backend, placed=placed, attempt=attempt
            )
        job.write()
        handle = JobHandle(backend="sagemaker", key=job.key, folder=job.folder, name=name)
        write_text(job.folder / "handle.json", handle.model_dump_json())
        return handle

    def check(self, training: Training, model: LocalModel, load: Load, rows: int) -> Preflight:
        """Return what can be known before a job is submitted."""
        return check_sagemaker(training, model, load)

    def plan(self, job: TrainingJob) -> Request:
        """Return the request that ``submit`` would send; nothing is uploaded or sent."""
        placed = self._placed(job, addresses(job, self._store()))
        attempt = self.attempts.newest(job.key)[0]
        return {"CreateTrainingJob": planned_request(job, self.backend, placed, attempt)}

    def poll(self, handle: JobHandle) -> JobStatus:
        """Return where the job stands; its log is brought up to date on the way.

        Raises:
            Unreachable: AWS does not answer, or the credentials have expired; the job goes on.
        """
        found = self.attempts.described(handle.name)
        if found is None:
            return JobStatus(state="lost", message=f"{handle.name} is not known to the service.")
        LogTail(self._logs, handle.name, handle.folder).catch_up()
        latest = latest_record(handle.folder / "losses.jsonl")
        steps = int(json.loads((handle.folder / "job.json").read_text())["steps"])
        seen = {"step": int(latest.get("step", 0)), "steps": steps, "latest": latest}
        status = found["TrainingJobStatus"]
        if status == "Completed":
            return JobStatus(state="completed", **seen)
        if status in ("Failed", "Stopped"):
            return JobStatus(state="failed", message=self._reason(handle, found), **seen)
        return JobStatus(state="running", message=str(found.get("SecondaryStatus", "")), **seen)

    def cancel(self, handle: JobHandle) -> None:
        """Stop the job; what it has saved stays in S3."""
        self.attempts.stop(handle.name)

    def collect(self, job: TrainingJob, handle: JobHandle) -> Checkpoint:
        """Return the checkpoint of a completed job, whose ``model.tar.gz`` is fetched once."""
        if (job.folder / "out").is_dir() and (job.folder / "result.json").is_file():
            return take_checkpoint(job)
        found = self.attempts.described(handle.name) or {}
        uri = str(found["ModelArtifacts"]["S3ModelArtifacts"])
        parent, _, name = uri.rpartition("/")
        archive = job.folder / f"{handle.name}.tar.gz"
        open_store(parent, self.backend.region).get(name, archive)
        _unpack(archive, job.folder)
        archive.unlink()
        return take_checkpoint(job)

    def _placed(self, job: TrainingJob, channels: dict[str, str]) -> Placed:
        store, mlflow = self._store(), Settings().mlflow_uri
        return Placed(
            role=role(),
            region=region_of(self.backend.region),
            channels=channels,
            output=store.uri("outputs"),
            checkpoints=store.uri(f"checkpoints/{job.key[:32]}"),
            mlflow=mlflow if mlflow and mlflow.startswith(("http", "arn:")) else None,
        )

    def _store(self) -> S3Store:
        return s3_store(self.backend.region)

    def _reason(self, handle: JobHandle, found: dict[str, Any]) -> str:
        """Return why the job ended, whole: the service keeps its first 1024 characters only."""
        secondary = str(found.get("SecondaryStatus", ""))
        kept = self._store().read(f"checkpoints/{handle.key[:32]}/ends/{handle.name}.json")
        if kept is not None and found["TrainingJobStatus"] == "Failed":
            return str(json.loads(kept)["message"])
        reason = str(found.get("FailureReason", ""))
        if secondary == "MaxRuntimeExceeded":
            return f"{handle.name} ran longer than max_runtime_hours and was stopped. {reason}"
        if secondary == "MaxWaitTimeExceeded":
            return f"{handle.name} got no spot machine within max_wait_hours. {reason}"
        return reason or f"{handle.name} was stopped ({secondary})."


def refuse_dry_run(dry_run: bool) -> None:
    """Stop before anything is uploaded where a recipe wants to see the request alone.

    Raises:
        TrainingError: It does.
    """
    if dry_run:
        raise TrainingError(
            "nothing was uploaded or submitted.",
            where="training.backend.dry_run",
            fix="temper plan prints the request; set dry_run: false to run.",
        )


def s3_store(region: str | None = None) -> S3Store:
    """Return TEMPER_STORE, which has to be in S3 for SageMaker to read it.

    Args:
        region: The recipe's; the environment's or the profile's when None.

    Raises:
        SetupError: It is a folder.
    """
    place = open_store(region=region)
    if not isinstance(place, S3Store):
        raise SetupError(
            "SageMaker reads from S3, and TEMPER_STORE is a folder.",
            where=place.uri(),
            fix="export TEMPER_STORE=s3://BUCKET/PREFIX",
        )
    return place


def role() -> str:
    """Return the ARN of the role that jobs run as.

    Raises:
        SetupError: None is set.
    """
    found = Settings().sagemaker_role
    if not found:
        raise SetupError(
            "no role for the job is set.",
            where="this environment",
            fix="export TEMPER_SAGEMAKER_ROLE=arn:aws:iam::ACCOUNT:role/NAME "
            "(infra/aws/stack.yaml makes one).",
        )
    return found


def _unpack(archive: Path, folder: Path) -> None:
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    except tarfile.TarError as error:
        raise TrainingError(
            f"what the job left can't be unpacked: {error}.",
            where=str(archive),
            fix="run again: it is downloaded anew.",
        ) from error


# One seam to the service: AWS, or the stand-in that runs jobs on this machine.


class SagemakerClient(Protocol):
    """The calls that are made of SageMaker, named and answered as by boto3."""

    def create_training_job(self, **request: object) -> dict[str, object]:
        """Start a job; a name that is taken is ResourceInUse."""

    def describe_training_job(self, *, TrainingJobName: str) -> dict[str, object]:  # noqa: N803
        """Return what is known of a job; an unknown name is a ValidationException."""

    def stop_training_job(self, *, TrainingJobName: str) -> dict[str, object]:  # noqa: N803
        """Ask a job to stop."""


def open_sagemaker(region: str | None) -> Client:
    """Return the stand-in where TEMPER_SAGEMAKER_STANDIN names its folder, else AWS."""
    folder = Settings().sagemaker_standin
    if folder is not None:
        from tasks.training.backends.sagemaker.standin.service import StandIn

        return StandIn(folder)
    return open_client("sagemaker", region)


def open_logs(region: str | None) -> Client:
    """Return a client of CloudWatch Logs."""
    return open_client("logs", region)
