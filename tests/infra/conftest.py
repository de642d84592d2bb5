"""A house of its own for each module: Prefect server, work pool, worker, and deployments."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "flows" / "tiny"
UP_SECONDS, RUN_SECONDS = 240, 420
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@pytest.fixture(scope="module")
def house(
    tmp_path_factory: pytest.TempPathFactory, python: Path, prefect_tables: Path
) -> Iterator["House"]:
    """A running house with ``infra/prefect.yaml`` deployed in it."""
    folder = tmp_path_factory.mktemp("house")
    shutil.copy(prefect_tables, folder)
    built = House(folder, python)
    try:
        built.open()
        yield built
    finally:
        built.close()


class House:
    """Real parts on loopback, with every file below one folder."""

    def __init__(self, folder: Path, python: Path) -> None:
        port = _free_port()
        self._python = str(python)
        self.folder, self.url = folder, f"http://127.0.0.1:{port}/api"
        self.client = httpx.Client(base_url=self.url, timeout=30)
        self._port, self._processes = port, list[subprocess.Popen[bytes]]()
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MLFLOW_TRACKING"))
        }
        self._env = {
            **kept,
            "PYTHONPATH": str(ROOT),
            "TEMPER_HOME": str(folder / "home"),
            "TEMPER_STORE": str(folder / "store"),
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": self.url,
            "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder / 'prefect.db'}",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "PREFECT_LOGGING_LEVEL": "INFO",
        }

    def open(self) -> None:
        """Start the server and a worker, which makes the pool, and deploy."""
        self._start("server", "server", "start", "--host", "127.0.0.1", "--port", str(self._port))
        self.until("the server answers", lambda: self._answers("/health"), UP_SECONDS)
        self._start("worker", "worker", "start", "--pool", "temper", "--type", "process")
        self.until("there is a pool", lambda: self._answers("/work_pools/temper"), UP_SECONDS)
        self._deploy()

    def close(self) -> None:
        """End every process that was started, and what those started."""
        for process in reversed(self._processes):
            _signal_group(process, signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                _signal_group(process, signal.SIGKILL)
        self.client.close()

    def deployment(self, name: str) -> dict[str, Any]:
        """Return the deployment of that name."""
        path = f"/deployments/name/finetune/{name}"
        return dict(self._checked(lambda: self.client.get(path)).json())

    def post(self, path: str, body: Any) -> Any:
        """Return the API's answer."""
        return self._checked(lambda: self.client.post(path, json=body)).json()

    def patch(self, path: str, body: Any) -> None:
        """Change something through the API."""
        self._checked(lambda: self.client.patch(path, json=body))

    def delete(self, path: str) -> None:
        """Remove something through the API."""
        self._checked(lambda: self.client.delete(path))

    def until_a_run(self, deployment: dict[str, Any], *states: str) -> dict[str, Any]:
        """Return a run of the deployment as soon as one is in one of the states."""
        query = {
            "flow_runs": {
                "deployment_id": {"any_": [deployment["id"]]},
                "state": {"type": {"any_": list(states)}},
            }
        }

        def found() -> Any:
            runs = self.post("/flow_runs/filter", query)
            return runs[0] if runs else None

        return dict(self.until(f"a run of {deployment['name']} is {states}", found, UP_SECONDS))

    def until_ended(self, run_id: str, state: str) -> None:
        """Wait for a run's end, which has to be ``state``."""

        def ended() -> Any:
            run = self._checked(lambda: self.client.get(f"/flow_runs/{run_id}")).json()
            return run["state"] if run["state_type"] in ENDED else None

        last = self.until(f"run {run_id} ends", ended, RUN_SECONDS)
        assert last["type"] == state, f"{last['message']}\n{self.logs()}"

    def mlflow_run(self, flow_run_id: str) -> Any:
        """Return the MLflow run of a flow run."""
        from mlflow import MlflowClient

        client = MlflowClient(f"sqlite:///{self.folder / 'home' / 'mlflow.db'}")
        experiment = client.get_experiment_by_name("tiny")
        assert experiment is not None
        [run] = client.search_runs(
            [experiment.experiment_id], f"tags.`prefect.flow_run_id` = '{flow_run_id}'"
        )
        return run

    def until(self, what: str, look: Callable[[], Any], seconds: float) -> Any:
        """Return what ``look`` finds, or fail with the logs of server and worker."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := look():
                return found
            for process in self._processes:
                if process.poll() is not None:
                    pytest.fail(f"{process.args} ended before {what}\n{self.logs()}")
            time.sleep(0.5)
        pytest.fail(f"not within {seconds:g} s: {what}\n{self.logs()}")

    def logs(self) -> str:
        """Return the ends of all logs."""
        return "\n".join(
            f"--- {log.name}\n{log.read_text()[-6000:]}"
            for log in sorted(self.folder.glob("*.log"))
        )

    def _answers(self, path: str) -> bool:
        try:
            return self.client.get(path).is_success
        except httpx.TransportError:
            return False

    def _start(self, name: str, *args: str) -> None:
        # A worker stands in an empty folder: nothing may depend on the checkout being the cwd.
        place = self.folder / name
        place.mkdir()
        with (self.folder / f"{name}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(
                    [self._python, "-m", "prefect", *args],
                    cwd=place,
                    env=self._env,
                    stdout=log,
                    stderr=log,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
            )

    def _deploy(self) -> None:
        # At a terminal, where Prefect asks about all that a file leaves open; nobody answers here.
        words = [
            self._python,
            "-m",
            "prefect",
            "deploy",
            "--prefect-file",
            "infra/prefect.yaml",
            "--all",
        ]
        terminal = f"import os, pty; os._exit(os.waitstatus_to_exitcode(pty.spawn({words})))"
        with (self.folder / "deploy.log").open("wb") as log:
            done = subprocess.Popen(
                [sys.executable, "-c", terminal],
                cwd=ROOT,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            assert done.wait(UP_SECONDS) == 0, self.logs()
        except subprocess.TimeoutExpired:
            _signal_group(done, signal.SIGKILL)
            pytest.fail(f"prefect deploy waits for an answer\n{self.logs()}")

    def _checked(self, ask: Callable[[], httpx.Response]) -> httpx.Response:
        # A server that keeps its runs in SQLite is busy at times; Prefect's own client asks again.
        for wait in (0.5, 1, 2, 4, 8):
            if (answer := ask()).status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(wait)
        assert answer.is_success, f"{answer.status_code} {answer.text}\n{self.logs()}"
        return answer


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _signal_group(process: "subprocess.Popen[bytes]", number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
