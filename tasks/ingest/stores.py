"""Where a path points: a local folder, S3, or a folder inside an installed package."""

import importlib.util
import os
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pyarrow import fs

from tasks.errors import SourceError, SourceUnreachable

_LASTING = ("ACCESS_DENIED", "NO_SUCH_BUCKET", "RESOURCE_NOT_FOUND", "INVALID_ACCESS_KEY_ID")


class Place(NamedTuple):
    """A file system and a path on it, which may be a file, a folder or a glob."""

    store: Any
    path: str
    remote: bool


def place_of(path: str) -> Place:
    """Return the store that a recipe's path names.

    Raises:
        SourceError: The scheme isn't one of ours, or the package isn't installed.
        SourceUnreachable: S3 doesn't answer.
    """
    if path.startswith("s3://"):
        return Place(_s3(path), path.removeprefix("s3://").rstrip("/"), remote=True)
    if path.startswith("package:"):
        return Place(fs.LocalFileSystem(), _in_package(path), remote=False)
    if "://" in path:
        raise SourceError(
            f"'{path.partition('://')[0]}://' is not a store that files are read from.",
            where=path,
            fix="use a local path, s3://BUCKET/KEY or package:NAME/FILE; "
            "data sets of the Hugging Face hub are kind: hub.",
        )
    return Place(fs.LocalFileSystem(), os.path.abspath(os.path.expanduser(path)), remote=False)


def unreachable(path: str, error: Exception) -> SourceError:
    """Return the error for a remote store's failure: worth another try, or not."""
    kind = SourceError if any(word in str(error) for word in _LASTING) else SourceUnreachable
    return kind(
        f"the store gave no answer that can be used: {str(error).strip().rstrip('.')}.",
        where=path,
        fix="check the bucket's name, the credentials, AWS_REGION and AWS_ENDPOINT_URL.",
    )


def _s3(path: str) -> Any:
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
        raise unreachable(path, error) from error
    return fs.S3FileSystem(region=region)


def _in_package(path: str) -> str:
    name, _, inside = path.removeprefix("package:").partition("/")
    # A dotted name would make find_spec import the parent, that is, run the package's code.
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise SourceError(
            f"no package named '{name}' is installed.",
            where=path,
            fix="install it, or give a local path.",
        )
    root = Path(spec.submodule_search_locations[0]).resolve()
    target = Path(os.path.normpath(root / inside))
    if not target.is_relative_to(root):
        raise SourceError(
            "the path leaves the package.", where=path, fix="name a file inside the package."
        )
    return str(target)
