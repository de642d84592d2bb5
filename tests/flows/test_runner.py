"""The same rows in the same order, whatever runs the mapped tasks."""

import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from configs.errors import SetupError
from flows.runner import task_runner

PREPARE = """
import sys
from flows.prepare import prepare
print("digest", prepare(sys.argv[1]).digest)
"""


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("module", ["prefect_dask", "prefect_ray"])
def test_a_cluster_of_processes_gives_the_same_mixture(
    temper: Any, tiny_recipe: Path, tmp_path: Path, module: str
) -> None:
    pytest.importorskip(module)
    alone = temper("mix", str(tiny_recipe), "--set", "mixture.rows_per_shard=5", "--json").json
    found = subprocess.run(
        [sys.executable, "-c", PREPARE, str(_small_shards(tiny_recipe, tmp_path))],
        capture_output=True,
        text=True,
        timeout=500,
        env=os.environ
        | {
            "TEMPER_RUNNER": module.removeprefix("prefect_"),
            "TEMPER_WORKERS": "2",
            "TEMPER_HOME": str(tmp_path / "home"),
            "PREFECT_HOME": str(tmp_path / "prefect"),
        },
    )
    assert found.returncode == 0, found.stderr[-3000:]
    assert f"digest {alone['digest']}" in found.stdout


def _small_shards(recipe: Path, folder: Path) -> Path:
    import yaml

    fields = yaml.safe_load(recipe.read_text())
    fields["mixture"]["rows_per_shard"] = 5
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(fields))
    return path


def test_what_a_stage_is_given_and_gives_survives_the_way_to_another_process(
    tiny_fields: dict[str, Any], temper_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a cluster: each task, its arguments and its result go through pickle."""
    import cloudpickle

    from configs.loading import load_recipe
    from flows import run_task as tasks_of_flows
    from flows.pipeline import mix, prepare_data

    sent = []

    def far(work: Any, items: list[Any]) -> list[Any]:
        there = cloudpickle.loads(cloudpickle.dumps(work))
        sent.append(len(items))
        return [
            cloudpickle.loads(cloudpickle.dumps(there(cloudpickle.loads(cloudpickle.dumps(i)))))
            for i in items
        ]

    fields = deepcopy(tiny_fields)
    fields["mixture"]["rows_per_shard"] = 5
    recipe = load_recipe(fields)
    near = mix(recipe, prepare_data(recipe))
    monkeypatch.setattr(tasks_of_flows, "_run_in_threads", far)
    monkeypatch.setenv("TEMPER_HOME", str(temper_home.with_name("far")))
    assert mix(recipe, prepare_data(recipe)).digest == near.digest
    # Sources are ingested and checked side by side, tokenised, and the shards written.
    assert len(sent) == 4


@pytest.mark.parametrize("runner", ["dask", "ray"])
def test_a_cluster_is_of_as_many_processes_as_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, runner: str
) -> None:
    pytest.importorskip(f"prefect_{runner}")
    monkeypatch.setenv("TEMPER_RUNNER", runner)
    monkeypatch.setenv("TEMPER_WORKERS", "3")
    made = task_runner()
    if runner == "dask":
        assert made.cluster_kwargs["n_workers"] == 3
        assert made.cluster_kwargs["threads_per_worker"] == 1
    else:
        assert made.init_kwargs["num_cpus"] == 3


def test_a_runner_that_is_not_installed_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPER_RUNNER", "dask")
    monkeypatch.setattr("flows.runner.find_spec", lambda name: None)
    with pytest.raises(SetupError, match="prefect_dask"):
        task_runner()


def test_without_a_word_tasks_run_in_threads() -> None:
    from prefect.task_runners import ThreadPoolTaskRunner

    assert isinstance(task_runner(), ThreadPoolTaskRunner)
