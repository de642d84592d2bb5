"""What a converted row says, and values of a raw row as text.

Paths are dotted and templates have holes; nothing is evaluated.
"""

import datetime
import decimal
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

from tasks.errors import Unusable
from tasks.files.readers import split_path
from tasks.files.records import Row, parse_json
from tasks.text.rows import Message

_SHOWN = 64
"""Letters shown of the name of a field that was not used."""

_LIST_TEXT = re.compile(r"\s*\[\s*(?:\{|\])")
_TURN = {"role", "from"}
_HOLE = re.compile(r"\{\{|\}\}|\{([^{}\n]+)\}")
_PLAIN = (str, int, float, decimal.Decimal, datetime.date, datetime.time)
_ABSENT = object()


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


def to_text(value: Any, name: str) -> str:
    """Return a scalar as text; null is the empty text.

    Raises:
        Unusable: The value is a list, an object or bytes.
    """
    if value is None:
        return ""
    if isinstance(value, _PLAIN):
        return value if isinstance(value, str) else str(value)
    kind = "an object" if isinstance(value, Mapping) else f"a {type(value).__name__}"
    raise Unusable(f"'{name}' is {kind}, not text")


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


def look_up(row: Row, path: str) -> Any:
    """Return the value at a column name or a path (``instances.0.output``, ``a[0].b``).

    Raises:
        Unusable: The row has no such value.
    """
    value = _find_value(row, path)
    if value is _ABSENT:
        raise Unusable(f"the row has no '{path}'")
    return value


def has_value(row: Row, path: str) -> bool:
    """Return whether the row has something, null included, at a path."""
    return _find_value(row, path) is not _ABSENT


def is_template(value: str) -> bool:
    """Return whether a mapped value is a template rather than a column's name."""
    return "{" in value


def list_holes(template: str) -> list[str]:
    """Return the paths named in a template's holes (or the path itself, if it is none)."""
    if not is_template(template):
        return [template]
    return [hole[1] for hole in _HOLE.finditer(template) if hole[1]]


def fill_template(row: Row, template: str) -> str:
    """Return a template with its holes filled, outer space gone; ``{{`` and ``}}`` are braces.

    A template none of whose holes has anything to say is empty: a question about nothing is not
    a prompt.

    Raises:
        Unusable: The row lacks a hole's value, or it is not text.
    """
    if not is_template(template):
        return to_text(look_up(row, template), template)
    found = {path: to_text(look_up(row, path), path) for path in list_holes(template)}
    if found and not any(text.strip() for text in found.values()):
        return ""
    return _HOLE.sub(_make_filler(found), template).strip()


def _make_filler(found: Mapping[str, str]) -> Callable[[re.Match[str]], str]:
    return lambda hole: found[hole[1]] if hole[1] else hole[0][0]


def _find_value(row: Row, path: str) -> Any:
    # A column may be called anything, with spaces around it, too.
    for name in (path, path.strip()):
        if name in row:
            return row[name]
    value: Any = row
    for part in split_path(path.strip()):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return _ABSENT
    return value
