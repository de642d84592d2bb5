"""The one internal chat row, and its identity."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pyarrow as pa

TEXT_ROLE = "text"
"""Role of the single message of a plain-text row: rendered raw, every token supervised."""

TOOL_ROLE = "tool"
"""Role of a message that holds what a tool gave back."""


class Message(TypedDict):
    """One turn.

    ``role`` is system, user, assistant, tool or text. ``reasoning`` is what was thought before the
    content; ``tool_calls`` is the JSON text of a list of ``{id, name, arguments}``;
    ``tool_call_id`` names the call that a tool's message answers. Unset ones are absent or None.
    """

    role: str
    content: str
    reasoning: NotRequired[str | None]
    tool_calls: NotRequired[str | None]
    tool_call_id: NotRequired[str | None]


class ChatRow(TypedDict):
    """A training or test row as every stage knows it.

    ``split`` is set when the source's own files say so, ``origin`` names file and row. ``tools`` is
    the JSON text of a list of ``{name, description, parameters}``. ``rejected`` makes the row a
    pair: the answer that is worse than the last message. ``reference`` makes it a question to be
    answered by sampling: the JSON text of the reference answer or of what the grader is given
    (``null`` where there is neither). ``extra`` names the fields that were read and not used.
    ``time`` is in seconds (or any number that grows) where rows are divided by it.
    """

    row_id: str
    messages: list[Message]
    label: str | None
    group: str | None
    split: str | None
    origin: str
    tools: NotRequired[str | None]
    rejected: NotRequired[Message | None]
    reference: NotRequired[str | None]
    extra: NotRequired[list[str] | None]
    time: NotRequired[float | None]


_MESSAGE = pa.struct(
    [
        pa.field(name, pa.string())
        for name in ("role", "content", "reasoning", "tool_calls", "tool_call_id")
    ]
)
_OPTIONAL = ("reasoning", "tool_calls", "tool_call_id")

ROW_SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("messages", pa.list_(_MESSAGE)),
        pa.field("tools", pa.string()),
        pa.field("rejected", _MESSAGE),
        pa.field("reference", pa.string()),
        pa.field("label", pa.string()),
        pa.field("group", pa.string()),
        pa.field("split", pa.string()),
        pa.field("origin", pa.string()),
        pa.field("extra", pa.list_(pa.string())),
        pa.field("time", pa.float64()),
    ]
)

QUARANTINE_SCHEMA = pa.schema(
    [
        *(field.with_nullable(True) for field in ROW_SCHEMA),
        pa.field("reasons", pa.list_(pa.string())),
        pa.field("raw", pa.string()),
        pa.field("detail", pa.string()),
    ]
)
"""Chat rows that were set aside: what found them, and in ``detail`` what was found or which row
stays. Rows that could not be read have ``raw`` instead of messages."""


def row_id(
    messages: Sequence[Message],
    tools: str | None = None,
    rejected: Message | None = None,
    reference: str | None = None,
) -> str:
    """Return the identity of a row: 128 bits of SHA-256 over its canonical content, in hex.

    What is not set has no part in it, so that a plain row's identity is that of its roles and
    texts alone.
    """
    parts: list[Any] = [_identity(m) for m in messages]
    pair = None if rejected is None else _identity(rejected)
    more = {"tools": tools, "rejected": pair, "reference": reference}
    given = {name: value for name, value in more.items() if value is not None}
    text = json.dumps(
        [*parts, given] if given else parts, ensure_ascii=False, separators=(",", ":")
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _identity(message: Message) -> list[Any]:
    more = {name: message[name] for name in _OPTIONAL if message.get(name) is not None}  # type: ignore[literal-required]
    return [message["role"], message["content"], *([more] if more else [])]


def compact(value: object) -> str:
    """Return a value as the JSON text that rows keep: no spaces, no escapes, keys as they came.

    The order of keys stays, because a chat template writes arguments and schemas in it.

    Raises:
        ValueError: It holds a number that JSON has not (infinity).
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def given(message: Message) -> Message:
    """Return a message without the fields that are not set."""
    kept = {name: value for name, value in message.items() if value is not None}
    return kept  # type: ignore[return-value]


def is_plain(row: Mapping[str, Any]) -> bool:
    """Return whether a row is texts alone: no tools, no reasoning, no pair, no reference."""
    if any(row.get(name) is not None for name in ("tools", "rejected", "reference")):
        return False
    return not any(m.get(name) for m in row["messages"] for name in _OPTIONAL)


def message_text(message: Message) -> str:
    """Return all that a message says: reasoning, content and tool calls, a line each."""
    reasoning, calls = message.get("reasoning"), message.get("tool_calls")
    if not reasoning and not calls:
        return message["content"]
    return "\n".join(text for text in (reasoning, message["content"], calls) if text)


def full_text(messages: Sequence[Message]) -> str:
    """Return all texts of a row, a line each."""
    return "\n".join(message_text(m) for m in messages)


def prompt_text(messages: Sequence[Message]) -> str:
    """Return the texts a model is given (all but a last assistant turn), a line each."""
    asked = messages[:-1] if messages and messages[-1]["role"] == "assistant" else messages
    return full_text([m for m in asked if m["role"] != "system"])
