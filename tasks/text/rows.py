"""The one internal chat row, and its identity."""

import hashlib
import json
from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pyarrow as pa

TEXT_ROLE = "text"
"""Role of the single message of a plain-text row: rendered raw, every token supervised."""


class Message(TypedDict):
    """One turn: role (system, user, assistant or text) and its text."""

    role: str
    content: str


class ChatRow(TypedDict):
    """A training or test row as every stage knows it.

    ``split`` is set when the source's own files say so, ``origin`` names file and row, ``time`` is
    in seconds (or any number that grows) where rows are divided by it.
    """

    row_id: str
    messages: list[Message]
    label: str | None
    group: str | None
    split: str | None
    origin: str
    time: NotRequired[float | None]


ROW_SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field(
            "messages",
            pa.list_(pa.struct([pa.field("role", pa.string()), pa.field("content", pa.string())])),
        ),
        pa.field("label", pa.string()),
        pa.field("group", pa.string()),
        pa.field("split", pa.string()),
        pa.field("origin", pa.string()),
        pa.field("time", pa.float64()),
    ]
)


def row_id(messages: Sequence[Message]) -> str:
    """Return the identity of a row: 128 bits of SHA-256 over its canonical messages, in hex."""
    pairs = [[m["role"], m["content"]] for m in messages]
    text = json.dumps(pairs, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def full_text(messages: Sequence[Message]) -> str:
    """Return all texts of a row, a line each."""
    return "\n".join(m["content"] for m in messages)


def prompt_text(messages: Sequence[Message]) -> str:
    """Return the texts a model is given (all but a last assistant turn), a line each."""
    given = messages[:-1] if messages and messages[-1]["role"] == "assistant" else messages
    return full_text([m for m in given if m["role"] != "system"])
