"""Rows in the shape of Bedrock's Converse API, as its fine-tuning takes them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tasks.errors import Unusable
from tasks.files.columns import to_text
from tasks.files.records import Row
from tasks.ingest.openai import (
    block_error,
    map_role,
    put_system_first,
    read_content,
    require_objects,
)
from tasks.ingest.tool_use import dump_json, normalise_call, normalise_tools
from tasks.ingest.values import ConvertedRow, find_unused, find_unused_in
from tasks.text.rows import TOOL_ROLE, Message

CONVERSE_VERSION = "bedrock-conversation-2024"
_CONVERSE_ROLES = {"user": "user", "assistant": "assistant"}
_CONVERSE_FIELDS = ("schemaVersion", "system", "messages", "toolConfig")


class _Blocks(NamedTuple):
    """The blocks of one message, by kind."""

    texts: list[str]
    reasoning: list[str]
    calls: list[dict[str, Any]]
    results: list[Message]


def convert_converse(row: Row) -> ConvertedRow:
    """Return a Converse row: its system texts first, a tool's results as messages of their own."""
    version = row.get("schemaVersion")
    if version not in (None, CONVERSE_VERSION):
        raise Unusable(f"schemaVersion is '{str(version)[:60]}', not '{CONVERSE_VERSION}'")
    given = require_objects(row, "messages")
    turns = [m for n, g in enumerate(given, start=1) for m in _convert_turn(g, f"message {n}")]
    messages = put_system_first(read_content(row.get("system"), "system"), turns)
    config = row.get("toolConfig") or {}
    if not isinstance(config, Mapping):
        raise Unusable("'toolConfig' is not an object")
    extra = (
        *find_unused(row, _CONVERSE_FIELDS),
        *find_unused(config, ("tools",), "toolConfig."),
        *find_unused_in(given, ("role", "content"), "messages."),
    )
    return ConvertedRow(messages, tools=normalise_tools(config.get("tools")), extra=extra)


def _convert_turn(message: Mapping[str, Any], place: str) -> list[Message]:
    role = map_role(message, "role", _CONVERSE_ROLES, place)
    if "content" not in message:
        raise Unusable(f"{place}: there is no 'content'")
    content = message["content"]
    blocks = _Blocks([], [], [], [])
    for block in content if isinstance(content, list) else [content]:
        _sort_block(block, blocks, place)
    if blocks.results and role == "assistant":
        raise Unusable(f"{place}: a 'toolResult' is in an assistant's turn")
    # Results without a word beside them are the whole turn.
    alone = blocks.results and not (blocks.texts or blocks.calls or blocks.reasoning)
    return [*blocks.results, *([] if alone else [_make_message(role, blocks, place)])]


def _make_message(role: str, blocks: _Blocks, place: str) -> Message:
    done: Message = {"role": role, "content": "\n".join(blocks.texts)}
    if blocks.reasoning:
        done["reasoning"] = "\n".join(blocks.reasoning)
    if blocks.calls:
        done["tool_calls"] = dump_json(blocks.calls, place)
    return done


def _sort_block(block: Any, blocks: _Blocks, place: str) -> None:
    if isinstance(block, str) or block is None:
        blocks.texts.append(block or "")
        return
    kind, value = _split_block(block, place)
    if kind == "text":
        blocks.texts.append(to_text(value, place))
    elif kind == "reasoningContent":
        blocks.reasoning.append(_read_reasoning(value, place))
    elif kind == "toolUse":
        use = _require_object(value, kind, place)
        call_id = to_text(use.get("toolUseId"), f"{place}: toolUseId")
        blocks.calls.append(normalise_call(use.get("name"), use.get("input"), call_id, place))
    elif kind == "toolResult":
        blocks.results.append(_convert_result(_require_object(value, kind, place), place))
    else:
        raise block_error(kind, place)


def _split_block(block: Any, place: str) -> tuple[str, Any]:
    if not isinstance(block, Mapping):
        raise Unusable(f"{place}: a content block is not an object")
    given = [(str(k), v) for k, v in block.items() if v is not None]
    if len(given) != 1:
        names = ", ".join(k for k, _ in given) or "nothing"
        raise Unusable(f"{place}: a content block holds {names[:80]}, not one thing")
    return given[0]


def _require_object(value: Any, kind: str, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Unusable(f"{place}: '{kind}' is not an object")
    return value


def _read_reasoning(value: Any, place: str) -> str:
    inner = _require_object(value, "reasoningContent", place).get("reasoningText")
    if inner is None:
        raise Unusable(f"{place}: 'reasoningContent' has no 'reasoningText'")
    return to_text(
        _require_object(inner, "reasoningText", place).get("text"), f"{place}: reasoningText"
    )


def _convert_result(result: Mapping[str, Any], place: str) -> Message:
    inside = result.get("content")
    parts = inside if isinstance(inside, list) else [inside]
    text = "\n".join(_read_result_part(part, place) for part in parts)
    call_id = to_text(result.get("toolUseId"), f"{place}: toolUseId")
    return {"role": TOOL_ROLE, "content": text, "tool_call_id": call_id or None}


def _read_result_part(part: Any, place: str) -> str:
    if isinstance(part, str) or part is None:
        return part or ""
    kind, value = _split_block(part, place)
    if kind == "json":
        return dump_json(value, place)
    if kind != "text":
        raise block_error(kind, f"{place}, toolResult")
    return to_text(value, place)
