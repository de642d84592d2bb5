"""MLflow's database in a home that is fresh, half made, moved, or opened by many at once."""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from configs.recipe import Recipe
from configs.settings import Settings
from tasks.errors import SetupError, StorageError
from tasks.tracking.database import artifacts_of, prepare_database

pytestmark = pytest.mark.slow
pytest.importorskip("mlflow")
ROOT = Path(__file__).parents[3]
OPEN = """
import sys
from configs.loading import load_recipe
from tasks.tracking.mlflow_run import open_run
print(open_run(load_recipe(sys.argv[1]), ""), flush=True)
"""


def start(home: Path, recipe: Path) -> subprocess.Popen[str]:
    env = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    return subprocess.Popen(
        [sys.executable, "-c", OPEN, str(recipe)],
        env=env | {"TEMPER_HOME": str(home), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def recipe_file(recipe: Recipe, tmp_path: Path) -> Path:
    path = tmp_path / "recipe.json.yaml"
    path.write_text(recipe.model_dump_json())
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose database was made once: copies of it save seconds."""
    from tasks.tracking.mlflow_run import connect

    home = tmp_path_factory.mktemp("made") / "home"
    connect(Settings(home=home, MLFLOW_TRACKING_URI=None))
    return home


def open_at(home: Path, recipe: Recipe) -> str:
    from tasks.tracking.mlflow_run import open_run

    return open_run(recipe, "name: x", settings=Settings(home=home, MLFLOW_TRACKING_URI=None))


def place_of(home: Path, run_id: str) -> str:
    with sqlite3.connect(home / "mlflow.db") as database:
        found = database.execute("SELECT artifact_uri FROM runs WHERE run_uuid = ?", (run_id,))
        return str(found.fetchone()[0])


@pytest.mark.timeout(600)
def test_many_processes_on_a_fresh_home_all_have_a_run(recipe_file: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    started = [start(home, recipe_file) for _ in range(3)]
    said = [process.communicate() for process in started]
    assert [p.returncode for p in started] == [0, 0, 0], said
    runs = {out.strip() for out, _ in said}
    assert len(runs) == 3
    # One database, and nothing of what was made on the way.
    assert {p.name for p in home.iterdir()} == {"mlflow.db", "mlartifacts", "locks"}


def test_a_half_made_database_is_made_again(recipe: Recipe, made: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(made, home)
    with sqlite3.connect(home / "mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
        database.execute("DROP TABLE latest_metrics")
    (home / ".mlflow.db.left").write_text("half")
    (home / "mlflow.db-journal").write_bytes(b"of the old one")
    run_id = open_at(home, recipe)
    assert place_of(home, run_id).startswith(artifacts_of(home))
    assert not (home / ".mlflow.db.left").exists()


def test_an_empty_database_is_made_again(tmp_path: Path, made: Path) -> None:
    home, said = tmp_path / "home", []
    home.mkdir()
    (home / "mlflow.db").touch()

    def create(address: str) -> None:
        said.append(address)
        shutil.copyfile(made / "mlflow.db", address.removeprefix("sqlite:///"))

    with sqlite3.connect(made / "mlflow.db") as database:
        [(revision,)] = database.execute("SELECT version_num FROM alembic_version")
    prepare_database(home, lambda: revision, create)
    assert len(said) == 1


def test_a_damaged_database_is_named_and_kept(recipe: Recipe, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "mlflow.db").write_bytes(b"no database, but perhaps somebody's")
    with pytest.raises(SetupError, match="can't be read.*move the file away"):
        open_at(home, recipe)
    assert (home / "mlflow.db").stat().st_size == 35


def test_a_database_of_another_mlflow_with_runs_in_it_is_refused_and_kept(
    recipe: Recipe, made: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(made, home)
    open_at(home, recipe)
    shutil.copytree(home, tmp_path / "old")
    with sqlite3.connect(tmp_path / "old" / "mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    before = (tmp_path / "old" / "mlflow.db").read_bytes()
    with pytest.raises(SetupError, match=r"of another version of MLflow.*mlflow db upgrade"):
        open_at(tmp_path / "old", recipe)
    assert (tmp_path / "old" / "mlflow.db").read_bytes() == before


def test_a_home_that_was_moved_keeps_its_files_in_itself(
    recipe: Recipe, made: Path, tmp_path: Path
) -> None:
    from tasks.tracking.mlflow_run import Run

    old, new = tmp_path / "old", tmp_path / "new place"
    shutil.copytree(made, old)
    first = open_at(old, recipe)
    Run(first, Settings(home=old, MLFLOW_TRACKING_URI=None)).finish()
    old.rename(new)
    second = open_at(new, recipe)
    for run_id in (first, second):
        assert place_of(new, run_id) == f"{artifacts_of(new)}/{run_id}/artifacts"
        assert (new / "mlartifacts" / run_id / "artifacts" / "recipe.yaml").is_file()
    assert not old.exists()


def test_a_home_under_two_paths_at_once_is_refused(
    recipe: Recipe, made: Path, tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    shutil.copytree(made, here)
    run_id = open_at(here, recipe)
    # The same folder, as a container may mount it elsewhere.
    there.mkdir()
    for part in here.iterdir():
        (there / part.name).hardlink_to(part) if part.is_file() else (there / part.name).symlink_to(
            part
        )
    with pytest.raises(SetupError, match="under another path"):
        open_at(there, recipe)
    assert place_of(here, run_id).startswith(artifacts_of(here))


@pytest.mark.parametrize("name", ["Default", "x" * 600, "a/b: 50 % @ <html>", 'It\'s "one"'])
def test_experiments_are_called_as_people_write_them(
    recipe: Recipe, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    home = tmp_path / "home"
    shutil.copytree(made, home)
    monkeypatch.chdir(tmp_path)
    tracking = recipe.tracking.model_copy(update={"experiment": name})
    run_id = open_at(home, recipe.model_copy(update={"tracking": tracking}))
    assert place_of(home, run_id).startswith(artifacts_of(home))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["home"]


def test_scores_are_kept_under_names_as_people_write_them(
    recipe: Recipe, made: Path, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    from tasks.tracking.mlflow_run import Run

    home = tmp_path / "home"
    shutil.copytree(made, home)
    settings: Any = Settings(home=home, MLFLOW_TRACKING_URI=None)
    run_id = open_at(home, recipe)
    Run(run_id, settings)._metrics({"he/pass@1": 0.25, "he/" + "long" * 200: 0.5})
    metrics = MlflowClient(settings.tracking_uri).get_run(run_id).data.metrics
    assert metrics.pop("he/pass_at_1") == 0.25
    assert list(metrics.values()) == [0.5]


def test_a_home_that_cannot_be_written_is_named(recipe: Recipe) -> None:
    with pytest.raises(StorageError, match="/proc/none: the folder can't be written.*TEMPER_HOME"):
        open_at(Path("/proc/none"), recipe)
