"""What a converted row says, and which of a raw row's fields it leaves unused."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

from tasks.errors import Unusable
from tasks.files.records import Row, parse_json
from tasks.text.rows import Message

_SHOWN = 64
"""Letters shown of the name of a field that was not used."""

_LIST_TEXT = re.compile(r"\s*\[\s*(?:\{|\])")
_TURN = {"role", "from"}


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


def as_objects(value: Any, name: str) -> Any:
    """Return a list of objects whichever way it is stored, anything else as it is.

    Known are JSON text of a list, and an object of equally long lists, as the library datasets
    gives a list of objects.

    Raises:
        Unusable: It looks like such a text and is no JSON.
    """
    if isinstance(value, str) and _LIST_TEXT.match(value):
        try:
            return parse_json(value)
        except ValueError as error:
            written = " (it looks like Python's way of writing a list)" if "'" in value else ""
            raise Unusable(f"'{name}' is a text and not JSON{written}: {error}") from error
    if isinstance(value, Mapping) and value and all(isinstance(v, list) for v in value.values()):
        if len({len(v) for v in value.values()}) != 1:
            raise Unusable(f"'{name}' is an object of lists that are not equally long")
        return [dict(zip(value, row, strict=True)) for row in zip(*value.values(), strict=True)]
    return value


def holds_turns(value: Any) -> bool:
    """Return whether a value is a list of messages, as objects or as JSON text."""
    try:
        found = as_objects(value, "")
    except Unusable:
        return False
    return (
        isinstance(found, list)
        and bool(found)
        and all(isinstance(turn, Mapping) and _TURN & set(turn) for turn in found)
    )
