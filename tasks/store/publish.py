"""Publishing a set of files under their digest, and fetching them whole.

A publication is ``KIND/DIGEST/CONTENT/`` with the files and, written last and only if absent,
``manifest.json`` with the SHA-256 of each. CONTENT is the digest of names and bytes, so that two
machines which made the same thing with other bytes never write into each other's files.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tasks.errors import StorageError
from tasks.progress import report
from tasks.storage import MANIFEST, building, digest_of, file_digest
from tasks.store.places import Place, open_place

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


def publish(kind: str, digest: str, files: Files, place: Place | None = None) -> Published:
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
    place = place or open_place()
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
    place = open_place(uri)
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


def _fetch_file(place: Place, name: str, folder: Path, sha256: str) -> None:
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
