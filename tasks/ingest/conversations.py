"""Rows that are conversations already: OpenAI messages, Bedrock Converse, ShareGPT."""

from collections.abc import Mapping
from typing import Any

from tasks.ingest.problems import Unusable
from tasks.ingest.values import Row, as_text
from tasks.text.rows import Message

_OPENAI = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_CONVERSE = {"user": "user", "assistant": "assistant"}
_SHAREGPT = {
    "human": "user", "user": "user", "gpt": "assistant", "chatgpt": "assistant",
    "assistant": "assistant", "bot": "assistant", "system": "system",
}  # fmt: skip
CONVERSE_VERSION = "bedrock-conversation-2024"


def from_messages(row: Row) -> list[Message]:
    """Return the messages of an OpenAI row; content is a text or a list of text parts."""
    _refuse(row, "tools", "functions")
    messages = _objects(row, "messages")
    for number, message in enumerate(messages, start=1):
        _refuse(message, "tool_calls", "function_call", place=f"message {number}: ")
        if message.get("weight") == 0:
            raise Unusable(f"message {number}: a weight of 0 can't be honoured")
    return [_message(m, n, "role", "content", _OPENAI) for n, m in enumerate(messages, start=1)]


def from_converse(row: Row) -> list[Message]:
    """Return the messages of a Bedrock Converse row, its system texts first."""
    version = row.get("schemaVersion")
    if version not in (None, CONVERSE_VERSION):
        raise Unusable(f"schemaVersion is '{version}', not '{CONVERSE_VERSION}'")
    _refuse(row, "toolConfig")
    system = _content(row.get("system"), "system")
    start: list[Message] = [{"role": "system", "content": system}] if system.strip() else []
    turns = enumerate(_objects(row, "messages"), start=1)
    return start + [_message(m, n, "role", "content", _CONVERSE) for n, m in turns]


def from_sharegpt(row: Row) -> list[Message]:
    """Return the messages of a ShareGPT row (``conversations`` of ``from`` and ``value``)."""
    turns = enumerate(_objects(row, "conversations"), start=1)
    return [_message(m, n, "from", "value", _SHAREGPT) for n, m in turns]


def _objects(row: Row, name: str) -> list[Mapping[str, Any]]:
    value = row.get(name)
    if not isinstance(value, list) or not value:
        raise Unusable(f"'{name}' is {'empty' if value in ([], None) else 'not a list'}")
    if not all(isinstance(v, Mapping) for v in value):
        raise Unusable(f"'{name}' holds something that is not an object")
    return value


def _message(
    message: Mapping[str, Any], number: int, who: str, what: str, roles: Mapping[str, str]
) -> Message:
    role = str(message.get(who))
    if role not in roles:
        raise Unusable(f"message {number}: role '{role}' is none of {', '.join(roles)}")
    if what not in message:
        raise Unusable(f"message {number}: there is no '{what}'")
    return {"role": roles[role], "content": _content(message[what], f"message {number}")}


def _content(value: Any, place: str) -> str:
    if not isinstance(value, list):
        return as_text(value, place)
    return "\n".join(_block(block, place) for block in value)


def _block(block: Any, place: str) -> str:
    if isinstance(block, str):
        return block
    if not isinstance(block, Mapping):
        raise Unusable(f"{place}: a content block is not an object")
    # Parquet gives every block every field of any block, null where it has none.
    given = [k for k, v in block.items() if v is not None and k != "type"]
    kind = block.get("type") or "text"
    if given != ["text"] or kind not in ("text", "input_text", "output_text"):
        other = next((k for k in given if k != "text"), kind)
        raise Unusable(f"{place}: a content block is '{other}', and only text is used")
    return as_text(block["text"], place)


def _refuse(row: Mapping[str, Any], *names: str, place: str = "") -> None:
    for name in names:
        if row.get(name):
            raise Unusable(f"{place}it has '{name}', which is not trained on")
