"""``python -m tasks.training.sagemaker.standin.machine FOLDER``: one job from start to end."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

from configs.settings import Settings
from tasks.store.places import S3Place
from tasks.training.sagemaker.standin.disk import lay_out, restore, sync
from tasks.training.sagemaker.standin.log import Log
from tasks.training.sagemaker.standin.mounts import inside
from tasks.training.sagemaker.standin.state import JobFolder

POLL_SECONDS = 0.1
SYNC_SECONDS = 0.5
NOTICE_SECONDS = 20.0
"""From SIGTERM to SIGKILL; the service gives 120."""


def main(folder: str) -> int:
    """Run the job; what goes wrong with the machine itself is the job's failure."""
    job = JobFolder(Path(folder))
    with job.held():
        try:
            run(job)
        except Exception as error:
            job.move("Failed", "Failed", FailureReason=f"{type(error).__name__}: {error}")
            raise
    return 0


def run(job: JobFolder) -> None:
    """Go through a job's states; a spot job whose machine is taken away begins again."""
    while True:
        shutil.rmtree(job.ml, ignore_errors=True)
        job.move("InProgress", "Downloading", "Downloading the input")
        lay_out(job.request, job.ml, job.name)
        restore(job.request, job.ml)
        job.move("InProgress", "Training", "Training", TrainingStartTime=time.time())
        code = _container(job)
        if not job.wants("interrupt"):
            return _end(job, code)
        job.move("InProgress", "Interrupted", "The spot machine was taken away")
        job.grant("interrupt")
        if job.wants("stop"):
            return _end(job, code)


def _container(job: JobFolder) -> int:
    """Run the container to its end, or until a wish ends it; return its exit code."""
    entry = list(job.request["AlgorithmSpecification"]["ContainerEntrypoint"])
    env = _environment(job)
    command = entry
    if Settings().sagemaker_standin_mounts:
        command = inside(job.ml, entry)
    else:
        env["TEMPER_OPT_ML"] = str(job.ml)
        command = [part.replace("/opt/ml", str(job.ml)) for part in entry]
    log, deadline = Log(job.name), time.monotonic() + _longest(job)
    with (job.folder / "container.log").open("ab") as stream:
        process = subprocess.Popen(command, env=env, cwd="/", stdin=subprocess.DEVNULL,
                                   stdout=stream, stderr=stream, start_new_session=True,
                                   )  # fmt: skip
    told, synced = 0.0, 0.0
    while process.poll() is None:
        log.follow(job.folder / "container.log")
        if time.monotonic() - synced > SYNC_SECONDS:
            sync(job.request, job.ml)
            synced = time.monotonic()
        told = _heed(job, process, told, deadline)
        time.sleep(POLL_SECONDS)
    # Whatever the container started goes with it, as it does when a machine is taken back.
    _kill(process.pid, signal.SIGKILL)
    if not job.wants("interrupt"):
        sync(job.request, job.ml)
    log.follow(job.folder / "container.log")
    return process.returncode


def _heed(job: JobFolder, process: Any, told: float, deadline: float) -> float:
    """Send the signals that a wish or the time limit asks for; return when the first was sent."""
    if time.monotonic() > deadline and not job.wants("stop"):
        job.wish("overdue")
        job.wish("stop")
    if not (job.wants("stop") or job.wants("interrupt")):
        return told
    if not told:
        if job.wants("stop"):
            job.move("Stopping", "Stopping", "Stopping the container")
        _kill(process.pid, signal.SIGTERM)
        return time.monotonic()
    if time.monotonic() - told > NOTICE_SECONDS:
        _kill(process.pid, signal.SIGKILL)
    return told


def _kill(group: int, how: int) -> None:
    try:
        os.killpg(group, how)
    except ProcessLookupError:
        return


def _longest(job: JobFolder) -> float:
    return float(job.request["StoppingCondition"]["MaxRuntimeInSeconds"])


def _environment(job: JobFolder) -> dict[str, str]:
    """Return the container's whole environment: nothing of the caller's but where Python is."""
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": "/root", "LANG": "C.UTF-8", "TRAINING_JOB_NAME": job.name,
        "AWS_REGION": "us-east-1", "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", ""),
        **job.request.get("Environment", {}),
    }  # fmt: skip


def _end(job: JobFolder, code: int) -> None:
    now = time.time()
    if job.wants("stop"):
        secondary = "MaxRuntimeExceeded" if job.wants("overdue") else "Stopped"
        return job.move("Stopped", secondary, TrainingEndTime=now)
    if code:
        failure = job.ml / "output" / "failure"
        text = failure.read_text() if failure.is_file() else f"exit code {code}"
        # The service keeps so much of the file and no more.
        reason = f"AlgorithmError: {text}"[:1024]
        return job.move("Failed", "Failed", FailureReason=reason, TrainingEndTime=now)
    job.move("InProgress", "Uploading", "Uploading the model")
    job.move("Completed", "Completed", TrainingEndTime=now,
             ModelArtifacts={"S3ModelArtifacts": _upload(job)})  # fmt: skip


def _upload(job: JobFolder) -> str:
    archive = job.folder / "model.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for path in sorted((job.ml / "model").iterdir()):
            tar.add(path, arcname=path.name)
    place = S3Place(job.request["OutputDataConfig"]["S3OutputPath"])
    key = f"{job.name}/output/model.tar.gz"
    place.put(key, archive)
    archive.unlink()
    return place.uri(key)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except json.JSONDecodeError as problem:
        sys.exit(f"the job's folder is damaged: {problem}")
