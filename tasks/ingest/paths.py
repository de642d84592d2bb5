"""From a recipe's path to the files it means, in a fixed order, with their identity."""

import difflib
import hashlib
import re
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from pyarrow import fs

from tasks.errors import SourceError
from tasks.ingest.stores import Place, place_of, unreachable

COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
KINDS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
}
_CHUNK = 1 << 20


class DataFile(NamedTuple):
    """One file: ``name`` is its path below what the recipe names, for origins and messages."""

    store: Any
    path: str
    name: str
    size: int
    remote: bool

    @property
    def compression(self) -> str | None:
        """Codec named by the last suffix, or None."""
        return COMPRESSIONS.get(PurePosixPath(self.path).suffix.lower())

    @property
    def kind(self) -> str | None:
        """Container named by the suffix before that of the codec, or None."""
        suffixes = [s.lower() for s in PurePosixPath(self.path).suffixes]
        if suffixes and suffixes[-1] in COMPRESSIONS:
            suffixes.pop()
        return KINDS.get(suffixes[-1]) if suffixes else None


def resolve(path: str) -> list[DataFile]:
    """Return the data files a path means, sorted: a file, a folder, a glob or an S3 prefix.

    Names that start with ``.`` or ``_`` inside a folder are left out, as are files that hold no
    rows (a README). A file named by itself is taken whatever its name.

    Raises:
        SourceError: Nothing is there; the message names what is nearby.
    """
    place = place_of(path)
    try:
        files = _files(place)
        if files:
            return files
        raise _missing(path, place)
    except OSError as error:
        raise _unreadable(path, place, error) from error


def identity(file: DataFile) -> str:
    """Return what changes when the file's content does: SHA-256, on S3 the ETag and the size."""
    kind = f"{file.kind}/{file.compression}"
    try:
        with file.store.open_input_stream(file.path, compression=None) as stream:
            tag = _etag(stream) if file.remote else None
            return f"{kind}:{tag}:{file.size}" if tag else f"{kind}:{_sha256(stream)}"
    except OSError as error:
        raise _unreadable(file.path, Place(*file[:2], file.remote), error) from error


def _etag(stream: Any) -> str | None:
    found = {str(name).lower(): value for name, value in (stream.metadata() or {}).items()}
    tag = found.get("etag")
    return tag.decode() if isinstance(tag, bytes) else tag


def _sha256(stream: Any) -> str:
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _files(place: Place) -> list[DataFile]:
    info = place.store.get_file_info(place.path)
    if info.type == fs.FileType.File:
        return [_file(place, info, PurePosixPath(place.path).parent)]
    if info.type == fs.FileType.Directory:
        return [f for f in _below(place, place.path, deep=True) if _has_rows(f)]
    base, pattern = _glob(place.path)
    if pattern:
        wanted = re.compile(_regex(pattern))
        found = _below(place, base, deep="/" in pattern)
        return [f for f in found if wanted.fullmatch(f.name) and f.kind and not _dotted(f)]
    if place.remote:
        parent = str(PurePosixPath(place.path).parent)
        found = _below(place, parent, deep=True)
        return [f for f in found if f.path.startswith(place.path) and _has_rows(f)]
    return []


def _below(place: Place, base: str, *, deep: bool) -> list[DataFile]:
    selector = fs.FileSelector(base, recursive=deep, allow_not_found=True)
    infos = place.store.get_file_info(selector)
    files = [_file(place, i, PurePosixPath(base)) for i in infos if i.type == fs.FileType.File]
    return sorted(files, key=lambda f: f.path)


def _file(place: Place, info: Any, base: PurePosixPath) -> DataFile:
    name = str(PurePosixPath(info.path).relative_to(base))
    return DataFile(place.store, info.path, name, info.size, place.remote)


def _dotted(file: DataFile) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(file.name).parts)


def _has_rows(file: DataFile) -> bool:
    hidden = any(part.startswith((".", "_")) for part in PurePosixPath(file.name).parts)
    return file.kind is not None and not hidden


def _glob(path: str) -> tuple[str, str]:
    parts = path.split("/")
    wild = next((i for i, part in enumerate(parts) if re.search(r"[*?\[]", part)), None)
    if wild is None:
        return path, ""
    return "/".join(parts[:wild]) or "/", "/".join(parts[wild:])


_WILD = re.compile(r"\*\*/|\*\*|\*|\?|\[!?[^\]/]+\]")
_MEANING = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def _regex(pattern: str) -> str:
    """Return the regular expression of a glob; ``**`` crosses folders, ``*`` does not."""
    pieces, end = [], 0
    for wild in _WILD.finditer(pattern):
        pieces.append(re.escape(pattern[end : wild.start()]))
        pieces.append(_MEANING.get(wild[0]) or wild[0].replace("[!", "[^", 1))
        end = wild.end()
    return "".join(pieces) + re.escape(pattern[end:])


def _missing(path: str, place: Place) -> SourceError:
    if place.store.get_file_info(place.path).type == fs.FileType.Directory:
        known = ", ".join(KINDS)
        return SourceError(
            "the folder holds no data file.",
            where=path,
            fix=f"put files with one of these endings there: {known}.",
        )
    folder, wanted = _deepest_folder(place)
    selector = fs.FileSelector(folder, allow_not_found=True)
    names = sorted(PurePosixPath(i.path).name for i in place.store.get_file_info(selector))
    return SourceError(
        "there is no such file or folder.", where=path, fix=_nearby(wanted, folder, names)
    )


def _deepest_folder(place: Place) -> tuple[str, str]:
    """Return the last folder of a path that does exist, and the name missing in it."""
    wanted, base = PurePosixPath(place.path).name, PurePosixPath(_glob(place.path)[0])
    for folder in (base, *base.parents):
        if place.store.get_file_info(str(folder)).type == fs.FileType.Directory:
            break
        wanted = folder.name
    return str(folder), wanted


def _nearby(wanted: str, base: str, names: list[str]) -> str:
    close = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}, in {base}?"
    return f"{base} holds {', '.join(names[:8]) or 'nothing'}."


def _unreadable(path: str, place: Place, error: OSError) -> SourceError:
    if place.remote:
        return unreachable(path, error)
    return SourceError(f"it can't be read: {error}.", where=path, fix="check its permissions.")
