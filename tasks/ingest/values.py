"""What a converted row says, and which of a raw row's fields it leaves unused."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

from tasks.files.records import Row
from tasks.text.rows import Message

_SHOWN = 64
"""Letters shown of the name of a field that was not used."""


class ConvertedRow(NamedTuple):
    """What a row says: its messages, and what its own columns give beside them.

    ``tools``, ``rejected`` and ``reference`` are as :class:`tasks.text.rows.ChatRow` has them;
    ``extra`` names the row's fields that were not used.
    """

    messages: list[Message]
    label: str | None = None
    group: str | None = None
    tools: str | None = None
    rejected: Message | None = None
    reference: str | None = None
    extra: tuple[str, ...] = ()


Converter = Callable[[Row], ConvertedRow]


def find_unused(given: Mapping[str, Any], used: Collection[str], where: str = "") -> list[str]:
    """Return the names of fields that hold something and were not used, prefixed by ``where``."""
    # Parquet gives every row every field of any row, null where it has none.
    return [
        f"{where}{name}"[:_SHOWN]
        for name, value in given.items()
        if name not in used and value is not None
    ]


def find_unused_in(
    parts: Iterable[Mapping[str, Any]], used: Collection[str], where: str
) -> list[str]:
    """Return those of several objects, each name once."""
    return list(dict.fromkeys(name for part in parts for name in find_unused(part, used, where)))
