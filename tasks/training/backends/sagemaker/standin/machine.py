"""One job, start to end: ``python -m tasks.training.backends.sagemaker.standin.machine DIR``."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import NamedTuple

from configs.settings import Settings
from tasks.store.places import S3Store
from tasks.training.backends.sagemaker.standin.disk import hosts_of, lay_out, restore, sync
from tasks.training.backends.sagemaker.standin.log import Log
from tasks.training.backends.sagemaker.standin.mounts import inside, name_hosts
from tasks.training.backends.sagemaker.standin.state import JobFolder

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
    hosts = hosts_of(job.request)
    while True:
        job.move("InProgress", "Downloading", "Downloading the input")
        for host in hosts:
            _prepare(job, host, hosts)
        job.move("InProgress", "Training", "Training", TrainingStartTime=time.time())
        failed = Machines(job, hosts).run()
        if not job.wants("interrupt"):
            return _end(job, failed)
        job.move("InProgress", "Interrupted", "The spot machine was taken away")
        job.grant("interrupt")
        if job.wants("stop"):
            return _end(job, failed)


class Failure(NamedTuple):
    """The first container that ended with an error."""

    host: str
    code: int


class Machines:
    """The containers of a job, one a machine; all end as soon as one fails, as at the service.

    Args:
        job: The job.
        hosts: Names of its machines.
    """

    def __init__(self, job: JobFolder, hosts: list[str]) -> None:
        self._job, self._hosts = job, hosts
        self._logs = {host: Log(job.name, host) for host in hosts}
        self._deadline = time.monotonic() + _longest(job)
        self._told, self._synced = 0.0, 0.0
        self._processes = {host: _container(job, host) for host in hosts}

    def run(self) -> Failure | None:
        """Wait for the containers to end, by themselves or by a wish; return what failed."""
        failed = None
        while any(p.poll() is None for p in self._processes.values()):
            self._follow()
            failed = failed or self._failed()
            self._heed(failed)
            time.sleep(POLL_SECONDS)
        # Whatever the containers started goes with them, as it does when machines are taken back.
        for process in self._processes.values():
            _kill(process.pid, signal.SIGKILL)
        self._follow(last=True)
        return failed or self._failed()

    def _failed(self) -> Failure | None:
        ended = ((host, p.returncode) for host, p in self._processes.items())
        return next((Failure(host, code) for host, code in ended if code), None)

    def _follow(self, last: bool = False) -> None:
        """Send logs on and, now and then, checkpoints; of a machine taken away no last ones."""
        for host in self._hosts:
            self._logs[host].follow(self._job.log(host))
        due = time.monotonic() - self._synced > SYNC_SECONDS
        if (last and not self._job.wants("interrupt")) or (due and not last):
            for host in self._hosts:
                sync(self._job.request, self._job.ml(host))
            self._synced = time.monotonic()

    def _heed(self, failed: Failure | None) -> None:
        """Send the signals that a wish, the time limit or a failure elsewhere asks for."""
        job = self._job
        if time.monotonic() > self._deadline and not job.wants("stop"):
            job.wish("overdue")
            job.wish("stop")
        if not (job.wants("stop") or job.wants("interrupt") or failed):
            return
        if not self._told:
            if job.wants("stop"):
                job.move("Stopping", "Stopping", "Stopping the container")
            self._told = time.monotonic()
            self._signal(signal.SIGTERM)
        elif time.monotonic() - self._told > NOTICE_SECONDS:
            self._signal(signal.SIGKILL)

    def _signal(self, how: int) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                _kill(process.pid, how)


def _prepare(job: JobFolder, host: str, hosts: list[str]) -> None:
    ml = job.ml(host)
    shutil.rmtree(ml, ignore_errors=True)
    lay_out(job.request, ml, job.name, host)
    restore(job.request, ml)
    if len(hosts) > 1:
        name_hosts(ml, hosts)


def _container(job: JobFolder, host: str) -> "subprocess.Popen[bytes]":
    """Start a machine's container."""
    entry = list(job.request["AlgorithmSpecification"]["ContainerEntrypoint"])
    env, ml = _environment(job), job.ml(host)
    command = entry
    if Settings().sagemaker_standin_mounts:
        command = inside(ml, entry)
    else:
        env["TEMPER_OPT_ML"] = str(ml)
        command = [part.replace("/opt/ml", str(ml)) for part in entry]
    with job.log(host).open("ab") as stream:
        return subprocess.Popen(
            command,
            env=env,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )


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
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "TRAINING_JOB_NAME": job.name,
        "AWS_REGION": "us-east-1",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", ""),
        **job.request.get("Environment", {}),
    }


def _end(job: JobFolder, failed: Failure | None) -> None:
    now = time.time()
    if job.wants("stop"):
        secondary = "MaxRuntimeExceeded" if job.wants("overdue") else "Stopped"
        return job.move("Stopped", secondary, TrainingEndTime=now)
    if failed:
        failure = job.ml(failed.host) / "output" / "failure"
        text = failure.read_text() if failure.is_file() else f"exit code {failed.code}"
        # The service keeps so much of the file and no more.
        reason = f"AlgorithmError: {text}"[:1024]
        return job.move("Failed", "Failed", FailureReason=reason, TrainingEndTime=now)
    job.move("InProgress", "Uploading", "Uploading the model")
    job.move(
        "Completed",
        "Completed",
        TrainingEndTime=now,
        ModelArtifacts={"S3ModelArtifacts": _upload(job)},
    )


def _upload(job: JobFolder) -> str:
    archive = job.folder / "model.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for host in hosts_of(job.request):
            for path in sorted((job.ml(host) / "model").iterdir()):
                tar.add(path, arcname=path.name)
    place = S3Store(job.request["OutputDataConfig"]["S3OutputPath"])
    key = f"{job.name}/output/model.tar.gz"
    place.put(key, archive)
    archive.unlink()
    return place.uri(key)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except json.JSONDecodeError as problem:
        sys.exit(f"the job's folder is damaged: {problem}")
