"""Whether a chat template wrote all that a conversation says: many pass over what they don't know.

Two looks: whether messages of this shape are written at all, tried once with words that stand
nowhere else; and whether this row's own words stand in what was written.
"""

import json
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from tasks.errors import RenderingError
from tasks.text.reasoning import split_reasoning
from tasks.text.rows import TOOL_ROLE, Message
from tasks.text.template import ChatTemplate

_KINDS = {
    "system": "a system message",
    "user": "a user's message",
    "assistant": "an assistant's message",
    TOOL_ROLE: "what a tool gave back",
}
_CALLS, _TOOLS, _REASONING = (
    "an assistant's tool calls",
    "the tools of a row",
    "an assistant's reasoning",
)


def find_missing(
    template: ChatTemplate, messages: Sequence[Message], tools: str | None, text: str
) -> str | None:
    """Return what a template did not write, in words; None where all of it is there.

    Reasoning may rightly be dropped from earlier turns, so it is not looked for here.

    Args:
        template: What wrote it.
        messages: The conversation.
        tools: The row's, as JSON text.
        text: What was written.
    """
    return find_lost_words(messages, tools, text) or _find_lost_shape(template, messages, tools)


def lacks_reasoning(message: Message, text: str) -> bool:
    """Return whether an answer has a thought that was not written."""
    return (message.get("reasoning") or "").strip() not in text


def refuse_missing(template: ChatTemplate, missing: str | None) -> None:
    """Raise what says that a template left something out.

    Raises:
        RenderingError: ``missing`` says what.
    """
    if missing:
        raise RenderingError(
            f"the chat template leaves out {missing}, so the model would not see it.",
            where=template.where,
            fix="leave such rows out, or use a model whose template writes them.",
        )


def find_lost_words(messages: Sequence[Message], tools: str | None, text: str) -> str | None:
    """Return what of messages and tools doesn't stand in a text, in words; None where all does."""
    offered = [tool["name"] for tool in json.loads(tools)] if tools else []
    if any(name not in text for name in offered):
        return _TOOLS
    used = [c["name"] for m in messages for c in json.loads(m.get("tool_calls") or "[]")]
    if any(text.count(name) < used.count(name) + offered.count(name) for name in set(used)):
        return _CALLS
    for message in messages:
        # What a tool gave back may be written as a value of JSON, in any form.
        if message["role"] != TOOL_ROLE and not _has_words(message, text):
            return _KINDS.get(message["role"], "a message")
    return None


def _has_words(message: Message, text: str) -> bool:
    content = message["content"].strip()
    if content in text or json.dumps(content, ensure_ascii=False)[1:-1] in text:
        return True
    # A thought inside an answer's own words may be dropped from earlier turns.
    said = split_reasoning(content)[1] if message["role"] == "assistant" else content
    return said.strip() in text


Shape = tuple[object, ...]
_TRIED: WeakKeyDictionary[ChatTemplate, dict[Shape, str | None]] = WeakKeyDictionary()


def _find_lost_shape(
    template: ChatTemplate, messages: Sequence[Message], tools: str | None
) -> str | None:
    """Return what a template leaves out of conversations of this shape, tried once for each."""
    tried = _TRIED.setdefault(template, {})
    shape: Shape = (
        bool(tools),
        *((m["role"], bool(m["content"].strip()), bool(m.get("tool_calls"))) for m in messages),
    )
    if shape not in tried:
        tried[shape] = _try_shape(template, messages, tools)
    return tried[shape]


def _try_shape(
    template: ChatTemplate, messages: Sequence[Message], tools: str | None
) -> str | None:
    marked = [
        Message(**{**m, "content": f"zqword{i}zq"}) if m["content"].strip() else m
        for i, m in enumerate(messages)
    ]
    last = messages[-1]["role"] == "assistant"
    try:
        text = template.write(marked, tools, answer_next=not last)
    except RenderingError:
        # It takes the row and not these words, whatever the reason: nothing is known of the shape.
        return None
    for i, message in enumerate(messages):
        if message["content"].strip() and f"zqword{i}zq" not in text:
            return _KINDS.get(message["role"], "a message")
    return None
