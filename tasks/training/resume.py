"""Saved states of a job: whole ones alone are gone on from, and each knows its place in the plan.

A state is marked when all its files are written. A process that is killed in the middle of saving
leaves one without its mark, which is removed when the job goes on.
"""

import shutil
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from tasks.errors import TrainingError
from tasks.storage import write_text

MARK = "position.json"
STREAM, ROWS = "losses.jsonl", "rows.jsonl"
"""What a job leaves of each step: its record, and the rows it used."""


class Position(BaseModel):
    """Where in the mixture a state stands.

    Attributes:
        step: Optimiser steps done.
        position: Rows (packs, of a packed mixture) consumed: the next one's position.
        data: Digest of the mixture or its packs.
        files: Size of each file of the state, in bytes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int
    position: int
    data: str
    files: dict[str, int]


def mark(folder: Path, step: int, position: int, data: str) -> None:
    """Mark a state as whole."""
    files = {
        str(f.relative_to(folder)): f.stat().st_size
        for f in sorted(folder.rglob("*"))
        if f.is_file() and f.name != MARK
    }
    where = Position(step=step, position=position, data=data, files=files)
    write_text(folder / MARK, where.model_dump_json(indent=1))


def last_state(states: Path, data: str) -> tuple[Path, Position] | None:
    """Return the newest whole state; None where there is none. Broken ones are removed.

    Raises:
        TrainingError: It is of another mixture.
    """
    for folder in sorted(states.glob("checkpoint-*"), key=_step, reverse=True):
        where = _whole(folder)
        if where is None:
            shutil.rmtree(folder)
            continue
        if where.data != data:
            raise TrainingError(
                "the saved state is of another mixture.",
                where=str(folder),
                fix="delete the job's folder and run again.",
            )
        return folder, where
    return None


def is_whole(folder: Path) -> bool:
    """Return whether a state is there, marked, with all its files."""
    return _whole(folder) is not None


def _step(folder: Path) -> int:
    return int(folder.name.rsplit("-", 1)[1])


def _whole(folder: Path) -> Position | None:
    path = folder / MARK
    if not path.is_file():
        return None
    where = Position.model_validate_json(path.read_text())
    sizes = {
        name: (folder / name).stat().st_size if (folder / name).is_file() else -1
        for name in where.files
    }
    return where if sizes == where.files else None


def keep_streams(job: Path, state: Path) -> None:
    """Put a job's streams beside a state, before it is marked: they end at its step.

    A job that goes on elsewhere gets back what was copied of its folder, and a stream that grows
    is copied at other moments than the states are.
    """
    for name in (STREAM, ROWS):
        if (job / name).is_file():
            shutil.copy2(job / name, state / name)


def go_back(job: Path, state: Path | None) -> None:
    """Bring a job's streams back to where a state kept them; away where there is none."""
    for name in (STREAM, ROWS):
        (job / name).unlink(missing_ok=True)
        if state is not None and (state / name).is_file():
            write_text(job / name, (state / name).read_text())
