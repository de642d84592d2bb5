"""Checks of tool use: that calls and results belong together, and that tools are described."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc

from tasks.quality.checks.flat import Flags, Flat, as_bools
from tasks.text.rows import TOOL_ROLE

EXPLANATIONS = {
    "tool_place": "A turn that is not the assistant's calls a tool.",
    "tools_missing": "A tool is called, but the row offers none.",
    "tool_unknown": "A tool is called that is not among those the row offers.",
    "tool_id_twice": "Two calls have the same id, so that nobody can tell their results apart.",
    "tool_result_early": "A result names no call that was made before it.",
    "tool_result_twice": "A call has two results.",
    "tool_result_missing": "The conversation goes on after a call without its result.",
    "tool_name_twice": "Two tools have the same name, so that a call names neither.",
    "tool_undescribed": "A tool has no description, so that a model can't tell what it is for.",
    "tool_untyped": "A tool's parameters have no type, which is no JSON schema of arguments.",
}


def uses_tools(table: Any) -> bool:
    """Return whether any row offers, calls or answers for a tool."""
    if table["tools"].null_count < len(table):
        return True
    messages = pc.list_flatten(table["messages"])
    called = pc.any(pc.is_valid(pc.struct_field(messages, "tool_calls"))).as_py()
    answered = pc.any(pc.equal(pc.struct_field(messages, "role"), TOOL_ROLE)).as_py()
    return bool(called or answered)


def tool_flags(flat: Flat) -> dict[str, Flags]:
    """Return every check of tool use -> the rows it finds; rows without tools cost nothing."""
    touched = flat.rows_with(
        as_bools(pc.is_valid(flat.messages.field("tool_calls"))) | flat.role(TOOL_ROLE)
    ) | as_bools(pc.is_valid(flat.batch.column("tools")))
    found = {name: np.zeros(flat.rows, dtype=bool) for name in EXPLANATIONS}
    rows = np.flatnonzero(touched)
    chosen = flat.batch.select(["messages", "tools"]).take(rows)
    for place, row in zip(rows, chosen.to_pylist(), strict=True):
        for name in row_faults(row["messages"], row["tools"]):
            found[name][place] = True
    return found


def row_faults(messages: Sequence[Mapping[str, Any]], tools: str | None) -> set[str]:
    """Return the faults of one row's tools and their use, by name."""
    offered = json.loads(tools) if tools else []
    names = Counter(tool["name"] for tool in offered)
    return {*_definitions(offered, names), *_uses(messages, set(names)), *_results(messages)}


def _definitions(tools: list[dict[str, Any]], names: Mapping[str, int]) -> Iterator[str]:
    if any(count > 1 for count in names.values()):
        yield "tool_name_twice"
    if any(not tool["description"].strip() for tool in tools):
        yield "tool_undescribed"
    if any(not tool["parameters"].get("type") for tool in tools):
        yield "tool_untyped"


def _calls(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = json.loads(message["tool_calls"] or "[]")
    return calls


def _uses(messages: Sequence[Mapping[str, Any]], names: set[str]) -> Iterator[str]:
    for message in messages:
        calls = _calls(message)
        if calls and message["role"] != "assistant":
            yield "tool_place"
        if calls and not names:
            yield "tools_missing"
        elif any(call["name"] not in names for call in calls):
            yield "tool_unknown"


def _results(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    made: set[str] = set()
    answered: set[str] = set()
    for number, message in enumerate(messages):
        if message["role"] == TOOL_ROLE:
            known_as = message["tool_call_id"]
            if known_as not in made:
                yield "tool_result_early"
            elif known_as in answered:
                yield "tool_result_twice"
            answered.add(known_as)
            continue
        # A row may well end with a call: that is what it teaches.
        if made - answered:
            yield "tool_result_missing"
        for call in _calls(message):
            if call["id"] in made:
                yield "tool_id_twice"
            made.add(call["id"])
        if number == len(messages) - 1:
            return
    if made - answered:
        yield "tool_result_missing"
