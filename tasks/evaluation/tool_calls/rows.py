"""Rows with tools, from a source or from a file of your own."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from tasks.artifacts import CleanSource, SplitName
from tasks.errors import EvaluationError
from tasks.evaluation.datasets import Located, fail, of_files
from tasks.evaluation.tool_calls.compare import Call, as_call, schema_problem
from tasks.storage import digest_of
from tasks.text.rows import Message, compact, given

_ROLES = ("system", "user", "assistant", "tool")


class Row(NamedTuple):
    """A conversation with tools.

    Attributes:
        messages: The turns as rows keep them.
        calls: The calls that each turn makes, in the turns' order.
        tools: Each with ``name``, ``description`` and ``parameters``.
        tools_text: The same as JSON text.
        group: What the row's items share: its group, or a digest of the row.
    """

    messages: list[Message]
    calls: list[tuple[Call, ...]]
    tools: list[dict[str, Any]]
    tools_text: str
    group: str


def of_source(source: CleanSource, split: SplitName) -> Iterator[Row]:
    """Yield a source's rows that have tools.

    Raises:
        EvaluationError: There are none, or a tool's schema can't be used.
    """
    found = False
    for row in pq.read_table(source.split(split)).to_pylist():
        if row["tools"]:
            found = True
            yield _row(Located(row, row["origin"]))
    if not found:
        raise EvaluationError(
            f"source '{source.name}' has no {split} rows with tools.",
            where=source.name,
            fix="name a source of rows with tools.",
        )


def of_file(path: str) -> Iterator[Row]:
    """Yield the rows of files, each with ``messages`` and ``tools``.

    Raises:
        EvaluationError: There are none, or one can't be used.
    """
    yield from map(_row, of_files(path))


def _row(found: Located) -> Row:
    tools = _tools(found)
    messages = _parsed(found, "messages")
    good = (
        isinstance(messages, list)
        and messages
        and all(isinstance(m, dict) and m.get("role") in _ROLES for m in messages)
    )
    if not good:
        fail(found, "messages", "is no list of turns", "give role and content of each turn.")
    calls = [_calls(found, message) for message in messages]
    turns = [_turn(m, made, n) for n, (m, made) in enumerate(zip(messages, calls, strict=True))]
    # Copies of a row depend on each other; where one lay is no part of what is stored.
    group = found.record.get("group") or digest_of([turns, tools])[:32]
    return Row(turns, calls, tools, compact(tools), str(group))


def _tools(found: Located) -> list[dict[str, Any]]:
    tools = _parsed(found, "tools")
    if not isinstance(tools, list) or not tools:
        fail(found, "tools", "is no list of tools", "give name and parameters of each tool.")
    plain = [t.get("function", t) if isinstance(t, dict) else {} for t in tools]
    for number, tool in enumerate(plain, start=1):
        if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
            fail(found, "tools", f"has no name at number {number}", "name every tool.")
        wrong = schema_problem(tool.get("parameters") or {})
        if wrong is not None:
            fail(
                found,
                "tools",
                f"has parameters of '{tool['name']}' that are no JSON schema: {wrong}",
                "correct the tool's schema.",
            )
    return [
        {
            "name": t["name"],
            "description": t.get("description") or "",
            "parameters": t.get("parameters") or {},
        }
        for t in plain
    ]


def _calls(found: Located, message: dict[str, Any]) -> tuple[Call, ...]:
    told = _loaded(found, "tool_calls", message.get("tool_calls") or [])
    calls = [as_call(call) for call in told] if isinstance(told, list) else [None]
    if None in calls:
        fail(
            found,
            "tool_calls",
            "has a call without name or arguments",
            "give name and arguments (an object) of each call.",
        )
    return tuple(call for call in calls if call is not None)


def _turn(message: dict[str, Any], calls: tuple[Call, ...], number: int) -> Message:
    turn = Message(role=message["role"], content=str(message.get("content") or ""))
    if message.get("tool_call_id"):
        turn["tool_call_id"] = str(message["tool_call_id"])
    if calls:
        told = message["tool_calls"]
        told = json.loads(told) if isinstance(told, str) else told
        turn["tool_calls"] = compact(
            [
                {
                    "id": str(t.get("id") or f"call_{number}_{place}"),
                    "name": call.name,
                    "arguments": call.arguments,
                }
                for place, (t, call) in enumerate(zip(told, calls, strict=True), start=1)
            ]
        )
    return given(turn)


def _parsed(found: Located, field: str) -> Any:
    return _loaded(found, field, found.record.get(field))


def _loaded(found: Located, field: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        fail(found, field, f"is not JSON: {error}", "write it as JSON, or as a list.")
