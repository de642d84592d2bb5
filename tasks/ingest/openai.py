"""Rows that are conversations already: OpenAI messages and ShareGPT."""

from collections.abc import Mapping
from typing import Any

from tasks.errors import Unusable
from tasks.files.records import Row, parse_json
from tasks.ingest.tool_use import CallIds, dump_json, normalise_call, normalise_tools
from tasks.ingest.values import ConvertedRow, as_objects, find_unused, find_unused_in, to_text
from tasks.text.rows import TOOL_ROLE, Message

MEDIA = ("image", "video", "document", "image_url", "input_image", "audio", "input_audio", "file")


def require_objects(row: Row, name: str) -> list[Mapping[str, Any]]:
    """Return a field that must be a list of objects, and not empty.

    Raises:
        Unusable: It is something else.
    """
    value = as_objects(row.get(name), name)
    if not isinstance(value, list) or not value:
        raise Unusable(f"'{name}' is {'empty' if value in ([], None) else 'not a list'}")
    if not all(isinstance(v, Mapping) for v in value):
        raise Unusable(f"'{name}' holds something that is not an object")
    return value


def read_content(value: Any, place: str) -> str:
    """Return a content as text; the texts of a list of parts stand on a line each.

    Raises:
        Unusable: A part is a picture, a document or something else that is not text.
    """
    if not isinstance(value, list):
        return to_text(value, place)
    return "\n".join(_read_part(part, place) for part in value)


def block_error(kind: str, place: str) -> Unusable:
    """Return the reason for which a part of a content can't be used."""
    if kind in MEDIA:
        return Unusable(f"{place}: a content block is '{kind}': media, and only text is used")
    return Unusable(f"{place}: a content block is '{kind}', and only text is used")


def put_system_first(text: str, messages: list[Message]) -> list[Message]:
    """Return messages led by a system message, unless there is none or they have one."""
    if not text.strip() or (messages and messages[0]["role"] == "system"):
        return messages
    return [{"role": "system", "content": text}, *messages]


def _read_part(part: Any, place: str) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        raise Unusable(f"{place}: a content block is not an object")
    # Parquet gives every block every field of any block, null where it has none.
    given = [str(k) for k, v in part.items() if v is not None and k != "type"]
    kind = str(part.get("type") or "text")
    if given != ["text"] or kind not in ("text", "input_text", "output_text"):
        raise block_error(next((k for k in given if k != "text"), kind), place)
    return to_text(part["text"], place)


