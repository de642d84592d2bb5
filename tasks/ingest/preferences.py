"""Rows for learning from preferences and from rewards: pairs (DPO) and questions (RFT)."""

from collections.abc import Mapping
from typing import Any

from tasks.errors import Unusable
from tasks.ingest.conversations import from_messages
from tasks.ingest.fields import Fields, unused
from tasks.ingest.tool_use import as_json, tools_of
from tasks.ingest.turns import content_of, system_first
from tasks.ingest.values import Row, as_text, look_up
from tasks.text.rows import Message

_PAIR = ("prompt", "chosen", "rejected", "system", "tools")
_QUESTION = ("id", "messages", "prompt", "tools", "functions", "reference_answer", "metadata")


def from_dpo(row: Row) -> Fields:
    """Return a pair: the chosen answer ends the messages, the rejected one stands beside them.

    Prompt, chosen and rejected are texts or lists of messages; chosen and rejected may repeat the
    prompt, or hold all of it.
    """
    chosen, rejected = (_side(look_up(row, n), n) for n in ("chosen", "rejected"))
    if chosen[:-1] != rejected[:-1]:
        raise Unusable("'chosen' and 'rejected' differ before their last message")
    start = _joined(_prompt(row.get("prompt")), chosen[:-1])
    messages = system_first(as_text(row.get("system"), "system"), [*start, chosen[-1]])
    return Fields(
        messages,
        tools=tools_of(row.get("tools")),
        rejected=rejected[-1],
        extra=tuple(unused(row, _PAIR)),
    )


def from_rft(row: Row) -> Fields:
    """Return a question whose answers will be sampled and graded, with what the grader is given.

    Known are ``messages`` with ``reference_answer``, ``metadata`` that holds the prompt, and a
    bare ``prompt``.
    """
    metadata = row.get("metadata")
    inner = metadata if isinstance(metadata, Mapping) else {}
    reference = row.get("reference_answer")
    if reference is None and inner:
        reference = {k: v for k, v in inner.items() if k != "prompt"}
    tools, extra = tools_of(row.get("tools") or row.get("functions")), unused(row, _QUESTION)
    if row.get("messages") is not None:
        found = from_messages({"messages": row["messages"]})
        messages, extra = found.messages, [*extra, *found.extra]
    else:
        messages = _prompt(row["prompt"] if row.get("prompt") is not None else inner.get("prompt"))
    if not messages:
        raise Unusable("there are neither 'messages' nor a 'prompt'")
    return Fields(messages, tools=tools, reference=_reference(reference), extra=tuple(extra))


def _reference(value: Any) -> str:
    # Parquet makes an object of nulls of one that was not there.
    nothing = isinstance(value, Mapping) and all(v is None for v in value.values())
    return as_json(None if nothing else value, "reference_answer")


def _side(value: Any, name: str) -> list[Message]:
    if isinstance(value, list) and value:
        said = _messages(value)
    elif isinstance(value, Mapping):
        said = _messages([value])
    else:
        said = [{"role": "assistant", "content": content_of(value, name)}]
    if said[-1]["role"] != "assistant":
        raise Unusable(f"'{name}' ends with a message of '{said[-1]['role']}'")
    return said


def _prompt(value: Any) -> list[Message]:
    if value is None or value == []:
        return []
    if isinstance(value, list):
        return _messages(value)
    return [{"role": "user", "content": as_text(value, "prompt")}]


def _messages(value: list[Any]) -> list[Message]:
    return from_messages({"messages": value}).messages


def _joined(prompt: list[Message], before: list[Message]) -> list[Message]:
    if not before or not prompt:
        return prompt or before
    shorter, longer = sorted((prompt, before), key=len)
    if longer[-len(shorter) :] != shorter:
        raise Unusable("'prompt' is not what 'chosen' and 'rejected' answer")
    return longer
