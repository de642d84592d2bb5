"""Checks of a conversation's shape: who speaks when, and what stands where."""

from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc

from tasks.quality.checks.row_batch import RowBatch
from tasks.quality.checks.texts import Flags, Ints, as_bools
from tasks.text.rows import TEXT_ROLE, TOOL_ROLE

_USER, _ASSISTANT, _OTHER = 0, 1, 2


class _Turns(NamedTuple):
    """Messages as turns: ``side`` is user or assistant, ``place`` counts after a system message."""

    side: Ints
    place: Ints
    plain: Flags
    tool: Flags


def find_empty(batch: RowBatch) -> Flags:
    """Return rows with a message without text; a call or a tool's result may have none."""
    flat = batch.flat
    blank = as_bools(pc.equal(pc.utf8_trim_whitespace(flat.texts), ""), null=True)
    calling = as_bools(pc.is_valid(flat.messages.field("tool_calls")))
    silent: Flags = flat.counts() == 0
    return flat.rows_with(blank & ~calling & ~flat.role(TOOL_ROLE)) | silent


def find_alternation(batch: RowBatch) -> Flags:
    """Return rows whose turns do not take turns."""
    flat, turns = batch.flat, batch.share(_read_turns)
    after = np.concatenate([[_OTHER], turns.side[:-1]]) if len(turns.side) else turns.side
    after_tool = np.concatenate([[False], turns.tool[:-1]]) if len(turns.tool) else turns.tool
    # What a tool gave back, several times over, and what the user says to it are one turn.
    goes_on = after_tool & (turns.side == _USER)
    again = (turns.place > 0) & (turns.side == after) & ~goes_on
    return flat.rows_with((again | (turns.side == _OTHER)) & (turns.place >= 0)) & ~turns.plain


def find_first_user(batch: RowBatch) -> Flags:
    """Return rows whose first turn is not the user's."""
    flat, turns = batch.flat, batch.share(_read_turns)
    begun = flat.rows_with((turns.place == 0) & flat.role("user"))
    return ~begun & ~turns.plain


def find_last_assistant(batch: RowBatch) -> Flags:
    """Return rows that do not end with the assistant, but for questions to be sampled."""
    flat = batch.flat
    ends = np.zeros(flat.rows, dtype=bool)
    filled = flat.counts() > 0
    last = (flat.starts + flat.counts() - 1)[filled]
    ends[filled] = flat.role("assistant")[last]
    asked = as_bools(pc.is_valid(flat.batch.column("reference")))
    return ~ends & ~asked & ~batch.share(_read_turns).plain


def find_reasoning_place(batch: RowBatch) -> Flags | None:
    """Return rows with reasoning outside the assistant's turns."""
    thought = as_bools(pc.is_valid(batch.flat.messages.field("reasoning")))
    return batch.flat.rows_with(thought & ~batch.flat.role("assistant")) if thought.any() else None


def find_unknown_fields(batch: RowBatch) -> Flags | None:
    """Return rows that had fields which were not used."""
    extra = batch.rows.column("extra")
    if extra.null_count == len(extra):
        return None
    return as_bools(pc.greater(pc.list_value_length(extra), 0))


def _read_turns(batch: RowBatch) -> _Turns:
    flat = batch.flat
    position = np.arange(len(flat.row)) - flat.starts[flat.row]
    led = np.zeros(flat.rows, dtype=np.int64)
    led[flat.row[(position == 0) & flat.role("system")]] = 1
    tool = flat.role(TOOL_ROLE)
    side = np.full(len(flat.row), _OTHER, dtype=np.int64)
    side[flat.role("user") | tool] = _USER
    side[flat.role("assistant")] = _ASSISTANT
    plain = flat.rows_with(flat.role(TEXT_ROLE)) & (flat.counts() == 1)
    return _Turns(side, position - led[flat.row], plain, tool)