_OPENAI_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": TOOL_ROLE,
    "function": TOOL_ROLE,
}
_SHAREGPT_ROLES = {
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
_TRAINED_FIELDS = ("weight", "loss_weight", "train", "trainable", "training", "loss", "loss_mask")
_UNTRAINED_FIELDS = ("mask", "masked", "ignore_loss")
LOSS_FIELDS = (*_TRAINED_FIELDS, *_UNTRAINED_FIELDS)
"""Fields of a message that say whether, or how much, it is trained on; or that it is not."""
_REASONING_FIELDS = ("reasoning", "reasoning_content", "thinking")
_MESSAGE_FIELDS = (
    "role",
    "content",
    "name",
    *LOSS_FIELDS,
    "tool_calls",
    "function_call",
    "tool_call_id",
    *_REASONING_FIELDS,
)
_ROW_FIELDS = ("messages", "tools", "functions")


def convert_messages(row: Row) -> ConvertedRow:
    """Return an OpenAI row, its tools and tool calls included."""
    if _speaks_sharegpt(row.get("messages"), "messages"):
        rest = {name: value for name, value in row.items() if name != "messages"}
        return convert_sharegpt({"conversations": row["messages"], **rest})
    given, calls = require_objects(row, "messages"), CallIds()
    messages = [_convert_message(m, n, calls) for n, m in enumerate(given, start=1)]
    extra = find_unused(row, _ROW_FIELDS) + find_unused_in(given, _MESSAGE_FIELDS, "messages.")
    return ConvertedRow(
        messages,
        tools=normalise_tools(row.get("tools") or row.get("functions")),
        extra=tuple(extra),
    )


def convert_sharegpt(row: Row) -> ConvertedRow:
    """Return a ShareGPT row (``conversations`` of ``from`` and ``value``), function calls too.

    Where its turns have a ``role`` and ``content`` they are read as messages.
    """
    if not _speaks_sharegpt(row.get("conversations"), "conversations"):
        rest = {n: v for n, v in row.items() if n not in ("conversations", "system")}
        made = convert_messages({"messages": row.get("conversations"), **rest})
        system = to_text(row.get("system"), "system")
        return made._replace(messages=put_system_first(system, made.messages))
    given, calls = require_objects(row, "conversations"), CallIds()
    turns = [_convert_sharegpt_turn(m, n, calls) for n, m in enumerate(given, start=1)]
    messages = put_system_first(to_text(row.get("system"), "system"), turns)
    extra = find_unused(row, ("conversations", "tools", "system"))
    extra += find_unused_in(given, ("from", "value", *LOSS_FIELDS), "conversations.")
    return ConvertedRow(messages, tools=normalise_tools(row.get("tools")), extra=tuple(extra))


def _speaks_sharegpt(value: Any, name: str) -> bool:
    turns = as_objects(value, name)
    first = turns[0] if isinstance(turns, list) and turns else None
    return isinstance(first, Mapping) and "role" not in first and "from" in first


def map_role(message: Mapping[str, Any], who: str, roles: Mapping[str, str], place: str) -> str:
    """Return our role for a message's.

    Raises:
        Unusable: It is none of those known.
    """
    role = str(message.get(who))
    if role not in roles:
        raise Unusable(f"{place}: role '{role[:40]}' is none of {', '.join(roles)}")
    return roles[role]


def _convert_message(message: Mapping[str, Any], number: int, calls: CallIds) -> Message:
    place = f"message {number}"
    role = map_role(message, "role", _OPENAI_ROLES, place)
    _refuse_weight(message, role, place)
    made = _read_calls(message, calls, place)
    if "content" not in message and not made:
        raise Unusable(f"{place}: there is no 'content'")
    done: Message = {"role": role, "content": read_content(message.get("content"), place)}
    for name in _REASONING_FIELDS:
        if message.get(name) and "reasoning" not in done:
            done["reasoning"] = to_text(message[name], f"{place}: {name}")
    if made:
        done["tool_calls"] = dump_json(made, place)
    if role == TOOL_ROLE:
        done["tool_call_id"] = calls.answer(message.get("tool_call_id"), message.get("name"))
    return done


def _refuse_weight(message: Mapping[str, Any], role: str, place: str) -> None:
    """Refuse an answer that its author wants left out, or counted in part.

    Every answer of a row is trained on in full. What other roles say is not, so that their own
    marks change nothing.
    """
    if role != "assistant":
        return
    for name in LOSS_FIELDS:
        value = message.get(name)
        if isinstance(value, str):
            value = {"true": True, "false": False}.get(value.strip().lower(), value)
        wanted = (False, 0) if name in _UNTRAINED_FIELDS else (True, 1)
        if value is not None and value not in wanted:
            raise Unusable(
                f"{place}: '{name}' is {value!r:.40}, and every answer of a row is trained on in "
                "full; end the row before that answer, or take the mark out"
            )


def _read_calls(message: Mapping[str, Any], calls: CallIds, place: str) -> list[dict[str, Any]]:
    given = message.get("tool_calls") or []
    if message.get("function_call"):
        given = [{"function": message["function_call"]}]
    if isinstance(given, str):
        given = _parse_call(given, place)
    if not isinstance(given, list):
        raise Unusable(f"{place}: 'tool_calls' is not a list")
    return [_convert_call(call, calls, place) for call in given]


def _convert_call(call: Any, calls: CallIds, place: str) -> dict[str, Any]:
    what = call.get("function") or call if isinstance(call, Mapping) else None
    if not isinstance(what, Mapping):
        raise Unusable(f"{place}: a tool call is not an object")
    call_id = calls.add(what.get("name"), call.get("id"))
    return normalise_call(what.get("name"), what.get("arguments"), call_id, place)


def _convert_sharegpt_turn(message: Mapping[str, Any], number: int, calls: CallIds) -> Message:
    place = f"message {number}"
    role = map_role(message, "from", _SHAREGPT_ROLES, place)
    _refuse_weight(message, role, place)
    if "value" not in message:
        raise Unusable(f"{place}: there is no 'value'")
    if message.get("from") == "function_call":
        made = _read_sharegpt_calls(message["value"], calls, place)
        return {"role": role, "content": "", "tool_calls": dump_json(made, place)}
    done: Message = {"role": role, "content": read_content(message["value"], place)}
    if role == TOOL_ROLE:
        done["tool_call_id"] = calls.answer(None)
    return done


def _read_sharegpt_calls(value: Any, calls: CallIds, place: str) -> list[dict[str, Any]]:
    found = _parse_call(value, place) if isinstance(value, str) else value
    several = found if isinstance(found, list) else [found]
    if not several:
        raise Unusable(f"{place}: a function call is empty")
    return [_convert_call(call, calls, place) for call in several]


def _parse_call(text: str, place: str) -> Any:
    try:
        return parse_json(text)
    except ValueError as error:
        raise Unusable(f"{place}: a tool call is not JSON: {error}") from error
