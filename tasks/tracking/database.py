"""TEMPER_HOME's MLflow database: whole before it has its name, and where its files are.

MLflow makes its tables in dozens of steps, for seconds; two that do so at once break them, and so
does a kill. Here one process makes them, under a lock, in a file aside that is renamed when whole.
"""

import contextlib
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from tasks.errors import SetupError
from tasks.locks import is_held, locked
from tasks.progress import report
from tasks.storage import disk_errors, make_private_folder

DATABASE = "mlflow.db"
LOCK_TAG = "temper.lock"
"""Tag of a run: the file in TEMPER_HOME/locks that the process that writes to it holds."""
_BESIDE = ("-journal", "-wal", "-shm")
_PLACES = {
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
}
"""Table -> column that says where files are."""
_ready: set[tuple[str, int]] = set()


def artifacts_of(root: Path) -> str:
    """Return the address of the folder that MLflow's files are in, in a TEMPER_HOME."""
    return (root / "mlartifacts").as_uri()


def lock_file(root: Path, name: str) -> Path:
    """Return the file whose lock says that a run's process lives."""
    return root / "locks" / name


def prepare_database(
    root: Path, revision: Callable[[], str], create: Callable[[str], None]
) -> None:
    """Make the MLflow database of a TEMPER_HOME, unless it is there and whole.

    One that was left half made, with no run in it, is made again. In a home that was moved, or
    copied, the places of MLflow's files are corrected.

    Args:
        root: TEMPER_HOME.
        revision: Gives the revision of the tables that this MLflow works with.
        create: Makes the tables in a new database at an address.

    Raises:
        SetupError: The database is of another MLflow, or the home is seen under two paths at once.
        StorageError: The folder can't be written, or the disk is full.
    """
    file = root / DATABASE
    make_private_folder(root)
    if file.is_file() and (str(file), file.stat().st_ino) in _ready:
        return
    with disk_errors(root), locked(root / "mlflow.lock", _say_waiting):
        if not _is_whole(file, revision()):
            _make(file, create)
        _correct_places(file, root)
        _ready.add((str(file), file.stat().st_ino))


def _say_waiting() -> None:
    report("waiting for another process that makes MLflow's tables", 0, 1)


def _is_whole(file: Path, revision: str) -> bool:
    """Return whether a database has its tables; False where making it again loses nothing."""
    if not file.is_file():
        return False
    try:
        with _opened(file) as database:
            found = [row[0] for row in database.execute("SELECT version_num FROM alembic_version")]
    except sqlite3.DatabaseError:
        found = []
    if found == [revision]:
        return True
    if not _has_runs(file):
        return False
    raise SetupError(
        f"MLflow's database has runs in it, and its tables are of another version of MLflow "
        f"({', '.join(found) or 'none'}, and this one works with {revision}).",
        where=str(file),
        fix=f"copy the file, then: mlflow db upgrade sqlite:///{file}; or use the MLflow it is of.",
    )


def _has_runs(file: Path) -> bool:
    with _opened(file) as database:
        try:
            database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.DatabaseError as error:
            raise SetupError(
                f"MLflow's database can't be read ({error}).",
                where=str(file),
                fix="move the file away, or put a copy of it back.",
            ) from error
        for table in ("runs", "registered_models"):
            with contextlib.suppress(sqlite3.OperationalError):  # there is no such table yet
                if database.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone():
                    return True
    return False


def _make(file: Path, create: Callable[[str], None]) -> None:
    # The lock is ours: whoever left these is gone.
    for left in file.parent.glob(f".{DATABASE}.*"):
        left.unlink()
    aside = file.with_name(f".{DATABASE}.{uuid.uuid4().hex}")
    create(f"sqlite:///{aside}")
    # The journal of a half-made database would be played into the new one.
    for end in _BESIDE:
        file.with_name(file.name + end).unlink(missing_ok=True)
    aside.chmod(0o600)
    aside.rename(file)


def _correct_places(file: Path, root: Path) -> None:
    """Have MLflow keep files in this home: where it is now, and not in the current directory."""
    place = artifacts_of(root)
    with _opened(file) as database, database:
        database.execute(
            "UPDATE experiments SET artifact_location = ? WHERE experiment_id = 0 AND "
            "NOT EXISTS (SELECT 1 FROM runs WHERE runs.experiment_id = 0)",
            (place,),
        )
        known = database.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
        ends = f"/{Path(place).name}"
        moved = [old for (old,) in known if old and old.endswith(ends) and old != place]
        if moved:
            _refuse_two_paths(database, root, moved[0])
        for old in moved:
            for table, column in _PLACES.items():
                database.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                    f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                    (place, len(old) + 1, old, len(old) + 1, f"{old}/"),
                )


def _refuse_two_paths(database: sqlite3.Connection, root: Path, old: str) -> None:
    going_on = database.execute(
        "SELECT tags.value FROM tags JOIN runs ON runs.run_uuid = tags.run_uuid "
        "WHERE runs.status = 'RUNNING' AND tags.key = ?",
        (LOCK_TAG,),
    )
    if any(is_held(lock_file(root, name)) for (name,) in going_on):
        raise SetupError(
            f"this home is {root} here, and a run goes on in it under another path ({old}).",
            where="TEMPER_HOME",
            fix="mount it at the same path everywhere, or wait for that run to end.",
        )


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(file, timeout=60)) as database:
        yield database
