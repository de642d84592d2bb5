"""The same rows in the same order, whatever runs the mapped tasks."""

import os
import subprocess
import sys
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


def test_a_runner_that_is_not_installed_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPER_RUNNER", "dask")
    monkeypatch.setattr("flows.runner.find_spec", lambda name: None)
    with pytest.raises(SetupError, match="prefect_dask"):
        task_runner()


def test_without_a_word_tasks_run_in_threads() -> None:
    from prefect.task_runners import ThreadPoolTaskRunner

    assert isinstance(task_runner(), ThreadPoolTaskRunner)
