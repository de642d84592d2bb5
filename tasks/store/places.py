"""Where published files lie: an S3 prefix or a shared folder, with the same few operations."""

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from tasks.errors import StorageError
from tasks.progress import report
from tasks.storage import MANIFEST, building, digest_of, file_digest
from tasks.store.aws import Client, code_of, open_client, refusal, store_setting

PART_BYTES = 64 << 20


class BlobStore(Protocol):
    """A root under which files are written whole and never changed."""

    def uri(self, key: str = "") -> str:
        """Return the address of a key, or of the root."""

    def put(self, key: str, file: Path) -> None:
        """Copy a file there; a reader sees all of it or nothing."""

    def put_once(self, key: str, content: bytes) -> bool:
        """Write content only if nothing is there, as one step; return whether it was written."""

    def read(self, key: str) -> bytes | None:
        """Return the content; None where there is nothing."""

    def get(self, key: str, file: Path) -> None:
        """Copy the content to a file of this machine."""

    def sizes(self, prefix: str) -> dict[str, int]:
        """Return the keys under a prefix with their sizes in bytes."""


def open_store(where: str | None = None, region: str | None = None) -> BlobStore:
    """Return the place of that address: ``s3://BUCKET/PREFIX`` or a folder; else TEMPER_STORE.

    Args:
        where: The address.
        region: AWS region to call S3 in; the environment's or the profile's when None.

    Raises:
        SetupError: Neither is given.
        StorageError: It is no address that files are published to.
    """
    address = where or store_setting()
    if address.startswith("s3://"):
        return S3Store(address, region=region)
    if "://" in address:
        raise StorageError(
            "artifacts are published to S3 or to a folder.",
            where=address,
            fix="set TEMPER_STORE to s3://BUCKET/PREFIX or a folder.",
        )
    return FolderStore(Path(address).expanduser().resolve())


class FolderStore:
    """A folder that several machines see."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def uri(self, key: str = "") -> str:
        """Return the path."""
        return str(self.root / key) if key else str(self.root)

    def put(self, key: str, file: Path) -> None:
        """Copy aside and rename."""
        aside = self._aside(key)
        shutil.copyfile(file, aside)
        os.replace(aside, self.root / key)

    def put_once(self, key: str, content: bytes) -> bool:
        """Write aside and link, which fails if the name is taken."""
        aside = self._aside(key)
        aside.write_bytes(content)
        try:
            os.link(aside, self.root / key)
        except FileExistsError:
            return False
        finally:
            aside.unlink()
        return True

    def read(self, key: str) -> bytes | None:
        """Return the file's content."""
        path = self.root / key
        return path.read_bytes() if path.is_file() else None

    def get(self, key: str, file: Path) -> None:
        """Copy the file."""
        try:
            shutil.copyfile(self.root / key, file)
        except FileNotFoundError as error:
            raise _gone(self.uri(key)) from error

    def sizes(self, prefix: str) -> dict[str, int]:
        """Return the files below."""
        files = sorted(p for p in (self.root / prefix).rglob("*") if p.is_file())
        return {
            str(f.relative_to(self.root)): f.stat().st_size
            for f in files
            if not f.name.startswith(".")
        }

    def _aside(self, key: str) -> Path:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")


