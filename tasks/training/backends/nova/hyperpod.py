"""A HyperPod cluster by its own command line and kubectl, which ``connect-cluster`` sets up."""

import json
import re
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from configs.nova import HyperPod
from tasks.errors import SetupError, Unreachable
from tasks.training.backends.sagemaker.attempts import Described

Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]

KIND = "pytorchjob"
SECONDS = 180
_STATUS = {"Succeeded": "Completed", "Failed": "Failed"}


class Cluster:
    """Jobs of a cluster.

    Args:
        run: Runs a command and returns what it said; for tests.
    """

    def __init__(self, run: Run | None = None) -> None:
        self._run = run or _run

    def connect(self, pod: HyperPod) -> None:
        """Make the cluster the one that commands go to.

        Raises:
            SetupError: The command line isn't installed, or refuses.
        """
        self._said(
            [
                "hyperpod",
                "connect-cluster",
                "--cluster-name",
                pod.cluster,
                "--namespace",
                pod.namespace,
            ]
        )

    def start(self, command: list[str]) -> str:
        """Submit a job and return its name, as the command line says it.

        Raises:
            SetupError: It refuses, or says no name.
        """
        said = self._said(command)
        named = re.search(r"NAME: (\S+)", said)
        if named is None:
            raise SetupError(
                f"the command line named no job: {said.strip()[-500:]}",
                where="hyperpod start-job",
                fix="look at the cluster.",
            )
        return named[1]

    def find(self, pod: HyperPod, name: str) -> Described | None:
        """Return a job's state in SageMaker's words; None if the cluster doesn't know it."""
        done = self._run(
            ["kubectl", "get", KIND, name, "--namespace", pod.namespace, "--output", "json"]
        )
        if done.returncode and "NotFound" in done.stderr:
            return None
        if done.returncode:
            raise Unreachable(
                f"the cluster gave no answer: {done.stderr.strip()[-500:]}",
                where=pod.cluster,
                fix="run again later: the job goes on meanwhile and is found.",
            )
        return _described(json.loads(done.stdout))

    def jobs(self, pod: HyperPod) -> dict[str, Described]:
        """Return the state of every job of the namespace, by name.

        Raises:
            Unreachable: The cluster doesn't answer; nothing is known of its jobs.
        """
        done = self._run(["kubectl", "get", KIND, "--namespace", pod.namespace, "--output", "json"])
        if done.returncode:
            raise Unreachable(
                f"the cluster gave no list of jobs: {done.stderr.strip()[-500:]}",
                where=pod.cluster,
                fix="run again later: nothing is submitted without it.",
            )
        return {
            str(job["metadata"]["name"]): _described(job)
            for job in json.loads(done.stdout)["items"]
        }

    def described(self, pod: HyperPod, name: str) -> Described:
        """Return a job's state; one that is gone has been stopped."""
        gone = {"TrainingJobStatus": "Stopped", "FailureReason": "the cluster has no such job"}
        return self.find(pod, name) or gone

    def delete(self, pod: HyperPod, name: str) -> None:
        """Remove a job, which stops it."""
        self._said(
            ["kubectl", "delete", KIND, name, "--namespace", pod.namespace, "--ignore-not-found"]
        )

    def _said(self, command: list[str]) -> str:
        done = self._run(command)
        if done.returncode:
            raise SetupError(
                f"{' '.join(command[:2])} failed: {done.stderr.strip()[-1000:]}",
                where="the HyperPod cluster",
                fix="mend what it says.",
            )
        return done.stdout


def _described(job: dict[str, Any]) -> Described:
    """Return the newest condition that holds, of a Kubeflow PyTorchJob."""
    held = [c for c in job.get("status", {}).get("conditions", []) if c.get("status") == "True"]
    last = held[-1] if held else {"type": "Created"}
    return {
        "TrainingJobStatus": _STATUS.get(last["type"], "InProgress"),
        "SecondaryStatus": last["type"],
        "FailureReason": last.get("message", ""),
    }


def _run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    except FileNotFoundError as error:
        raise SetupError(
            f"{command[0]} is not installed.",
            where="this environment",
            fix="pip install hyperpod, and install kubectl.",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise Unreachable(
            f"{command[0]} gave no answer in {SECONDS} seconds.",
            where="the HyperPod cluster",
            fix="run again later.",
        ) from error
