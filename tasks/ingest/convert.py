"""The conversion of a source's rows to chat rows, whatever their format."""

import difflib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from configs.sources import StoredSource
from tasks.errors import SourceError, Unusable
from tasks.files.records import Row, parse_json
from tasks.ingest.converse import convert_converse
from tasks.ingest.detect import PAIRS, choose_format, collect_columns, list_columns
from tasks.ingest.openai import convert_messages, convert_sharegpt, put_system_first
from tasks.ingest.preferences import convert_dpo, convert_rft, read_prompt, read_side
from tasks.ingest.tool_use import normalise_tools
from tasks.ingest.values import (
    ConvertedRow,
    Converter,
    fill_template,
    find_unused,
    has_value,
    holds_turns,
    list_holes,
    look_up,
    to_text,
)
from tasks.text.rows import TEXT_ROLE, Message


def find_converter(source: StoredSource, rows: Sequence[Row], where: str) -> Converter:
    """Return the conversion for a source some of whose good rows are given.

    Raises:
        SourceError: A column that the format needs is in none of the rows; the message names
            those there are and the nearest.
    """
    columns = collect_columns(rows)
    if source.columns:
        for field, value in source.columns.items():
            for path in list_holes(value):
                if not any(has_value(row, path) for row in rows):
                    raise _no_column_error(path, columns, where, f"columns.{field} names")
        return _make_mapper(source.columns)
    kind = choose_format(source, rows, where).format
    if kind == "completion":
        prompt, completion = _find_pair(columns, where)
        # Dolly keeps the passage that a question is about in a column of its own.
        return partial(_convert_pair, prompt=prompt, completion=completion, context="context")
    for name in _NEEDS.get(kind, ()):
        if name not in columns:
            raise _no_column_error(name, columns, where, f"format '{kind}' needs")
    return _CONVERTERS[kind]


_NEEDS: dict[str, tuple[str, ...]] = {
    "messages": ("messages",),
    "converse": ("messages",),
    "sharegpt": ("conversations",),
    "alpaca": ("instruction", "output"),
    "text": ("text",),
    "dpo": ("chosen", "rejected"),
}


def _no_column_error(name: str, columns: Sequence[str], where: str, who: str) -> SourceError:
    close = difflib.get_close_matches(name, columns, n=1)
    fix = f"did you mean '{close[0]}'?" if close else "name one of them, or map them by columns:."
    return SourceError(
        f"{who} '{name}', but the columns are {list_columns(columns)}.", where=where, fix=fix
    )


def _find_pair(columns: Sequence[str], where: str) -> tuple[str, str]:
    for pair in PAIRS:
        if set(pair) <= set(columns):
            return pair
    known = "; ".join(" + ".join(pair) for pair in PAIRS)
    raise SourceError(
        f"format 'completion' needs one of the pairs {known}, but the columns are "
        f"{list_columns(columns)}.",
        where=where,
        fix="map them, for example columns: {prompt: review, completion: category}.",
    )


def _make_turns(prompt: str, completion: str, system: str = "") -> list[Message]:
    return put_system_first(
        system, [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]
    )


def _convert_pair(row: Row, prompt: str, completion: str, context: str) -> ConvertedRow:
    asked, answered = look_up(row, prompt), look_up(row, completion)
    if holds_turns(asked) or holds_turns(answered):
        return _convert_turns(row, prompt, completion)
    question, answer = to_text(asked, prompt), to_text(answered, completion)
    given, system = (to_text(row.get(name), name) for name in (context, "system"))
    if given.strip():
        question = f"{question}\n\n{given}"
    before = _read_history(row.get("history"))
    extra = find_unused(row, (prompt, completion, context, "system", "history"))
    return ConvertedRow(
        put_system_first(system, [*before, *_make_turns(question, answer)]), extra=tuple(extra)
    )


def _convert_turns(row: Row, prompt: str, completion: str) -> ConvertedRow:
    """Return a row whose prompt and completion are messages, as TRL has them."""
    messages = [*read_prompt(row[prompt]), *read_side(row[completion], completion)]
    system = to_text(row.get("system"), "system")
    extra = find_unused(row, (prompt, completion, "system", "tools"))
    return ConvertedRow(
        put_system_first(system, messages),
        tools=normalise_tools(row.get("tools")),
        extra=tuple(extra),
    )


def _read_history(value: Any) -> list[Message]:
    """Return the earlier turns of an Alpaca row: pairs of what was asked and answered.

    Raises:
        Unusable: It is something else.
    """
    if isinstance(value, str) and value.strip():
        try:
            value = parse_json(value)
        except ValueError as error:
            raise Unusable(f"'history' is not JSON: {error}") from error
    turns: list[Message] = []
    for pair in value or ():
        if not isinstance(pair, list) or len(pair) != 2:
            raise Unusable("'history' is not a list of pairs, each what was asked and answered")
        asked, answered = (to_text(part, "history") for part in pair)
        turns += _make_turns(asked, answered)
    return turns


def _convert_text(row: Row) -> ConvertedRow:
    message: Message = {"role": TEXT_ROLE, "content": to_text(look_up(row, "text"), "text")}
    return ConvertedRow([message], extra=tuple(find_unused(row, ("text",))))


def _make_mapper(mapping: Mapping[Any, str]) -> Converter:
    def optional(row: Row, field: str) -> str | None:
        given = field in mapping and all(
            has_value(row, path) for path in list_holes(mapping[field])
        )
        return (fill_template(row, mapping[field]).strip() or None) if given else None

    def convert(row: Row) -> ConvertedRow:
        if "messages" in mapping:
            given = convert_messages({"messages": look_up(row, mapping["messages"])})
            messages = put_system_first(optional(row, "system") or "", given.messages)
            label, group = optional(row, "label"), optional(row, "group")
            return given._replace(messages=messages, label=label, group=group)
        if "text" in mapping:
            messages = [{"role": TEXT_ROLE, "content": fill_template(row, mapping["text"])}]
        else:
            prompt, answer = (fill_template(row, mapping[f]) for f in ("prompt", "completion"))
            messages = _make_turns(prompt, answer, optional(row, "system") or "")
        return ConvertedRow(messages, optional(row, "label"), optional(row, "group"))

    return convert


_CONVERTERS: dict[str, Converter] = {
    "messages": convert_messages,
    "converse": convert_converse,
    "sharegpt": convert_sharegpt,
    "alpaca": partial(_convert_pair, prompt="instruction", completion="output", context="input"),
    "text": _convert_text,
    "dpo": convert_dpo,
    "rft": convert_rft,
}
