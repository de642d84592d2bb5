"""The stand-in's client: the calls of boto3's SageMaker client that training needs."""

import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from configs.settings import Settings
from tasks.storage import write_text
from tasks.training.backends.sagemaker.standin.rules import problems
from tasks.training.backends.sagemaker.standin.state import TERMINAL, JobFolder

ARN = "arn:aws:sagemaker:us-east-1:123456789012:training-job/"
_TIMES = ("CreationTime", "LastModifiedTime", "TrainingStartTime", "TrainingEndTime")


class StandIn:
    """Jobs in the folders below one; a process of its own for each, which outlives the caller.

    Args:
        folder: Where the jobs are.
        faults: Errors to raise instead of answering, in turn; for tests of what callers do then.
    """

    def __init__(self, folder: Path, faults: list[Exception] | None = None) -> None:
        self.folder = Path(folder).expanduser().resolve()
        self.faults = faults if faults is not None else []

    def create_training_job(self, **request: Any) -> dict[str, Any]:
        """Check the request as the service does, and start the job."""
        self._fault()
        name = str(request.get("TrainingJobName", ""))
        wrong = problems(request)
        several = request.get("ResourceConfig", {}).get("InstanceCount", 1) > 1
        if several and not Settings().sagemaker_standin_mounts:
            wrong.append(
                "several machines find each other by name, and the stand-in can only name "
                "them with TEMPER_SAGEMAKER_STANDIN_MOUNTS=true"
            )
        if wrong:
            raise _error("ValidationException", "; ".join(wrong), "CreateTrainingJob")
        try:
            (self.folder / name).mkdir(parents=True)
        except FileExistsError:
            raise _error("ResourceInUse", f"{name} is there already", "CreateTrainingJob") from None
        job = JobFolder(self.folder / name)
        write_text(job.folder / "request.json", json.dumps(request))
        job.move("InProgress", "Starting", "Preparing the machine", CreationTime=time.time())
        self._start(job)
        return {"TrainingJobArn": ARN + name}

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803
        """Return request and state together, as the service does."""
        self._fault()
        job = self._job(TrainingJobName, "DescribeTrainingJob")
        state = job.state
        if state["TrainingJobStatus"] not in TERMINAL and not job.machine_lives():
            state = job.state  # it may have ended between the two looks
            if state["TrainingJobStatus"] not in TERMINAL:
                job.move("Failed", "Failed", FailureReason="InternalServerError: machine lost")
        found = {**job.request, **job.state, "TrainingJobArn": ARN + job.name}
        times = {k: datetime.fromtimestamp(found[k], UTC) for k in _TIMES if k in found}
        found.pop("Tags", None)
        return {**found, **times}

    def list_training_jobs(self, NameContains: str = "", **_: Any) -> dict[str, Any]:  # noqa: N803
        """Return the jobs whose name contains that."""
        self._fault()
        names = sorted(p.parent.name for p in self.folder.glob("*/state.json"))
        return {
            "TrainingJobSummaries": [
                {
                    "TrainingJobName": n,
                    "TrainingJobArn": ARN + n,
                    "TrainingJobStatus": JobFolder(self.folder / n).state["TrainingJobStatus"],
                }
                for n in names
                if NameContains in n
            ]
        }

    def stop_training_job(self, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803
        """Ask the job to stop; one that has ended is refused."""
        self._fault()
        job = self._job(TrainingJobName, "StopTrainingJob")
        if job.state["TrainingJobStatus"] in TERMINAL:
            raise _error("ValidationException", "the job has ended", "StopTrainingJob")
        job.wish("stop")
        return {}

    def interrupt(self, name: str) -> None:
        """Take the machine of a spot job away, as happens when capacity is short."""
        JobFolder(self.folder / name).wish("interrupt")

    def forget(self, name: str) -> None:
        """Remove an ended job; the service itself can't."""
        shutil.rmtree(self.folder / name)

    def _start(self, job: JobFolder) -> None:
        with (job.folder / "machine.log").open("ab") as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tasks.training.backends.sagemaker.standin.machine",
                    str(job.folder),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            )
        while not job.machine_lives() and process.poll() is None:
            time.sleep(0.02)

    def _job(self, name: str, operation: str) -> JobFolder:
        job = JobFolder(self.folder / name)
        if not (job.folder / "state.json").is_file():
            raise _error("ValidationException", "Requested resource not found.", operation)
        return job

    def _fault(self) -> None:
        if self.faults:
            raise self.faults.pop(0)


def _error(code: str, message: str, operation: str) -> Exception:
    from botocore.exceptions import ClientError

    refused: Exception = ClientError({"Error": {"Code": code, "Message": message}}, operation)
    return refused
