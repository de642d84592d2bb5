"""Messages and tools in the shape that chat templates take."""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from tasks.text.rows import Message

Turn = dict[str, Any]
"""A message, or a tool, as ``apply_chat_template`` of transformers takes it."""

_FITTING_ID = re.compile(r"[A-Za-z0-9]{9}")
_ID_SIGNS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Dialect(NamedTuple):
    """How a template wants to be given tool calls; found by trying.

    Attributes:
        text_arguments: Arguments are handed over as JSON text, since it joins them to text.
        short_ids: Ids have nine letters and digits, since it refuses others (Mistral).
        bare_calls: A call without words has no ``content`` at all, since it would drop the call.
    """

    text_arguments: bool = False
    short_ids: bool = False
    bare_calls: bool = False


PLAIN = Dialect()


def as_turns(messages: Sequence[Message], dialect: Dialect = PLAIN) -> list[Turn]:
    """Return messages for a template; unset fields are absent, since templates ask for presence.

    A system message that says nothing is left out.
    """
    return [
        _make_turn(m, dialect) for m in messages if m["role"] != "system" or m["content"].strip()
    ]


def as_offered(tools: str | None) -> list[Turn] | None:
    """Return a row's tools for a template, or None where there are none."""
    if tools is None:
        return None
    return [{"type": "function", "function": tool} for tool in json.loads(tools)]


def _make_turn(message: Message, dialect: Dialect) -> Turn:
    turn: Turn = {"role": message["role"], "content": message["content"]}
    if message.get("reasoning"):
        turn["reasoning_content"] = message["reasoning"]
    if message.get("tool_call_id"):
        turn["tool_call_id"] = _fit_id(str(message["tool_call_id"]), dialect)
    calls = json.loads(message.get("tool_calls") or "[]")
    if calls:
        turn["tool_calls"] = [_make_call(call, dialect) for call in calls]
        if dialect.bare_calls and not message["content"]:
            del turn["content"]
    return turn


def _make_call(call: Turn, dialect: Dialect) -> Turn:
    arguments = call["arguments"]
    if dialect.text_arguments and not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    function = {"name": call["name"], "arguments": arguments}
    return {"id": _fit_id(call["id"], dialect), "type": "function", "function": function}


def _fit_id(given: str, dialect: Dialect) -> str:
    """Return an id that the template takes, the same for the same one."""
    if not dialect.short_ids or _FITTING_ID.fullmatch(given):
        return given
    number = int.from_bytes(hashlib.sha256(given.encode()).digest()[:8])
    return "".join(_ID_SIGNS[number // 36**place % 36] for place in range(9))
