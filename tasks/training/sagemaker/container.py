"""What SageMaker gives a container and expects of it: folders, config files, SM_* variables."""

import json
import os
from glob import glob
from pathlib import Path
from typing import Any

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
