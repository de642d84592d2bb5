"""Rows for learning from preferences and from rewards: pairs (DPO) and questions (RFT)."""

from collections.abc import Mapping
from typing import Any

from tasks.errors import Unusable
from tasks.files.records import Row
from tasks.ingest.openai import convert_messages, put_system_first, read_content
from tasks.ingest.tool_use import dump_json, normalise_tools
from tasks.ingest.values import ConvertedRow, as_objects, find_unused, holds_turns, look_up, to_text
from tasks.text.rows import Message

_DPO_FIELDS = ("prompt", "chosen", "rejected", "system", "tools")
_RFT_FIELDS = ("id", "messages", "prompt", "tools", "functions", "reference_answer", "metadata")


def convert_dpo(row: Row) -> ConvertedRow:
    """Return a pair: the chosen answer ends the messages, the rejected one stands beside them.

    Prompt, chosen and rejected are texts or lists of messages; chosen and rejected may repeat the
    prompt, or hold all of it.
    """
    chosen, rejected = (read_side(look_up(row, n), n) for n in ("chosen", "rejected"))
    if chosen[:-1] != rejected[:-1]:
        raise Unusable("'chosen' and 'rejected' differ before their last message")
    start = _join_prompts(read_prompt(row.get("prompt")), chosen[:-1])
    messages = put_system_first(to_text(row.get("system"), "system"), [*start, chosen[-1]])
    return ConvertedRow(
        messages,
        tools=normalise_tools(row.get("tools")),
        rejected=rejected[-1],
        extra=tuple(find_unused(row, _DPO_FIELDS)),
    )


def convert_rft(row: Row) -> ConvertedRow:
    """Return a question whose answers will be sampled and graded, with what the grader is given.

    Known are ``messages`` with ``reference_answer``, ``metadata`` that holds the prompt, and a
    bare ``prompt``.
    """
    metadata = row.get("metadata")
    inner = metadata if isinstance(metadata, Mapping) else {}
    reference = row.get("reference_answer")
    if reference is None and inner:
        reference = {k: v for k, v in inner.items() if k != "prompt"}
    tools, extra = (
        normalise_tools(row.get("tools") or row.get("functions")),
        find_unused(row, _RFT_FIELDS),
    )
    if row.get("messages") is not None:
        found = convert_messages({"messages": row["messages"]})
        messages, extra = found.messages, [*extra, *found.extra]
    else:
        messages = read_prompt(
            row["prompt"] if row.get("prompt") is not None else inner.get("prompt")
        )
    if not messages:
        raise Unusable("there are neither 'messages' nor a 'prompt'")
    return ConvertedRow(
        messages, tools=tools, reference=_dump_reference(reference), extra=tuple(extra)
    )


def _dump_reference(value: Any) -> str:
    # Parquet makes an object of nulls of one that was not there.
    nothing = isinstance(value, Mapping) and all(v is None for v in value.values())
    return dump_json(None if nothing else value, "reference_answer")


def read_side(value: Any, name: str) -> list[Message]:
    """Return an answer as messages: a text, one message, or several that end with the answer.

    Raises:
        Unusable: They end with somebody else's.
    """
    value = as_objects(value, name) if holds_turns(value) else value
    if isinstance(value, list) and value:
        said = _read_messages(value)
    elif isinstance(value, Mapping):
        said = _read_messages([value])
    else:
        said = [{"role": "assistant", "content": read_content(value, name)}]
    if said[-1]["role"] != "assistant":
        raise Unusable(f"'{name}' ends with a message of '{said[-1]['role']}'")
    return said


def read_prompt(value: Any) -> list[Message]:
    """Return what comes before an answer as messages: a text is the user's, null is none."""
    value = as_objects(value, "prompt") if holds_turns(value) else value
    if value is None or value == []:
        return []
    if isinstance(value, list):
        return _read_messages(value)
    return [{"role": "user", "content": to_text(value, "prompt")}]


def _read_messages(value: list[Any]) -> list[Message]:
    return convert_messages({"messages": value}).messages


def _join_prompts(prompt: list[Message], before: list[Message]) -> list[Message]:
    if not before or not prompt:
        return prompt or before
    shorter, longer = sorted((prompt, before), key=len)
    if longer[-len(shorter) :] != shorter:
        raise Unusable("'prompt' is not what 'chosen' and 'rejected' answer")
    return longer
