"""The flow killed while its model trains: the next run goes on from what was saved."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("torch")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parents[2]
COMMAND = "from flows.cli import main; main()"
Fields = dict[str, Any]


@pytest.fixture
def recipe(tiny_fields: Fields, tmp_path: Path) -> Path:
    """The tiny recipe in many small steps, with one suite: its training takes some seconds."""
    fields = deepcopy(tiny_fields)
    fields["mixture"] |= {"size": {"domain_epochs": 4}, "exclude_overlap_with": ["reviews"]}
    backend = {"kind": "local", "threads": 1}
    fields["training"] |= {"batch_rows": 1, "save_steps": 20, "backend": backend}
    fields["evaluation"]["suites"] = fields["evaluation"]["suites"][:1]
    fields["gates"] = fields["gates"][:1]
    path = tmp_path / "steps.yaml"
    path.write_text(yaml.safe_dump(fields, sort_keys=False))
    return path


@pytest.fixture
def start(
    recipe: Path, prefect_api: str, python: Path
) -> Callable[[Path], "subprocess.Popen[str]"]:
    """A function that starts ``temper run`` with a TEMPER_HOME, in a session of its own."""

    def begin(home: Path) -> "subprocess.Popen[str]":
        kept = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
        env = {
            **kept,
            "TEMPER_HOME": str(home),
            "PREFECT_HOME": str(home / "prefect"),
            "PREFECT_API_URL": prefect_api,
            "PYTHONPATH": str(ROOT),
        }
        return subprocess.Popen(
            [python, "-c", COMMAND, "run", str(recipe), "--json"],
            env=env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    return begin


def steps_in(home: Path) -> list[int]:
    """Return the steps that the metrics stream of the only job has so far."""
    stream = next(home.glob("jobs/*/losses.jsonl"), None)
    lines = stream.read_bytes().split(b"\n")[:-1] if stream else []
    return [int(json.loads(line)["step"]) for line in lines]


def logged(home: Path, run_id: str) -> list[int]:
    """Return the steps of a run's training loss in MLflow."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    return sorted(m.step for m in client.get_metric_history(run_id, "train/loss"))


def runs(home: Path) -> list[str]:
    """Return the ids of all runs in MLflow."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    found = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    return [r.info.run_id for r in found]


def ended(process: "subprocess.Popen[str]", home: Path) -> Any:
    """Return the report of a run that ended by itself."""
    out, _ = process.communicate(timeout=600)
    assert process.returncode in (0, 3, 4), out
    return json.loads((home / "runs" / json.loads(out)["run_id"] / "run.json").read_text())


def test_a_run_killed_while_it_trains_and_started_again_ends_with_the_same_weights(
    start: Callable[[Path], "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    from tasks.training.backends.local import is_locked

    quiet, home = tmp_path / "calm", tmp_path / "home"
    calm = ended(start(quiet), quiet)
    total = calm["trained"]["steps"]
    assert total > 50
    first = start(home)
    while not steps_in(home):
        assert first.poll() is None, "the run ended before it trained"
        time.sleep(0.01)
    os.killpg(first.pid, signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    [job] = [p for p in (home / "jobs").iterdir() if p.is_dir()]
    assert steps_in(home)[-1] < total
    deadline = time.monotonic() + 30
    while is_locked(job):
        assert time.monotonic() < deadline, "the trainer was to end with the flow"
        time.sleep(0.1)
    before = steps_in(home)[-1]
    again = ended(start(home), home)
    assert again["trained"]["digest"] == calm["trained"]["digest"]
    assert again["metrics"]["candidate"] == calm["metrics"]["candidate"]
    # The one job was found again, went on from what it had saved, and left one checkpoint.
    assert [p.name for p in (home / "jobs").iterdir() if p.is_dir()] == [job.name]
    assert before < total
    assert not list(job.glob("result-*.json"))
    checkpoints = [p for p in (home / "checkpoints").iterdir() if p.is_dir()]
    assert [p.name for p in checkpoints] == [job.name]
    # The run that ended has every step once; the one that was killed has none twice.
    assert logged(home, again["run_id"]) == list(range(1, total + 1))
    for run_id in runs(home):
        steps = logged(home, run_id)
        assert steps == sorted(set(steps))
