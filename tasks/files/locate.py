"""From a path to the files it means, in a fixed order, with their identity.

A path is a local one, ``s3://BUCKET/KEY`` or ``package:NAME/FILE``. It means a file, a folder, a
glob or, on S3, a prefix.
"""

import difflib
import hashlib
import importlib.util
import json
import os
import re
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pyarrow import fs

from tasks.errors import SourceError, SourceUnreachable

COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
CONTAINERS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
}
"""Container of rows by a file name's ending."""

PLAIN_TEXT = {".txt": "text"}
"""Endings that count only where they are named: in a folder they are a README or a licence."""

_CHUNK = 1 << 20
_LASTING = ("ACCESS_DENIED", "NO_SUCH_BUCKET", "RESOURCE_NOT_FOUND", "INVALID_ACCESS_KEY_ID")
"""Words of errors of S3 that another try doesn't mend."""


class FileSystemPath(NamedTuple):
    """A path on a file system of pyarrow, which may be a file, a folder or a glob."""

    file_system: Any
    path: str
    remote: bool


class DataFile(NamedTuple):
    """One file: ``name`` is its path below what was asked for, for origins and messages."""

    file_system: Any
    path: str
    name: str
    size: int
    remote: bool

    @property
    def address(self) -> str:
        """The file's own path: ``s3://...``, or absolute on this machine."""
        return f"s3://{self.path}" if self.remote else self.path

    @property
    def compression(self) -> str | None:
        """Codec named by the last suffix, or None."""
        return COMPRESSIONS.get(PurePosixPath(self.path).suffix.lower())

    @property
    def container(self) -> str | None:
        """Container named by the suffix before that of the codec, or None."""
        return (CONTAINERS | PLAIN_TEXT).get(_row_suffix(self.path))


def locate_files(path: str) -> list[DataFile]:
    """Return the data files a path means, sorted: a file, a folder, a glob or an S3 prefix.

    Names that start with ``.`` or ``_`` inside a folder are left out, as are files that hold no
    rows (a README). A file named by itself is taken whatever its name.

    Raises:
        SourceError: Nothing is there; the message names what is nearby.
        SourceUnreachable: S3 doesn't answer.
    """
    place = locate(path)
    try:
        files = _files_at(path, place)
        if files:
            return files
        raise _missing_error(path, place)
    except OSError as error:
        raise _unreadable_error(path, place.remote, error) from error


def locate(path: str) -> FileSystemPath:
    """Return the file system that a path names, and the path on it.

    Raises:
        SourceError: The scheme isn't one of ours, or the package isn't installed.
        SourceUnreachable: S3 doesn't answer.
    """
    if path.startswith("s3://"):
        return FileSystemPath(_open_s3(path), path.removeprefix("s3://").rstrip("/"), remote=True)
    if "://" in path:
        raise SourceError(
            f"'{path.partition('://')[0]}://' is not a store that files are read from.",
            where=path,
            fix="use a local path, s3://BUCKET/KEY or package:NAME/FILE; "
            "data sets of the Hugging Face hub are kind: hub.",
        )
    local = str(_package_path(path)) if path.startswith("package:") else os.path.expanduser(path)
    return FileSystemPath(fs.LocalFileSystem(), os.path.abspath(local), remote=False)


def package_folder(name: str) -> Path | None:
    """Return an installed package's folder, found without importing it; None if there is none."""
    # A dotted name would make find_spec import the parent, that is, run the package's code.
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))).resolve()


def identify_content(file: DataFile) -> str:
    """Return what changes when the file's content does: SHA-256, on S3 the ETag and the size."""
    kind = f"{file.container}/{file.compression}"
    try:
        with file.file_system.open_input_stream(file.path, compression=None) as stream:
            if file.remote:
                headers = {str(k).lower(): v for k, v in (stream.metadata() or {}).items()}
                tag = headers.get("etag")
                if tag:
                    tag = tag.decode() if isinstance(tag, bytes) else tag
                    return f"{kind}:{tag}:{file.size}"
            digest = hashlib.sha256()
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
            return f"{kind}:{digest.hexdigest()}"
    except OSError as error:
        raise _unreadable_error(file.address, file.remote, error) from error


def unreachable_error(path: str, error: Exception) -> SourceError:
    """Return the error for a remote store's failure: worth another try, or not."""
    kind = SourceError if any(word in str(error) for word in _LASTING) else SourceUnreachable
    return kind(
        f"the store gave no answer that can be used: {str(error).strip().rstrip('.')}.",
        where=path,
        fix="check the bucket's name, the credentials, AWS_REGION and AWS_ENDPOINT_URL.",
    )


def _open_s3(path: str) -> Any:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if endpoint:
        address = urlsplit(endpoint)
        return fs.S3FileSystem(
            endpoint_override=address.netloc or endpoint,
            scheme=address.scheme or "https",
            region=region or "us-east-1",
        )
    try:
        region = region or fs.resolve_s3_region(path.removeprefix("s3://").partition("/")[0])
    except (OSError, ValueError) as error:
        raise unreachable_error(path, error) from error
    return fs.S3FileSystem(region=region)


def _package_path(path: str) -> Path:
    name, _, inside = path.removeprefix("package:").partition("/")
    root = package_folder(name)
    if root is None:
        raise SourceError(
            f"no package named '{name}' is installed.",
            where=path,
            fix=f"pip install --no-deps {name.replace('_', '-')}, or give a local path.",
        )
    target = Path(os.path.normpath(root / inside))
    if not target.is_relative_to(root):
        raise SourceError(
            "the path leaves the package.", where=path, fix="name a file inside the package."
        )
    return target


