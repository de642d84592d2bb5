"""Values of a raw row as text: dotted paths and templates, without evaluating anything."""

import datetime
import decimal
import re
from collections.abc import Callable, Mapping
from typing import Any

from tasks.errors import Unusable

Row = Mapping[str, Any]
_HOLE = re.compile(r"\{\{|\}\}|\{([^{}\n]+)\}")
_PLAIN = (str, int, float, decimal.Decimal, datetime.date, datetime.time)
_ABSENT = object()


def as_text(value: Any, name: str) -> str:
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


def look_up(row: Row, path: str) -> Any:
    """Return the value at a column name or a dotted path (``instances.0.output``).

    Raises:
        Unusable: The row has no such value.
    """
    value = _find(row, path)
    if value is _ABSENT:
        raise Unusable(f"the row has no '{path}'")
    return value


def has(row: Row, path: str) -> bool:
    """Return whether the row has something, null included, at a path."""
    return _find(row, path) is not _ABSENT


def is_template(value: str) -> bool:
    """Return whether a mapped value is a template rather than a column's name."""
    return "{" in value


def holes(template: str) -> list[str]:
    """Return the paths named in a template's holes (or the path itself, if it is none)."""
    if not is_template(template):
        return [template]
    return [hole[1].strip() for hole in _HOLE.finditer(template) if hole[1]]


def fill(row: Row, template: str) -> str:
    """Return a template with its holes filled, outer space gone; ``{{`` and ``}}`` are braces.

    A template none of whose holes has anything to say is empty: a question about nothing is not
    a prompt.

    Raises:
        Unusable: The row lacks a hole's value, or it is not text.
    """
    if not is_template(template):
        return as_text(look_up(row, template), template)
    found = {path: as_text(look_up(row, path), path) for path in holes(template)}
    if found and not any(text.strip() for text in found.values()):
        return ""
    return _HOLE.sub(_filler(found), template).strip()


def _filler(found: Mapping[str, str]) -> Callable[[re.Match[str]], str]:
    return lambda hole: found[hole[1].strip()] if hole[1] else hole[0][0]


def _find(row: Row, path: str) -> Any:
    if path in row:
        return row[path]
    value: Any = row
    for part in path.split("."):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return _ABSENT
    return value
