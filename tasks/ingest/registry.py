"""The kinds of stored sources: each is a section in configs, a way to open it, and a row here."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from configs.limits import Limits
from configs.sources import FilesSource, HubSource, StoredSource
from tasks.errors import SourceError
from tasks.files.hub import HubSplit, read_hub
from tasks.files.locate import PLAIN_TEXT, identify_content, locate_files
from tasks.files.readers import no_container_error, read_files
from tasks.files.records import Record


class OpenedSource(NamedTuple):
    """Rows that were found and not read yet.

    Attributes:
        identity: What changes when the rows do, as JSON; it is in the snapshot's key.
        read: Yields the rows from the start.
        revision: Commit, where the rows are of one.
    """

    identity: Any
    read: Callable[[], Iterator[Record]]
    revision: str | None = None


def open_source(source: StoredSource) -> OpenedSource:
    """Return the rows of a source, whatever its kind.

    Raises:
        SourceError: They aren't there, or no row of :data:`OPENERS` is for that kind.
        SourceUnreachable: Their store doesn't answer.
    """
    opener = OPENERS.get(source.kind)
    if opener is None:
        raise SourceError(
            f"there is no way to open a source of kind '{source.kind}'.",
            where=source.path,
            fix=f"use one of: {', '.join(OPENERS)}.",
        )
    return opener(source)


def open_path(path: str, limits: Limits, field: str | None = None) -> OpenedSource:
    """Return the rows of the files that a path means, at a place inside them where one is given.

    Raises:
        SourceError: There are none.
        SourceUnreachable: Their store doesn't answer.
    """
    files = locate_files(path)
    for file in files:
        # As one text it could be anything: more likely than prose it is rows with a wrong ending.
        if file.container in PLAIN_TEXT.values():
            raise no_container_error(file)
    identity: list[Any] = [identify_content(f) for f in files]
    identity += [] if field is None else [{"field": field}]
    return OpenedSource(identity, partial(read_files, files, limits, field))


def _open_files(source: FilesSource) -> OpenedSource:
    return open_path(source.path, source.limits, source.field)


def _open_hub(source: HubSource) -> OpenedSource:
    place = HubSplit(source.path, source.revision, source.subset, source.hub_split)
    return OpenedSource(list(place), partial(read_hub, place), source.revision)


OPENERS: dict[str, Callable[[Any], OpenedSource]] = {
    "files": _open_files,
    "hub": _open_hub,
}
"""How a source is opened, by its section's ``kind``."""
