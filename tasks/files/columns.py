"""Values of a record by the names and templates that a section gives for them.

Paths are dotted and templates have holes; nothing is evaluated.
"""

import datetime
import decimal
import re
from collections.abc import Callable, Mapping
from typing import Any

from tasks.errors import Unusable
from tasks.files.readers import split_path
from tasks.files.records import Row

_HOLE = re.compile(r"\{\{|\}\}|\{([^{}\n]+)\}")
_PLAIN = (str, int, float, decimal.Decimal, datetime.date, datetime.time)
_ABSENT = object()


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