class S3Store:
    """A prefix of a bucket."""

    def __init__(
        self, address: str, client: Client | None = None, region: str | None = None
    ) -> None:
        self.bucket, _, prefix = address.removeprefix("s3://").partition("/")
        self.prefix = prefix.strip("/")
        self._client, self._region = client, region

    @property
    def client(self) -> Client:
        """The S3 client, opened when first needed."""
        if self._client is None:
            self._client = open_client("s3", self._region)
        return self._client

    def uri(self, key: str = "") -> str:
        """Return ``s3://...``."""
        return f"s3://{self.bucket}/{self._key(key)}".rstrip("/")

    def put(self, key: str, file: Path) -> None:
        """Upload, in parts where it is large."""
        from boto3.s3.transfer import TransferConfig
        from botocore.exceptions import BotoCoreError, ClientError

        parts = TransferConfig(multipart_chunksize=PART_BYTES, multipart_threshold=PART_BYTES)
        try:
            self.client.upload_file(str(file), self.bucket, self._key(key), Config=parts)
        except FileNotFoundError:  # the caller's file, not the store
            raise
        except (BotoCoreError, ClientError, OSError) as error:
            raise refusal(error, "the upload", self.uri(key)) from error
        except Exception as error:  # boto3 wraps what the service said in an exception of its own
            raise refusal(_inner(error), "the upload", self.uri(key)) from error

    def put_once(self, key: str, content: bytes) -> bool:
        """Put with ``If-None-Match: *``, which the service checks as it writes."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self.client.put_object(
                Bucket=self.bucket, Key=self._key(key), Body=content, IfNoneMatch="*"
            )
        except (BotoCoreError, ClientError) as error:
            # 409: another put of the same key is under way, and one of the two will be there.
            if code_of(error) in ("PreconditionFailed", "412", "ConditionalRequestConflict"):
                return False
            raise refusal(error, "the upload", self.uri(key)) from error
        return True

    def read(self, key: str) -> bytes | None:
        """Return the object's content."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found = self.client.get_object(Bucket=self.bucket, Key=self._key(key))
            return bytes(found["Body"].read())
        except (BotoCoreError, ClientError) as error:
            if code_of(error) in ("NoSuchKey", "404"):
                return None
            raise refusal(error, "reading", self.uri(key)) from error

    def get(self, key: str, file: Path) -> None:
        """Download."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self.client.download_file(self.bucket, self._key(key), str(file))
        except (BotoCoreError, ClientError) as error:
            if code_of(error) in ("NoSuchKey", "404"):
                raise _gone(self.uri(key)) from error
            raise refusal(error, "the download", self.uri(key)) from error

    def sizes(self, prefix: str) -> dict[str, int]:
        """Return the objects below."""
        return dict(self._listed(prefix))

    def _listed(self, prefix: str) -> Iterator[tuple[str, int]]:
        from botocore.exceptions import BotoCoreError, ClientError

        pages = self.client.get_paginator("list_objects_v2")
        cut = len(self.prefix) + 1 if self.prefix else 0
        try:
            for page in pages.paginate(Bucket=self.bucket, Prefix=self._key(prefix)):
                for item in page.get("Contents", []):
                    yield item["Key"][cut:], int(item["Size"])
        except (BotoCoreError, ClientError) as error:
            raise refusal(error, "listing", self.uri(prefix)) from error

    def _key(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key


def _inner(error: Exception) -> Exception:
    return error.__cause__ if isinstance(error.__cause__, Exception) else error


def _gone(where: str) -> StorageError:
    return StorageError(
        "there is no such published file.",
        where=where,
        fix="publish it again from the machine that made it.",
    )


# Publishing a set of files under their digest, and fetching them whole.

Files = Mapping[str, Path]
"""Name below the publication -> file of this machine."""


class Published(NamedTuple):
    """What lies in the store.

    Attributes:
        uri: Address of the folder of the files.
        uploaded: Files that were copied there now; 0 when it was there already.
    """

    uri: str
    uploaded: int


def files_below(folder: Path) -> dict[str, Path]:
    """Return the files of a folder by their relative name, hidden ones and its manifest aside."""
    found = sorted(f for f in folder.rglob("*") if f.is_file())
    names = {str(f.relative_to(folder)): f for f in found}
    return {
        n: f
        for n, f in names.items()
        if n != MANIFEST and not any(p.startswith(".") for p in Path(n).parts)
    }


def address_of(kind: str, digest: str, files: Files) -> tuple[str, dict[str, dict[str, object]]]:
    """Return the key of a publication and its list of files; reads them, writes nothing."""
    listed: dict[str, dict[str, object]] = {
        name: {"sha256": file_digest(path), "bytes": path.stat().st_size}
        for name, path in sorted(files.items())
    }
    return f"{kind}/{digest[:32]}/{digest_of(listed)[:16]}", listed


def publish(kind: str, digest: str, files: Files, place: BlobStore | None = None) -> Published:
    """Copy files to the store unless they are there, and return where.

    Args:
        kind: First part of the address: ``mixtures``, ``models``, ``code``, ``jobs``.
        digest: What identifies the content's meaning; the receipt's digest.
        files: What to publish.
        place: The store; TEMPER_STORE when absent.

    Raises:
        StorageError: A file under that address is not what it should be.
        SetupError: The store isn't set, or refuses.
    """
    place = place or open_store()
    key, listed = address_of(kind, digest, files)
    if place.read(f"{key}/{MANIFEST}") is not None:
        return Published(place.uri(key), 0)
    there = place.sizes(f"{key}/")
    missing = {n: f for n, f in files.items() if there.get(f"{key}/{n}") != listed[n]["bytes"]}
    for done, (name, path) in enumerate(sorted(missing.items())):
        report(f"publishing {kind}", done, len(missing))
        place.put(f"{key}/{name}", path)
    report(f"publishing {kind}", len(missing), len(missing))
    record = {"kind": kind, "digest": digest, "files": listed}
    place.put_once(f"{key}/{MANIFEST}", json.dumps(record, indent=1, sort_keys=True).encode())
    return Published(place.uri(key), len(missing))


def fetch(uri: str, folder: Path) -> None:
    """Bring a publication to a folder that isn't there yet, and check every file.

    Raises:
        StorageError: There is no manifest at the address, or a file isn't what it says.
    """
    place = open_store(uri)
    found = place.read(MANIFEST)
    if found is None:
        raise StorageError(
            "nothing is published there.",
            where=uri,
            fix="publish it again from the machine that made it.",
        )
    listed: dict[str, dict[str, object]] = json.loads(found)["files"]
    with building(folder) as aside:
        for done, (name, known) in enumerate(sorted(listed.items())):
            report("fetching", done, len(listed))
            _fetch_file(place, name, aside, str(known["sha256"]))
        report("fetching", len(listed), len(listed))
        if not folder.exists():
            aside.rename(folder)


def _fetch_file(place: BlobStore, name: str, folder: Path, sha256: str) -> None:
    target = (folder / name).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise StorageError(
            f"the manifest names '{name}', outside its folder.",
            where=place.uri(),
            fix="don't use this store: it was tampered with.",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    place.get(name, target)
    if file_digest(target) != sha256:
        raise StorageError(
            "the file isn't what its manifest says.",
            where=place.uri(name),
            fix="delete that publication and publish it again.",
        )
