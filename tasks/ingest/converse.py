"""Rows in the shape of Bedrock's Converse API, as its fine-tuning takes them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tasks.errors import Unusable
from tasks.ingest.conversations import role_of
from tasks.ingest.fields import Fields, unused, unused_in
from tasks.ingest.tool_use import as_json, call_of, tools_of
from tasks.ingest.turns import content_of, objects, refuse_block, system_first
from tasks.ingest.values import Row, as_text
from tasks.text.rows import TOOL_ROLE, Message

CONVERSE_VERSION = "bedrock-conversation-2024"
_ROLES = {"user": "user", "assistant": "assistant"}
_ROW = ("schemaVersion", "system", "messages", "toolConfig")


class _Said(NamedTuple):
    """The blocks of one message, by kind."""

    texts: list[str]
    reasoning: list[str]
    calls: list[dict[str, Any]]
    results: list[Message]


def from_converse(row: Row) -> Fields:
    """Return a Converse row: its system texts first, a tool's results as messages of their own."""
    version = row.get("schemaVersion")
    if version not in (None, CONVERSE_VERSION):
        raise Unusable(f"schemaVersion is '{str(version)[:60]}', not '{CONVERSE_VERSION}'")
    given = objects(row, "messages")
    turns = [m for n, g in enumerate(given, start=1) for m in _turns(g, f"message {n}")]
    messages = system_first(content_of(row.get("system"), "system"), turns)
    config = row.get("toolConfig") or {}
    if not isinstance(config, Mapping):
        raise Unusable("'toolConfig' is not an object")
    extra = (
        *unused(row, _ROW),
        *unused(config, ("tools",), "toolConfig."),
        *unused_in(given, ("role", "content"), "messages."),
    )
    return Fields(messages, tools=tools_of(config.get("tools")), extra=extra)


def _turns(message: Mapping[str, Any], place: str) -> list[Message]:
    role = role_of(message, "role", _ROLES, place)
    if "content" not in message:
        raise Unusable(f"{place}: there is no 'content'")
    content = message["content"]
    said = _Said([], [], [], [])
    for block in content if isinstance(content, list) else [content]:
        _take(block, said, place)
    if said.results and role == "assistant":
        raise Unusable(f"{place}: a 'toolResult' is in an assistant's turn")
    # Results without a word beside them are the whole turn.
    alone = said.results and not (said.texts or said.calls or said.reasoning)
    return [*said.results, *([] if alone else [_spoken(role, said, place)])]


def _spoken(role: str, said: _Said, place: str) -> Message:
    done: Message = {"role": role, "content": "\n".join(said.texts)}
    if said.reasoning:
        done["reasoning"] = "\n".join(said.reasoning)
    if said.calls:
        done["tool_calls"] = as_json(said.calls, place)
    return done


def _take(block: Any, said: _Said, place: str) -> None:
    if isinstance(block, str) or block is None:
        said.texts.append(block or "")
        return
    kind, value = _kind(block, place)
    if kind == "text":
        said.texts.append(as_text(value, place))
    elif kind == "reasoningContent":
        said.reasoning.append(_reasoning(value, place))
    elif kind == "toolUse":
        use = _object(value, kind, place)
        known_as = as_text(use.get("toolUseId"), f"{place}: toolUseId")
        said.calls.append(call_of(use.get("name"), use.get("input"), known_as, place))
    elif kind == "toolResult":
        said.results.append(_result(_object(value, kind, place), place))
    else:
        raise refuse_block(kind, place)


def _kind(block: Any, place: str) -> tuple[str, Any]:
    if not isinstance(block, Mapping):
        raise Unusable(f"{place}: a content block is not an object")
    given = [(str(k), v) for k, v in block.items() if v is not None]
    if len(given) != 1:
        names = ", ".join(k for k, _ in given) or "nothing"
        raise Unusable(f"{place}: a content block holds {names[:80]}, not one thing")
    return given[0]


def _object(value: Any, kind: str, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Unusable(f"{place}: '{kind}' is not an object")
    return value


def _reasoning(value: Any, place: str) -> str:
    inner = _object(value, "reasoningContent", place).get("reasoningText")
    if inner is None:
        raise Unusable(f"{place}: 'reasoningContent' has no 'reasoningText'")
    return as_text(_object(inner, "reasoningText", place).get("text"), f"{place}: reasoningText")


def _result(result: Mapping[str, Any], place: str) -> Message:
    inside = result.get("content")
    parts = inside if isinstance(inside, list) else [inside]
    text = "\n".join(_result_text(part, place) for part in parts)
    known_as = as_text(result.get("toolUseId"), f"{place}: toolUseId")
    return {"role": TOOL_ROLE, "content": text, "tool_call_id": known_as or None}


def _result_text(part: Any, place: str) -> str:
    if isinstance(part, str) or part is None:
        return part or ""
    kind, value = _kind(part, place)
    if kind == "json":
        return as_json(value, place)
    if kind != "text":
        raise refuse_block(kind, f"{place}, toolResult")
    return as_text(value, place)
