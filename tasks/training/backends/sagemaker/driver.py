"""``python -m tasks.training.backends.sagemaker.driver``: runs the trainer inside the container.

Reads the channels, brings back what an earlier machine saved, starts the trainer (by torchrun where
there are several GPUs or machines), prints its metrics as log lines, and leaves the result where
the service collects it. SIGTERM, which comes before a stop and before a spot machine is taken away,
goes on to the trainer.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from glob import glob
from pathlib import Path
from typing import Any

from tasks.storage import digest_of
from tasks.training.backends.sagemaker.request import MARK
from tasks.training.job import TrainingJob
from tasks.training.resume import last_state
from tasks.training.rewards import OWN, importable

# What SageMaker gives a container and expects of it: folders, config files, SM_* variables.

ROOT = "TEMPER_OPT_ML"
"""Variable with another root than ``/opt/ml``, where that can't be mounted (a stand-in)."""


class Container:
    """The contract's paths below ``/opt/ml``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / "work"
        self.checkpoints = root / "checkpoints"
        self.model = root / "model"
        self.failure = root / "output" / "failure"

    def channel(self, name: str) -> Path:
        """Return where a channel's files are."""
        return self.root / "input" / "data" / name

    def config(self, name: str) -> dict[str, Any]:
        """Return a file of ``input/config``; empty where the service left none."""
        path = self.root / "input" / "config" / f"{name}.json"
        found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        return found

    @property
    def hosts(self) -> list[str]:
        """Names of the job's machines, in rank order."""
        found = self.config("resourceconfig").get("hosts", ["algo-1"])
        return sorted(found, key=lambda h: int(str(h).rpartition("-")[2]))

    @property
    def rank(self) -> int:
        """This machine's place among them."""
        return self.hosts.index(self.config("resourceconfig").get("current_host", "algo-1"))

    @property
    def interface(self) -> str | None:
        """Name of the network interface by which the job's machines reach each other."""
        found = self.config("resourceconfig").get("network_interface_name")
        return None if found is None else str(found)

    @property
    def job_name(self) -> str:
        """The service's name of the job."""
        return os.environ.get("TRAINING_JOB_NAME", "job")

    def variables(self) -> dict[str, str]:
        """Return the SM_* variables, as the service's own start-up scripts set them."""
        channels = sorted(self.config("inputdataconfig"))
        here = self.config("resourceconfig").get("current_host", "algo-1")
        return {
            "SM_MODEL_DIR": str(self.model),
            "SM_OUTPUT_DIR": str(self.root / "output"),
            "SM_OUTPUT_DATA_DIR": str(self.root / "output" / "data"),
            "SM_INPUT_DIR": str(self.root / "input"),
            "SM_MODULE_DIR": str(self.root / "code"),
            "SM_HOSTS": json.dumps(self.hosts),
            "SM_CURRENT_HOST": str(here),
            "SM_HOST_COUNT": str(len(self.hosts)),
            "SM_MASTER_ADDR": self.hosts[0],
            "SM_NUM_GPUS": str(gpus()),
            "SM_NUM_CPUS": str(os.cpu_count() or 1),
            "SM_CHANNELS": json.dumps(channels),
            "SM_HPS": json.dumps(self.config("hyperparameters")),
            **{f"SM_CHANNEL_{c.upper()}": str(self.channel(c)) for c in channels},
            **self._network(),
        }

    def _network(self) -> dict[str, str]:
        """Return the variables by which gloo and NCCL find the interface; of one machine none."""
        if len(self.hosts) == 1 or self.interface is None:
            return {}
        return {
            "SM_NETWORK_INTERFACE_NAME": self.interface,
            "GLOO_SOCKET_IFNAME": self.interface,
            "NCCL_SOCKET_IFNAME": self.interface,
        }


def gpus() -> int:
    """Return how many NVIDIA GPUs this machine has, from its devices."""
    return len(glob("/dev/nvidia[0-9]*"))


POLL_SECONDS = 0.5
FIRST_PORT, PORTS = 20_000, 10_000
"""Below the ports that systems give out by themselves."""
KEPT = ("*.jsonl", "job.json", "result.json")


def main() -> int:
    """Run the job of this container; return the exit code the service is to see."""
    container = Container(Path(os.environ.get(ROOT, "/opt/ml")))
    job = fetch_job(container)
    printed = resumed_step(container, job)
    process = subprocess.Popen(command(container, job), env=environment(container))
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    while process.poll() is None:
        printed = _pass_on(container, printed)
        time.sleep(POLL_SECONDS)
    _pass_on(container, printed)
    return publish_result(container, process.returncode)


