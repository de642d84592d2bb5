"""Which row format a source has, and the conversion of its rows to chat messages."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from configs.sources import RowFormat, StoredSource
from tasks.errors import SourceError
from tasks.ingest.conversations import from_converse, from_messages, from_sharegpt
from tasks.ingest.values import Row, as_text, fill, has, holes, look_up
from tasks.text.rows import TEXT_ROLE, Message

PAIRS = (
    ("prompt", "completion"), ("prompt", "response"),
    ("instruction", "response"), ("question", "answer"),
)  # fmt: skip
"""Column names of prompt and completion, in the order they are looked for."""

_UNCLEAR = {
    "text": (
        "label", "it may be text to train on as it is, or a text to be given its label",
        "format: text, or columns: {prompt: 'Classify: {text}', completion: label}.",
    ),
    "question": (
        "choices", "the answer may be a text, or the number of a choice",
        "format: completion where it is a text, else map the columns with columns:.",
    ),
}  # fmt: skip
"""Column -> the column that makes it unclear, why, and what to write instead."""


class Fields(NamedTuple):
    """A converted row: messages, and the label and group its own columns give."""

    messages: list[Message]
    label: str | None = None
    group: str | None = None


Converter = Callable[[Row], Fields]


def converter_for(source: StoredSource, rows: Sequence[Row], where: str) -> Converter:
    """Return the conversion for a source whose first good rows are given.

    Raises:
        SourceError: A column that the format needs is in none of the rows; the message names
            those there are and the nearest.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if source.columns:
        _check_mapping(source.columns, rows, columns, where)
        return _by_columns(source.columns)
    kind = detect(rows[0], columns, where) if source.format == "auto" else source.format
    if kind == "completion":
        return _by_pair(_pair(columns, where))
    _check_needs(kind, columns, where)
    convert = _CONVERSIONS[kind]
    return lambda row: Fields(convert(row))


def detect(row: Row, columns: Sequence[str], where: str) -> RowFormat:
    """Return the format that a row's columns mean.

    Raises:
        SourceError: They mean none, or could mean two.
    """
    if "messages" in columns:
        return "converse" if _is_converse(row) else "messages"
    if "conversations" in columns:
        return "sharegpt"
    if {"instruction", "output"} <= set(columns):
        return "alpaca"
    if any(set(pair) <= set(columns) for pair in PAIRS):
        _refuse_unclear("question", columns, where)
        return "completion"
    if "text" in columns:
        _refuse_unclear("text", columns, where)
        return "text"
    raise SourceError(
        f"no known row format has the columns there are: {_listed(columns)}.", where=where,
        fix="map them, for example columns: {prompt: 'Classify: {review}', completion: category}.",
    )  # fmt: skip


def _is_converse(row: Row) -> bool:
    if row.get("schemaVersion") or isinstance(row.get("system"), list):
        return True
    messages = row["messages"] if isinstance(row.get("messages"), list) else []
    blocks = [
        block
        for m in messages if isinstance(m, Mapping) and isinstance(m.get("content"), list)
        for block in m["content"]
    ]  # fmt: skip
    return bool(blocks) and all(isinstance(b, Mapping) and not b.get("type") for b in blocks)


def _refuse_unclear(column: str, columns: Sequence[str], where: str) -> None:
    other, why, instead = _UNCLEAR[column]
    if column in columns and other in columns:
        raise SourceError(f"the columns {_listed(columns)} can be read in two ways: {why}.",
                          where=where, fix=f"say which: {instead}")  # fmt: skip


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(f"'{c}'" for c in columns) or "none"


_NEEDS: dict[str, tuple[str, ...]] = {
    "messages": ("messages",), "converse": ("messages",), "sharegpt": ("conversations",),
    "alpaca": ("instruction", "output"), "text": ("text",),
}  # fmt: skip


def _check_needs(kind: str, columns: Sequence[str], where: str) -> None:
    for name in _NEEDS[kind]:
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
    return SourceError(f"{who} '{name}', but the columns are {_listed(columns)}.",
                       where=where, fix=fix)  # fmt: skip


def _pair(columns: Sequence[str], where: str) -> tuple[str, str]:
    for pair in PAIRS:
        if set(pair) <= set(columns):
            return pair
    known = "; ".join(" + ".join(pair) for pair in PAIRS)
    raise SourceError(
        f"format 'completion' needs one of the pairs {known}, but the columns are "
        f"{_listed(columns)}.", where=where,
        fix="map them, for example columns: {prompt: review, completion: category}.",
    )  # fmt: skip


def _turns(prompt: str, completion: str, system: str = "") -> list[Message]:
    start: list[Message] = [{"role": "system", "content": system}] if system.strip() else []
    return [*start, {"role": "user", "content": prompt},
            {"role": "assistant", "content": completion}]  # fmt: skip


def _optional(row: Row, name: str) -> str:
    return as_text(row.get(name), name)


def _with_input(prompt: str, given: str) -> str:
    return f"{prompt}\n\n{given}" if given.strip() else prompt


def _by_pair(pair: tuple[str, str]) -> Converter:
    def convert(row: Row) -> Fields:
        prompt, answer = (as_text(look_up(row, name), name) for name in pair)
        # Dolly keeps the passage that a question is about in a column of its own.
        prompt = _with_input(prompt, _optional(row, "context"))
        return Fields(_turns(prompt, answer, _optional(row, "system")))

    return convert


def _alpaca(row: Row) -> list[Message]:
    prompt, answer = (as_text(look_up(row, name), name) for name in ("instruction", "output"))
    return _turns(_with_input(prompt, _optional(row, "input")), answer, _optional(row, "system"))


def _text(row: Row) -> list[Message]:
    return [{"role": TEXT_ROLE, "content": as_text(look_up(row, "text"), "text")}]


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


_CONVERSIONS: dict[str, Callable[[Row], list[Message]]] = {
    "messages": from_messages, "converse": from_converse, "sharegpt": from_sharegpt,
    "alpaca": _alpaca, "text": _text,
}  # fmt: skip
