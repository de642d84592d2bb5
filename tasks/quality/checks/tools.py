"""Checks of what stands beside the talk: tools and their use, preference pairs, references."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow.compute as pc

from tasks.quality.checks.row_batch import CheckContext, RowBatch
from tasks.quality.checks.texts import Flags, Ints, as_bools
from tasks.text.rows import TOOL_ROLE

_NOTHING = r'^\s*(null|\{\}|\[\]|"(\s|\\[nrtbf])*")\s*$'


def find_pair_equal(batch: RowBatch) -> Flags | None:
    """Return the pairs whose two answers say the same."""
    pairs = batch.share(_read_pairs)
    return None if pairs is None else pairs.equal


def find_pair_empty(batch: RowBatch) -> Flags | None:
    """Return the pairs of which an answer has neither text nor a call."""
    pairs = batch.share(_read_pairs)
    return None if pairs is None else pairs.empty


def find_pair_no_prompt(batch: RowBatch) -> Flags | None:
    """Return the pairs without a question."""
    pairs = batch.share(_read_pairs)
    return None if pairs is None else pairs.no_prompt


class _Pairs(NamedTuple):
    """Which rows of a batch are pairs with a fault."""

    equal: Flags
    empty: Flags
    no_prompt: Flags


def _read_pairs(batch: RowBatch) -> _Pairs | None:
    rejected, flat = batch.rows.column("rejected"), batch.flat
    if rejected.null_count == len(rejected):
        return None
    pairs = as_bools(pc.is_valid(rejected))
    chosen = flat.messages.take(_last_messages(batch))
    equal, blank = pairs.copy(), [np.ones(flat.rows, dtype=bool)] * 2
    for name in ("content", "reasoning", "tool_calls"):
        sides = [
            pc.fill_null(pc.utf8_trim_whitespace(pc.struct_field(side, name)), "")
            for side in (chosen, rejected)
        ]
        equal &= as_bools(pc.equal(*sides))
        if name != "reasoning":
            blank = [b & as_bools(pc.equal(s, "")) for b, s in zip(blank, sides, strict=True)]
    silent = as_bools(pc.equal(pc.utf8_trim_whitespace(flat.texts), ""), null=True)
    asked = flat.rows_with(flat.role("user") & ~silent)
    return _Pairs(equal, pairs & (blank[0] | blank[1]), pairs & ~asked)


def find_reference_missing(batch: RowBatch) -> Flags | None:
    """Return the questions without a reference answer, where one is needed.

    It is where the target asks for one, or any other question of the source has one.
    """
    reference = batch.rows.column("reference")
    if reference.null_count == len(reference):
        return None
    missing = as_bools(pc.match_substring_regex(reference, _NOTHING))
    return as_bools(pc.is_valid(reference)) & missing & batch.context.share(_needs_reference)


def find_reference_answered(batch: RowBatch) -> Flags | None:
    """Return the questions that end with an answer."""
    reference = batch.rows.column("reference")
    if reference.null_count == len(reference):
        return None
    ends = batch.flat.role("assistant")[np.asarray(_last_messages(batch), dtype=np.int64)]
    return as_bools(pc.is_valid(reference)) & ends


def _needs_reference(context: CheckContext) -> bool:
    given = pc.invert(pc.match_substring_regex(context.table["reference"], _NOTHING))
    return context.quality.target.endswith("-rft") or bool(pc.any(given).as_py())


def _last_messages(batch: RowBatch) -> Ints:
    # A row without messages (found by another check) takes any.
    flat = batch.flat
    places: Ints = np.clip(flat.starts + flat.counts() - 1, 0, max(len(flat.row) - 1, 0))
    return places


def tool_fault(name: str) -> Callable[[RowBatch], Flags | None]:
    """Return the check that finds the rows with one fault of tool use."""

    def find(batch: RowBatch) -> Flags | None:
        faults = batch.share(_read_tool_faults)
        return None if faults is None else faults.get(name, batch.nothing())

    return find


def _read_tool_faults(batch: RowBatch) -> dict[str, Flags] | None:
    """Return fault -> the rows that have it; rows without tools cost nothing."""
    flat = batch.flat
    touched = flat.rows_with(
        as_bools(pc.is_valid(flat.messages.field("tool_calls"))) | flat.role(TOOL_ROLE)
    ) | as_bools(pc.is_valid(batch.rows.column("tools")))
    if not touched.any():
        return None
    found: dict[str, Flags] = {}
    rows = np.flatnonzero(touched)
    chosen = batch.rows.select(["messages", "tools"]).take(rows)
    for place, row in zip(rows, chosen.to_pylist(), strict=True):
        for name in find_row_faults(row["messages"], row["tools"]):
            found.setdefault(name, batch.nothing())[place] = True
    return found


def find_row_faults(messages: Sequence[Mapping[str, Any]], tools: str | None) -> set[str]:
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