def fetch_job(container: Container) -> TrainingJob:
    """Return the job with this machine's paths, its folder ready and earlier states in it."""
    told = json.loads((container.channel("job") / "job.json").read_text())
    told["folder"] = str(container.work)
    for part, value in told.items():
        if isinstance(value, dict) and "path" in value:
            value["path"] = str(container.channel(part))
    job = TrainingJob.model_validate(told)
    states = container.checkpoints / "states"
    for folder in (states, container.work, container.model):
        folder.mkdir(parents=True, exist_ok=True)
    # The service keeps the checkpoints folder in step with S3, so only what is needed to go on is
    # there.
    if not (container.work / "states").exists():
        (container.work / "states").symlink_to(states)
    job.write()
    return job


def resumed_step(container: Container, job: TrainingJob) -> int:
    """Return the step of the newest whole state; a half-saved one that came back is removed."""
    data = job.packs.digest if job.packs else job.mixture.digest
    found = last_state(container.checkpoints / "states", data)
    return found[1].step if found else 0


def command(container: Container, job: TrainingJob) -> list[str]:
    """Return the trainer's command line: plain for one process, torchrun for more."""
    trainer = ["-m", "tasks.training.trainer", str(job.folder / "job.json")]
    hosts, local = container.hosts, max(gpus(), 1)
    sharded = getattr(job.training.backend, "sharding", "none") != "none"
    if len(hosts) * local == 1 and not sharded:
        return [sys.executable, *trainer]
    return [
        sys.executable,
        "-m",
        "torch.distributed.run",
        f"--nproc-per-node={local}",
        f"--nnodes={len(hosts)}",
        f"--node-rank={container.rank}",
        f"--master-addr={hosts[0]}",
        f"--master-port={port(container.job_name)}",
        *trainer,
    ]


def environment(container: Container) -> dict[str, str]:
    """Return the trainer's environment: the service's variables, and the user's own modules."""
    own = container.channel(OWN)
    paths = importable(own) if own.is_dir() else {}
    return {**os.environ, **paths, **container.variables()}


def port(job_name: str) -> int:
    """Return where the job's machines meet: every one knows it, and another job's is another."""
    return FIRST_PORT + int(digest_of(job_name)[:8], 16) % PORTS


def _pass_on(container: Container, printed: int) -> int:
    """Print the metrics records after step ``printed``; return the last one's step."""
    stream = container.work / "losses.jsonl"
    if not stream.is_file():
        return printed
    for line in stream.read_text().split("\n")[:-1]:
        step = int(json.loads(line)["step"])
        if step > printed:
            print(f"{MARK}{line}", flush=True)
            printed = step
    return printed


def publish_result(container: Container, code: int) -> int:
    """Put the result where the service collects it, and say how the job ended.

    The first machine's trainer leaves the result; one of another machine only where it failed.
    """
    result = container.work / "result.json"
    if container.rank and not code and not result.is_file():
        return 0
    found: dict[str, Any] = json.loads(result.read_text()) if result.is_file() else _killed(code)
    if result.is_file() or container.rank == 0:
        # All machines' checkpoints become one folder: one that knows no reason leaves none there.
        ends = container.checkpoints / "ends"
        ends.mkdir(parents=True, exist_ok=True)
        (ends / f"{container.job_name}.json").write_text(json.dumps(found))
    if found["status"] != "completed":
        container.failure.parent.mkdir(parents=True, exist_ok=True)
        container.failure.write_text(found["message"])
        print(found["message"], file=sys.stderr, flush=True)
        return code or 1
    if container.rank == 0:
        shutil.move(container.work / "out", container.model / "out")
        for file in (f for pattern in KEPT for f in container.work.glob(pattern)):
            shutil.copy2(file, container.model / file.name)
    return 0


def _killed(code: int) -> dict[str, str]:
    if code == -signal.SIGKILL:
        why = "the trainer was killed, as the system does when memory runs out."
    elif code == -signal.SIGTERM:
        why = "the trainer was stopped."
    else:
        why = f"the trainer ended with code {code} and left no result; the log says more."
    return {"status": "failed", "message": why}


if __name__ == "__main__":
    sys.exit(main())
