"""What readers give: a row with the place it came from, or what stands where a row should.

JSON is read without guessing: no field twice, no nesting without end, NaN as what it stands for.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tasks.errors import SourceError

DEEPEST = 200
"""Levels of lists and objects; what writes a row out again needs some of Python's stack, too."""


MOST_PARTS = 4_000_000
"""Lists and objects of one JSON text: each takes 20 times the memory of its two letters."""


class BadLine(NamedTuple):
    """A piece of a file that is not a row: what is there, and why it can't be used."""

    raw: str
    reason: str


Row = Mapping[str, Any]
Numbered = tuple[int, Row | BadLine]
"""Line or row of a file, counted from 1, and the row, or what stands in its place."""


class Record(NamedTuple):
    """A row, or what stands in its place, and its origin (``reviews.jsonl:12``)."""

    origin: str
    row: Row | BadLine


class Damaged(Exception):
    """A file can't be read as what its ending says; the text says why."""


class NoRows(Exception):
    """A file is whole, and where its rows are isn't said; the text says what is there.

    Attributes:
        fix: What to write.
    """

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


_FREE_FORM = frozenset(
    (
        "arguments",
        "functions",
        "input",
        "json",
        "metadata",
        "reference_answer",
        "toolConfig",
        "tools",
    )
)
"""Fields whose objects have keys of the author's own."""


def drop_filled_nulls(row: Row) -> Row:
    """Return a row of a table without the nulls that its objects are filled with.

    In a table every object of a column has every field of any of them, null where it had none:
    as arguments of a call, as keys of a schema or as a reference they would be learnt. Objects
    whose fields are known in advance stay as they are.
    """
    return {name: _drop_nulls(value, inside=name in _FREE_FORM) for name, value in row.items()}


def _drop_nulls(value: Any, *, inside: bool) -> Any:
    if isinstance(value, list):
        return [_drop_nulls(part, inside=inside) for part in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _drop_nulls(part, inside=inside or name in _FREE_FORM)
        for name, part in value.items()
        if not (inside and part is None)
    }


def make_bad_line(raw: bytes | str, reason: str) -> BadLine:
    """Return a broken piece as it is kept: what is not UTF-8 stands there as escapes."""
    text = raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else raw
    return BadLine(text.rstrip("\r\n"), reason)


def damaged_error(path: str, what: str) -> SourceError:
    """Return the error for a file that can't be read, in whole or from some place on."""
    # What a library says may have several lines, or repeat the bytes it stumbled over.
    reason = "".join(c if c.isprintable() else " " for c in what[:500])
    reason = " ".join(reason.split()).rstrip(" .")
    return SourceError(
        f"the file is damaged or not what its ending says: {reason}.",
        where=path,
        fix="write it anew, or leave it out.",
    )


def parse_json(text: str, most_parts: int = MOST_PARTS) -> Any:
    """Return the value of a JSON text.

    NaN and the infinities, which some writers put where a number is missing, become null.

    Raises:
        ValueError: It is not JSON (then ``json.JSONDecodeError``), names a field twice in one
            object, nests deeper than :data:`DEEPEST`, or has more than ``most_parts`` lists and
            objects.
    """
    parts = text.count("[") + text.count("{")
    if parts > most_parts:
        raise ValueError(f"it has over {most_parts:,} lists and objects")
    try:
        value = json.loads(text, object_pairs_hook=_refuse_twice, parse_constant=lambda _: None)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if parts > DEEPEST and _is_deeper_than(value, DEEPEST):
        raise ValueError(f"it is nested too deep: over {DEEPEST} levels")
    return value


def _refuse_twice(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        again = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field '{again[:60]}' is there twice")
    return value


def _is_deeper_than(value: Any, levels: int) -> bool:
    level = [value]
    for _ in range(levels):
        inner: list[Any] = []
        for part in level:
            if isinstance(part, dict):
                inner.extend(part.values())
            elif isinstance(part, list):
                inner.extend(part)
        if not inner:
            return False
        level = inner
    return any(isinstance(part, dict | list) for part in level)
