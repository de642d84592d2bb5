"""Chat rows as other trainers read them: one JSON object a line."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from tasks.text.rows import TEXT_ROLE, Message

FormatName = Literal["openai", "converse", "alpaca", "text"]
Converter = Callable[[Sequence[Message]], dict[str, Any]]


class Unheld(Exception):
    """A format has no place for something a row has; the message names it in one word."""


def convert_openai(messages: Sequence[Message]) -> dict[str, Any]:
    """Return ``{"messages": [{"role", "content"}, ...]}``."""
    _refuse_plain(messages)
    return {"messages": [{"role": m["role"], "content": m["content"]} for m in messages]}


def convert_converse(messages: Sequence[Message]) -> dict[str, Any]:
    """Return a Bedrock conversation (``bedrock-conversation-2024``), the system text beside it."""
    _refuse_plain(messages)
    system, turns = _split_system(messages)
    if [m["role"] for m in turns] != ["user", "assistant"] * (len(turns) // 2) or not turns:
        raise Unheld("turn_order")
    row: dict[str, Any] = {"schemaVersion": "bedrock-conversation-2024"}
    if system is not None:
        row["system"] = [{"text": system}]
    return row | {
        "messages": [{"role": m["role"], "content": [{"text": m["content"]}]} for m in turns]
    }


def convert_alpaca(messages: Sequence[Message]) -> dict[str, Any]:
    """Return instruction, input (empty) and output, and ``system`` where there is one."""
    _refuse_plain(messages)
    system, turns = _split_system(messages)
    if len(turns) > 2:
        raise Unheld("multi_turn")
    if [m["role"] for m in turns] != ["user", "assistant"]:
        raise Unheld("turn_order")
    prompt, answer = (m["content"] for m in turns)
    row = {"instruction": prompt, "input": "", "output": answer}
    return row | ({"system": system} if system is not None else {})


def convert_text(messages: Sequence[Message]) -> dict[str, Any]:
    """Return ``{"text"}`` of a plain-text row."""
    if len(messages) != 1 or messages[0]["role"] != TEXT_ROLE:
        raise Unheld("conversation")
    return {"text": messages[0]["content"]}


CONVERTERS: dict[FormatName, Converter] = {
    "openai": convert_openai,
    "converse": convert_converse,
    "alpaca": convert_alpaca,
    "text": convert_text,
}


def _refuse_plain(messages: Sequence[Message]) -> None:
    if any(m["role"] == TEXT_ROLE for m in messages):
        raise Unheld("plain_text")


def _split_system(messages: Sequence[Message]) -> tuple[str | None, Sequence[Message]]:
    if messages and messages[0]["role"] == "system":
        return messages[0]["content"], messages[1:]
    return None, messages
