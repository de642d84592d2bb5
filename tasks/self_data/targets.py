"""Which answers of chat rows can be said in other words, and what the base is asked for each."""

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from tasks.models.api import Prompt
from tasks.text.normal import normal
from tasks.text.rows import ChatRow, Message, given

LABEL = "the target is a label"
TOOLS = "the target or its conversation has tools or reasoning"
NO_WORDS = "the target has no words"
NO_QUESTION = "no user's message comes right before the target"


class Target(NamedTuple):
    """An assistant's turn that may be rewritten.

    Attributes:
        row: The row's place.
        turn: The turn's place in the row.
        text: What it says.
        label: The row's label, where labels are classes and this is the row's last turn.
        kept: Why it isn't asked for; None where it is.
    """

    row: int
    turn: int
    text: str
    label: str | None
    kept: str | None


def find_targets(rows: Sequence[ChatRow], labels: Collection[str]) -> list[Target]:
    """Return every assistant's turn of the rows, in their order.

    Args:
        rows: Chat rows.
        labels: The source's classes; empty where its labels are no classes.
    """
    return [
        _make_target(i, turn, row, labels)
        for i, row in enumerate(rows)
        for turn, message in enumerate(row["messages"])
        if message["role"] == "assistant"
    ]


def _make_target(place: int, turn: int, row: ChatRow, labels: Collection[str]) -> Target:
    message, last = row["messages"][turn], turn == len(row["messages"]) - 1
    label = row["label"] if last and row["label"] in labels else None
    kept = None
    if row.get("tools") or any(set(given(m)) > {"role", "content"} for m in row["messages"]):
        kept = TOOLS
    elif turn == 0 or row["messages"][turn - 1]["role"] != "user":
        kept = NO_QUESTION
    elif not normal(message["content"]):
        kept = NO_WORDS
    elif label is not None and normal(label) == normal(message["content"]):
        kept = LABEL
    return Target(place, turn, message["content"], label, kept)


def build_prompt(row: ChatRow, target: Target, template: str) -> Prompt:
    """Return what the base is asked: the conversation, its last message filled into the template.

    Args:
        row: The target's.
        target: One that is asked for.
        template: With ``{prompt}`` and ``{answer}``.
    """
    before: list[Message] = [given(m) for m in row["messages"][: target.turn]]
    filled = {"{prompt}": before[-1]["content"], "{answer}": target.text}
    # In one pass: a prompt may have "{answer}" in it.
    content = re.sub(r"\{prompt\}|\{answer\}", lambda found: filled[found.group()], template)
    return Prompt([*before[:-1], Message(role="user", content=content)])
