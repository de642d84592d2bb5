"""Rows that are conversations already: OpenAI messages and ShareGPT."""

from collections.abc import Mapping
from typing import Any

from tasks.errors import Unusable
from tasks.ingest.fields import Fields, unused, unused_in
from tasks.ingest.strict_json import loads
from tasks.ingest.tool_use import Calls, as_json, call_of, tools_of
from tasks.ingest.turns import content_of, objects, system_first
from tasks.ingest.values import Row, as_text
from tasks.text.rows import TOOL_ROLE, Message

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": TOOL_ROLE,
    "function": TOOL_ROLE,
}
_SHAREGPT = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "assistant": "assistant",
    "bot": "assistant",
    "system": "system",
    "function_call": "assistant",
    "observation": TOOL_ROLE,
    "function_response": TOOL_ROLE,
    "tool": TOOL_ROLE,
}
_REASONING = ("reasoning", "reasoning_content", "thinking")
_MESSAGE = (
    "role",
    "content",
    "name",
    "weight",
    "tool_calls",
    "function_call",
    "tool_call_id",
    *_REASONING,
)
_ROW = ("messages", "tools", "functions")


def from_messages(row: Row) -> Fields:
    """Return an OpenAI row, its tools and tool calls included."""
    given, calls = objects(row, "messages"), Calls()
    messages = [_message(m, n, calls) for n, m in enumerate(given, start=1)]
    extra = unused(row, _ROW) + unused_in(given, _MESSAGE, "messages.")
    return Fields(
        messages, tools=tools_of(row.get("tools") or row.get("functions")), extra=tuple(extra)
    )


def from_sharegpt(row: Row) -> Fields:
    """Return a ShareGPT row (``conversations`` of ``from`` and ``value``), function calls too."""
    given, calls = objects(row, "conversations"), Calls()
    turns = [_turn(m, n, calls) for n, m in enumerate(given, start=1)]
    messages = system_first(as_text(row.get("system"), "system"), turns)
    extra = unused(row, ("conversations", "tools", "system"))
    extra += unused_in(given, ("from", "value", "weight"), "conversations.")
    return Fields(messages, tools=tools_of(row.get("tools")), extra=tuple(extra))


def role_of(message: Mapping[str, Any], who: str, roles: Mapping[str, str], place: str) -> str:
    """Return our role for a message's.

    Raises:
        Unusable: It is none of those known.
    """
    role = str(message.get(who))
    if role not in roles:
        raise Unusable(f"{place}: role '{role[:40]}' is none of {', '.join(roles)}")
    return roles[role]


def _message(message: Mapping[str, Any], number: int, calls: Calls) -> Message:
    place = f"message {number}"
    role = role_of(message, "role", _ROLES, place)
    _refuse_weight(message, place)
    made = _calls(message, calls, place)
    if "content" not in message and not made:
        raise Unusable(f"{place}: there is no 'content'")
    done: Message = {"role": role, "content": content_of(message.get("content"), place)}
    for name in _REASONING:
        if message.get(name) and "reasoning" not in done:
            done["reasoning"] = as_text(message[name], f"{place}: {name}")
    if made:
        done["tool_calls"] = as_json(made, place)
    if role == TOOL_ROLE:
        done["tool_call_id"] = calls.answer(message.get("tool_call_id"), message.get("name"))
    return done


def _refuse_weight(message: Mapping[str, Any], place: str) -> None:
    if message.get("weight") == 0:
        raise Unusable(f"{place}: a weight of 0 can't be honoured")


def _calls(message: Mapping[str, Any], calls: Calls, place: str) -> list[dict[str, Any]]:
    given = message.get("tool_calls") or []
    if message.get("function_call"):
        given = [{"function": message["function_call"]}]
    if isinstance(given, str):
        given = _loaded(given, place)
    if not isinstance(given, list):
        raise Unusable(f"{place}: 'tool_calls' is not a list")
    return [_call(call, calls, place) for call in given]


def _call(call: Any, calls: Calls, place: str) -> dict[str, Any]:
    what = call.get("function") or call if isinstance(call, Mapping) else None
    if not isinstance(what, Mapping):
        raise Unusable(f"{place}: a tool call is not an object")
    known_as = calls.add(what.get("name"), call.get("id"))
    return call_of(what.get("name"), what.get("arguments"), known_as, place)


def _turn(message: Mapping[str, Any], number: int, calls: Calls) -> Message:
    place = f"message {number}"
    role = role_of(message, "from", _SHAREGPT, place)
    _refuse_weight(message, place)
    if "value" not in message:
        raise Unusable(f"{place}: there is no 'value'")
    if message.get("from") == "function_call":
        made = _sharegpt_calls(message["value"], calls, place)
        return {"role": role, "content": "", "tool_calls": as_json(made, place)}
    done: Message = {"role": role, "content": content_of(message["value"], place)}
    if role == TOOL_ROLE:
        done["tool_call_id"] = calls.answer(None)
    return done


def _sharegpt_calls(value: Any, calls: Calls, place: str) -> list[dict[str, Any]]:
    found = _loaded(value, place) if isinstance(value, str) else value
    several = found if isinstance(found, list) else [found]
    if not several:
        raise Unusable(f"{place}: a function call is empty")
    return [_call(call, calls, place) for call in several]


def _loaded(text: str, place: str) -> Any:
    try:
        return loads(text)
    except ValueError as error:
        raise Unusable(f"{place}: a tool call is not JSON: {error}") from error
