"""The conversion of a source's rows to chat rows, whatever their format."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from configs.sources import StoredSource
from tasks.errors import SourceError
from tasks.ingest.conversations import from_messages, from_sharegpt
from tasks.ingest.converse import from_converse
from tasks.ingest.detect import PAIRS, choose, columns_of, listed
from tasks.ingest.fields import Converter, Fields, unused
from tasks.ingest.preferences import from_dpo, from_rft
from tasks.ingest.turns import system_first
from tasks.ingest.values import Row, as_text, fill, has, holes, look_up
from tasks.text.rows import TEXT_ROLE, Message

__all__ = ["Converter", "Fields", "converter_for"]


def converter_for(source: StoredSource, rows: Sequence[Row], where: str) -> Converter:
    """Return the conversion for a source some of whose good rows are given.

    Raises:
        SourceError: A column that the format needs is in none of the rows; the message names
            those there are and the nearest.
    """
    columns = columns_of(rows)
    if source.columns:
        _check_mapping(source.columns, rows, columns, where)
        return _by_columns(source.columns)
    kind = choose(source, rows, where).format
    if kind == "completion":
        return _by_pair(_pair(columns, where))
    _check_needs(kind, columns, where)
    return _CONVERSIONS[kind]


_NEEDS: dict[str, tuple[str, ...]] = {
    "messages": ("messages",),
    "converse": ("messages",),
    "sharegpt": ("conversations",),
    "alpaca": ("instruction", "output"),
    "text": ("text",),
    "dpo": ("chosen", "rejected"),
}


def _check_needs(kind: str, columns: Sequence[str], where: str) -> None:
    for name in _NEEDS.get(kind, ()):
        if name not in columns:
            raise _no_column(name, columns, where, f"format '{kind}' needs")


def _check_mapping(
    mapping: Mapping[Any, str], rows: Sequence[Row], columns: Sequence[str], where: str
) -> None:
    for field, value in mapping.items():
        for path in holes(value):
            if not any(has(row, path) for row in rows):
                raise _no_column(path, columns, where, f"columns.{field} names")


def _no_column(name: str, columns: Sequence[str], where: str, who: str) -> SourceError:
    close = difflib.get_close_matches(name, columns, n=1)
    fix = f"did you mean '{close[0]}'?" if close else "name one of them, or map them by columns:."
    return SourceError(
        f"{who} '{name}', but the columns are {listed(columns)}.", where=where, fix=fix
    )


def _pair(columns: Sequence[str], where: str) -> tuple[str, str]:
    for pair in PAIRS:
        if set(pair) <= set(columns):
            return pair
    known = "; ".join(" + ".join(pair) for pair in PAIRS)
    raise SourceError(
        f"format 'completion' needs one of the pairs {known}, but the columns are "
        f"{listed(columns)}.",
        where=where,
        fix="map them, for example columns: {prompt: review, completion: category}.",
    )


def _turns(prompt: str, completion: str, system: str = "") -> list[Message]:
    return system_first(
        system, [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]
    )


def _optional(row: Row, name: str) -> str:
    return as_text(row.get(name), name)


def _with_input(prompt: str, given: str) -> str:
    return f"{prompt}\n\n{given}" if given.strip() else prompt


def _by_pair(pair: tuple[str, str]) -> Converter:
    used = (*pair, "context", "system")

    def convert(row: Row) -> Fields:
        prompt, answer = (as_text(look_up(row, name), name) for name in pair)
        # Dolly keeps the passage that a question is about in a column of its own.
        prompt = _with_input(prompt, _optional(row, "context"))
        return Fields(
            _turns(prompt, answer, _optional(row, "system")), extra=tuple(unused(row, used))
        )

    return convert


def _alpaca(row: Row) -> Fields:
    prompt, answer = (as_text(look_up(row, name), name) for name in ("instruction", "output"))
    messages = _turns(
        _with_input(prompt, _optional(row, "input")), answer, _optional(row, "system")
    )
    return Fields(messages, extra=tuple(unused(row, ("instruction", "input", "output", "system"))))


def _text(row: Row) -> Fields:
    message: Message = {"role": TEXT_ROLE, "content": as_text(look_up(row, "text"), "text")}
    return Fields([message], extra=tuple(unused(row, ("text",))))


def _by_columns(mapping: Mapping[Any, str]) -> Converter:
    def optional(row: Row, field: str) -> str | None:
        given = field in mapping and all(has(row, path) for path in holes(mapping[field]))
        return (fill(row, mapping[field]).strip() or None) if given else None

    def convert(row: Row) -> Fields:
        if "text" in mapping:
            messages: list[Message] = [{"role": TEXT_ROLE, "content": fill(row, mapping["text"])}]
        else:
            prompt, answer = (fill(row, mapping[f]) for f in ("prompt", "completion"))
            messages = _turns(prompt, answer, optional(row, "system") or "")
        return Fields(messages, optional(row, "label"), optional(row, "group"))

    return convert


_CONVERSIONS: dict[str, Callable[[Row], Fields]] = {
    "messages": from_messages,
    "converse": from_converse,
    "sharegpt": from_sharegpt,
    "alpaca": _alpaca,
    "text": _text,
    "dpo": from_dpo,
    "rft": from_rft,
}
