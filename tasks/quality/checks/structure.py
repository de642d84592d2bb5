"""Checks of a conversation's shape: who speaks when, and what stands where."""

from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc

from configs.quality import Quality
from tasks.quality.checks.flat import Flags, Flat, Ints, as_bools
from tasks.text.rows import TEXT_ROLE, TOOL_ROLE

EXPLANATIONS = {
    "empty": "A message has no text, so there is nothing to learn from or to answer.",
    "alternation": "Turns must go user, assistant, user, ... after an optional system message; a "
    "tool's results stand in the user's place.",
    "first_user": "The first turn after an optional system message is not the user's, so the "
    "answer has no question.",
    "last_assistant": "The last turn is not the assistant's, so the row ends without an answer to "
    "learn.",
    "reasoning_place": "A turn that is not the assistant's holds reasoning.",
    "unknown_fields": "The row has fields that were not used; what they say is not trained on.",
}

_USER, _ASSISTANT, _OTHER = 0, 1, 2


class _Turns(NamedTuple):
    """Messages as turns: ``side`` is user or assistant, ``place`` counts after a system message."""

    side: Ints
    place: Ints
    plain: Flags
    tool: Flags


def empty(flat: Flat, _: Quality) -> Flags:
    """Return rows with a message without text; a call or a tool's result may have none."""
    blank = as_bools(pc.equal(pc.utf8_trim_whitespace(flat.texts), ""), null=True)
    calling = as_bools(pc.is_valid(flat.messages.field("tool_calls")))
    silent: Flags = flat.counts() == 0
    return flat.rows_with(blank & ~calling & ~flat.role(TOOL_ROLE)) | silent


def alternation(flat: Flat, _: Quality) -> Flags:
    """Return rows whose turns do not take turns."""
    turns = _turns(flat)
    after = np.concatenate([[_OTHER], turns.side[:-1]]) if len(turns.side) else turns.side
    after_tool = np.concatenate([[False], turns.tool[:-1]]) if len(turns.tool) else turns.tool
    # What a tool gave back, several times over, and what the user says to it are one turn.
    goes_on = after_tool & (turns.side == _USER)
    again = (turns.place > 0) & (turns.side == after) & ~goes_on
    return flat.rows_with((again | (turns.side == _OTHER)) & (turns.place >= 0)) & ~turns.plain


def first_user(flat: Flat, _: Quality) -> Flags:
    """Return rows whose first turn is not the user's."""
    turns = _turns(flat)
    begun = flat.rows_with((turns.place == 0) & flat.role("user"))
    return ~begun & ~turns.plain


def last_assistant(flat: Flat, _: Quality) -> Flags:
    """Return rows that do not end with the assistant, but for questions to be sampled."""
    ends = np.zeros(flat.rows, dtype=bool)
    filled = flat.counts() > 0
    last = (flat.starts + flat.counts() - 1)[filled]
    ends[filled] = flat.role("assistant")[last]
    asked = as_bools(pc.is_valid(flat.batch.column("reference")))
    return ~ends & ~asked & ~_turns(flat).plain


def reasoning_place(flat: Flat, _: Quality) -> Flags:
    """Return rows with reasoning outside the assistant's turns."""
    thought = as_bools(pc.is_valid(flat.messages.field("reasoning")))
    return flat.rows_with(thought & ~flat.role("assistant"))


def unknown_fields(flat: Flat, _: Quality) -> Flags:
    """Return rows that had fields which were not used."""
    return as_bools(pc.greater(pc.list_value_length(flat.batch.column("extra")), 0))


def _turns(flat: Flat) -> _Turns:
    position = np.arange(len(flat.row)) - flat.starts[flat.row]
    led = np.zeros(flat.rows, dtype=np.int64)
    led[flat.row[(position == 0) & flat.role("system")]] = 1
    tool = flat.role(TOOL_ROLE)
    side = np.full(len(flat.row), _OTHER, dtype=np.int64)
    side[flat.role("user") | tool] = _USER
    side[flat.role("assistant")] = _ASSISTANT
    plain = flat.rows_with(flat.role(TEXT_ROLE)) & (flat.counts() == 1)
    return _Turns(side, position - led[flat.row], plain, tool)
