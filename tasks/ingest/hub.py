"""Rows of a Hugging Face data set, streamed at a pinned commit. The only import of ``datasets``."""

from collections.abc import Iterator
from typing import Any

from configs.sources import HubSource
from tasks.errors import SourceError, SourceUnreachable
from tasks.ingest.readers import Record


def hub_rows(source: HubSource) -> Iterator[Record]:
    """Yield the rows of a hub data set in order, without keeping them.

    ``path`` may also be a local folder of data files, read by the same library.

    Raises:
        SourceError: There is no such data set, subset, split or commit.
        SourceUnreachable: The hub doesn't answer.
    """
    name = f"{source.path}/{source.hub_split}"
    try:
        for number, row in enumerate(_stream(source), start=1):
            yield f"{name}:{number}", row
    except (OSError, ValueError, RuntimeError) as error:
        raise _problem(source, error) from error


def _stream(source: HubSource) -> Any:
    from datasets import load_dataset

    return load_dataset(
        source.path,
        name=source.subset,
        split=source.hub_split,
        revision=source.revision,
        streaming=True,
    )


def _problem(source: HubSource, error: Exception) -> SourceError:
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    where = f"{source.path}@{source.revision[:12]}"
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
