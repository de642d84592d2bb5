"""Messages and tools in the shape that chat templates take, and what a template left out."""

import json
from collections.abc import Sequence
from typing import Any

from tasks.text.rows import Message

Turn = dict[str, Any]
"""A message, or a tool, as ``apply_chat_template`` of transformers takes it."""


def as_turns(messages: Sequence[Message]) -> list[Turn]:
    """Return messages for a template; unset fields are absent, since templates ask for presence."""
    return [_turn(message) for message in messages]


def as_offered(tools: str | None) -> list[Turn] | None:
    """Return a row's tools for a template, or None where there are none."""
    if tools is None:
        return None
    return [{"type": "function", "function": tool} for tool in json.loads(tools)]


def left_out(messages: Sequence[Message], tools: str | None, text: str) -> str | None:
    """Return what a template did not write, in words; None where all of it is there.

    A template that knows no tools passes over them without a word. Names are looked for, since
    every template spells the rest its own way. Reasoning may rightly be dropped from earlier
    turns, so that only the last turn's has to be there.
    """
    offered = [tool["name"] for tool in json.loads(tools)] if tools else []
    if any(name not in text for name in offered):
        return "the tools of a row"
    used = [c["name"] for m in messages for c in json.loads(m.get("tool_calls") or "[]")]
    if any(text.count(name) < used.count(name) + offered.count(name) for name in set(used)):
        return "an assistant's tool calls"
    reasoning = (messages[-1].get("reasoning") or "").strip()
    return "an assistant's reasoning" if reasoning not in text else None


def _turn(message: Message) -> Turn:
    turn: Turn = {"role": message["role"], "content": message["content"]}
    if message.get("reasoning"):
        turn["reasoning_content"] = message["reasoning"]
    if message.get("tool_call_id"):
        turn["tool_call_id"] = message["tool_call_id"]
    calls = json.loads(message.get("tool_calls") or "[]")
    if calls:
        turn["tool_calls"] = [_call(call) for call in calls]
    return turn


def _call(call: Turn) -> Turn:
    function = {"name": call["name"], "arguments": call["arguments"]}
    return {"id": call["id"], "type": "function", "function": function}
