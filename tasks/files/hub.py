"""Rows of a Hugging Face data set at a pinned commit. The only import of ``datasets``."""

from collections.abc import Iterator
from typing import NamedTuple

from tasks.errors import SourceError, SourceUnreachable
from tasks.files.records import Record, drop_filled_nulls


class HubSplit(NamedTuple):
    """A split of a data set of the hub, or of a local folder of data files read by its library.

    Attributes:
        path: Its id there, or the folder.
        revision: Commit.
        subset: Configuration, where it has several.
        split: The hub's name of the split.
    """

    path: str
    revision: str
    subset: str | None
    split: str


def read_hub(place: HubSplit, *, keep: bool = False) -> Iterator[Record]:
    """Yield the rows of a split in order.

    Args:
        place: The split.
        keep: Whether it is downloaded whole and kept for the next time, or streamed.

    Raises:
        SourceError: There is no such data set, subset, split or commit.
        SourceUnreachable: The hub doesn't answer.
    """
    from datasets import load_dataset

    try:
        rows = load_dataset(
            place.path,
            name=place.subset,
            split=place.split,
            revision=place.revision,
            streaming=not keep,
        )
        for number, row in enumerate(rows, start=1):
            yield Record(f"{place.path}/{place.split}:{number}", drop_filled_nulls(row))
    except (OSError, ValueError, RuntimeError) as error:
        raise _explain(place, error) from error


def _explain(place: HubSplit, error: Exception) -> SourceError:
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    where = f"{place.path}@{place.revision[:12]}"
    if isinstance(error, OfflineModeIsEnabled):
        return SourceError(
            "the hub is switched off on this machine.",
            where=where,
            fix="unset HF_HUB_OFFLINE, or use kind: files with a copy of it.",
        )
    if isinstance(error, DatasetNotFoundError):
        return SourceError(
            "the hub has no such data set at that commit, or it is private or not reachable.",
            where=where,
            fix="check path and revision, log in with 'hf auth login', or use "
            "kind: files with a copy of it.",
        )
    text = " ".join(str(error).split()).rstrip(".")
    if isinstance(error, ConnectionError | TimeoutError | HfHubHTTPError):
        return SourceUnreachable(
            f"the hub did not answer: {text}.",
            where=where,
            fix="try again, or use kind: files with a copy of it.",
        )
    return SourceError(
        f"the data set can't be read: {text}.",
        where=where,
        fix="check subset, hub_split and revision.",
    )
