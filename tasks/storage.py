"""Atomic storage under TEMPER_HOME: written aside, renamed, manifest last."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from configs.settings import Settings
from tasks.artifacts import Receipt
from tasks.code_digest import code_digest
from tasks.errors import StorageError
from tasks.locks import locked, try_lock

R = TypeVar("R", bound=Receipt)
MANIFEST = "manifest.json"
BUILDING = ".building.lock"
"""What the name of a temporary folder's lock ends with."""


def home(*parts: str) -> Path:
    """Return a path below TEMPER_HOME."""
    return Settings().root.joinpath(*parts)


def digest_of(value: object) -> str:
    """Return the SHA-256 of the canonical JSON of ``value`` (models are dumped), in hex."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Path | os.PathLike):
        return str(value)
    raise TypeError(f"no canonical form for {type(value).__name__}")


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def stage_key(stage: str, inputs: Mapping[str, object], entry: str) -> str:
    """Return the key of a stage's result: digest of its name, inputs and code.

    Args:
        stage: Its name.
        inputs: All that decides the result beside code, by name.
        entry: The module that the stage begins in: what it imports makes the result, too.
    """
    return digest_of({"stage": stage, "inputs": dict(inputs), "code": code_digest(entry)})


def find(folder: Path, kind: type[R]) -> R | None:
    """Return the receipt in ``folder`` if its manifest is there and its files are whole."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return None
    record = json.loads(manifest.read_text())
    whole = all(
        (folder / name).is_file() and (folder / name).stat().st_size == size
        for name, size in record["files"].items()
    )
    return kind.model_validate({**record["receipt"], "path": folder}) if whole else None


def load(folder: Path, kind: type[R]) -> R:
    """Return the receipt in ``folder``.

    Raises:
        StorageError: There is none, or a file it names is missing or cut short.
    """
    receipt = find(folder, kind)
    if receipt is None:
        raise StorageError(
            "the artifact is missing or damaged.",
            where=str(folder),
            fix="delete the folder and run again; it is made anew.",
        )
    return receipt


@contextlib.contextmanager
def building(folder: Path) -> Iterator[Path]:
    """Give a temporary folder beside ``folder``; what is left of it on failure is removed.

    What a killed process left beside it is removed, too: a lock beside each such folder is held by
    whoever fills it.
    """
    make_private_folder(folder.parent)
    _sweep(folder.parent)
    aside = folder.parent / f".{folder.name[:40]}.{uuid.uuid4().hex}"
    lock = try_lock(aside.with_name(aside.name + BUILDING))
    assert lock is not None, "a name of its own can't be held by another"
    try:
        with disk_errors(folder):
            aside.mkdir(mode=0o700)
            yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        lock.release(remove=True)


def _sweep(parent: Path) -> None:
    """Remove folders that were left aside by processes that are gone."""
    for left in parent.glob(f".*{BUILDING}"):
        if (lock := try_lock(left)) is not None:
            shutil.rmtree(left.with_name(left.name.removesuffix(BUILDING)), ignore_errors=True)
            lock.release(remove=True)


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it, for its owner alone; those that are there stay.

    Raises:
        StorageError: It can't be made, or is there and can't be written.
    """
    try:
        missing = [p for p in (folder, *folder.parents) if not p.exists()]
        for path in reversed(missing):
            path.mkdir(mode=0o700, exist_ok=True)
        if not missing and not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise StorageError(
            f"the folder can't be written ({error.strerror}).",
            where=str(folder),
            fix="export TEMPER_HOME=<a folder you may write to>.",
        ) from error


@contextlib.contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn a full disk into a StorageError that names the folder; what was whole stays whole."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EROFS:
            raise StorageError(
                "the disk can only be read.",
                where=str(folder),
                fix="export TEMPER_HOME=<a folder you may write to>.",
            ) from error
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StorageError(
            f"the disk is full ({error.strerror}).",
            where=str(folder),
            fix="free some space, or set TEMPER_HOME to a larger disk, and run again: what is "
            "finished stays, and the rest goes on from there.",
        ) from error


def commit(aside: Path, receipt: R) -> R:
    """Write the manifest of what is in ``aside`` and move it to ``receipt.path``.

    Two processes that build the same key may race: the first to rename wins, and the other's
    equal work is dropped.
    """
    files = {
        str(f.relative_to(aside)): f.stat().st_size for f in sorted(aside.rglob("*")) if f.is_file()
    }
    record = {"receipt": receipt.model_dump(mode="json", exclude={"path"}), "files": files}
    write_text(aside / MANIFEST, json.dumps(record, indent=1, sort_keys=True))
    with locked(receipt.path.with_name(f".{receipt.path.name[:40]}.commit.lock")):
        winner = find(receipt.path, type(receipt))
        if winner is not None:
            return winner
        if receipt.path.exists():
            shutil.rmtree(receipt.path)
        aside.rename(receipt.path)
        return load(receipt.path, type(receipt))


def write_text(path: Path, text: str) -> None:
    """Write a text file aside and rename it, so that a reader never sees half of it."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    with aside.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    aside.rename(path)