_SAVED, _SAVED_SPLITS = "state.json", "dataset_dict.json"
"""What ``save_to_disk`` of the library datasets writes beside its Arrow files."""
_ABOUT = ("state.json", "dataset_dict.json", "dataset_info.json", "dataset_infos.json")
"""Files of that library that tell of rows and hold none."""


def _files_of_folder(path: str, place: FileSystemPath) -> list[DataFile]:
    """Return the data files of a folder; of one that ``save_to_disk`` wrote, those it lists."""
    found = _files_below(place, place.path, deep=True)
    named = {file.name: file for file in found}
    if _SAVED_SPLITS in named:
        splits = sorted(name.removesuffix(f"/{_SAVED}") for name in named if f"/{_SAVED}" in name)
        if len(splits) != 1:
            raise SourceError(
                f"it is a data set with the splits {', '.join(splits) or 'none'}.",
                where=path,
                fix=f"name one of them: {path.rstrip('/')}/{splits[0] if splits else 'train'}.",
            )
        return _files_of_folder(path, place._replace(path=f"{place.path}/{splits[0]}"))
    if _SAVED in named:
        with place.file_system.open_input_stream(named[_SAVED].path) as stream:
            listed = _listed_files(stream.read(_CHUNK))
        if listed:
            return [named[name] for name in listed if name in named]
    return [f for f in found if _is_listed(f) and PurePosixPath(f.name).name not in _ABOUT]


def _listed_files(text: bytes) -> list[str]:
    try:
        return [str(part["filename"]) for part in json.loads(text)["_data_files"]]
    except (ValueError, KeyError, TypeError):
        return []


def _files_at(path: str, place: FileSystemPath) -> list[DataFile]:
    info = place.file_system.get_file_info(place.path)
    if info.type == fs.FileType.File:
        return [_data_file(place, info, PurePosixPath(place.path).parent)]
    if info.type == fs.FileType.Directory:
        return _files_of_folder(path, place)
    base, pattern = _split_glob(place.path)
    if pattern:
        wanted = re.compile(_glob_regex(pattern))
        found = _files_below(place, base, deep="/" in pattern)
        endings = CONTAINERS | (PLAIN_TEXT if _row_suffix(pattern) in PLAIN_TEXT else {})
        return [
            f
            for f in found
            if wanted.fullmatch(f.name)
            and _row_suffix(f.path) in endings
            and not any(part.startswith(".") for part in PurePosixPath(f.name).parts)
        ]
    if place.remote:
        parent = str(PurePosixPath(place.path).parent)
        found = _files_below(place, parent, deep=True)
        return [f for f in found if f.path.startswith(place.path) and _is_listed(f)]
    return []


def _files_below(place: FileSystemPath, base: str, *, deep: bool) -> list[DataFile]:
    selector = fs.FileSelector(base, recursive=deep, allow_not_found=True)
    infos = place.file_system.get_file_info(selector)
    files = [_data_file(place, i, PurePosixPath(base)) for i in infos if i.type == fs.FileType.File]
    return sorted(files, key=lambda f: f.path)


def _data_file(place: FileSystemPath, info: Any, base: PurePosixPath) -> DataFile:
    name = str(PurePosixPath(info.path).relative_to(base))
    return DataFile(place.file_system, info.path, name, info.size, place.remote)


def _is_listed(file: DataFile) -> bool:
    """Return whether a file counts that only its folder was named of."""
    hidden = any(part.startswith((".", "_")) for part in PurePosixPath(file.name).parts)
    return _row_suffix(file.path) in CONTAINERS and not hidden


def _row_suffix(path: str) -> str:
    """Return the suffix that names the container, that of a codec left out; may be empty."""
    suffixes = [s.lower() for s in PurePosixPath(path).suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _split_glob(path: str) -> tuple[str, str]:
    parts = path.split("/")
    wild = next((i for i, part in enumerate(parts) if re.search(r"[*?\[]", part)), None)
    if wild is None:
        return path, ""
    return "/".join(parts[:wild]) or "/", "/".join(parts[wild:])


_WILD = re.compile(r"\*\*/|\*\*|\*|\?|\[!?[^\]/]+\]")
_MEANING = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def _glob_regex(pattern: str) -> str:
    """Return the regular expression of a glob; ``**`` crosses folders, ``*`` does not."""
    pieces, end = [], 0
    for wild in _WILD.finditer(pattern):
        pieces.append(re.escape(pattern[end : wild.start()]))
        pieces.append(_MEANING.get(wild[0]) or wild[0].replace("[!", "[^", 1))
        end = wild.end()
    return "".join(pieces) + re.escape(pattern[end:])


def _missing_error(path: str, place: FileSystemPath) -> SourceError:
    if place.file_system.get_file_info(place.path).type == fs.FileType.Directory:
        return SourceError(
            "the folder holds no data file.",
            where=path,
            fix=f"put files with one of these endings there: {', '.join(CONTAINERS)}.",
        )
    # The last folder of the path that does exist, and the name missing in it.
    wanted, base = PurePosixPath(place.path).name, PurePosixPath(_split_glob(place.path)[0])
    for folder in (base, *base.parents):
        if place.file_system.get_file_info(str(folder)).type == fs.FileType.Directory:
            break
        wanted = folder.name
    selector = fs.FileSelector(str(folder), allow_not_found=True)
    names = sorted(PurePosixPath(i.path).name for i in place.file_system.get_file_info(selector))
    close = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
    fix = (
        f"did you mean {' or '.join(close)}, in {folder}?"
        if close
        else f"{folder} holds {', '.join(names[:8]) or 'nothing'}."
    )
    return SourceError("there is no such file or folder.", where=path, fix=fix)


def _unreadable_error(path: str, remote: bool, error: OSError) -> SourceError:
    if remote:
        return unreachable_error(path, error)
    return SourceError(f"it can't be read: {error}.", where=path, fix="check its permissions.")
