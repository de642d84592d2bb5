"""Requests and replies in the words of OpenAI's chat completions."""

import contextlib
import json
from collections.abc import Sequence
from typing import Any

from tasks.inference.remote import Reply, TryAgain
from tasks.models.api import Decoding, Prompt
from tasks.text.rows import TEXT_ROLE, Message
from tasks.text.turns import as_offered, as_turns

Fields = dict[str, Any]


def is_text(prompt: Prompt) -> bool:
    """Return whether a prompt is plain text to be continued, with no turns."""
    return prompt.messages[0]["role"] == TEXT_ROLE


def asked_fields(prompt: Prompt) -> Fields:
    """Return ``prompt``, or ``messages`` and ``tools``, as the request takes them."""
    if is_text(prompt):
        return {"prompt": prompt.messages[0]["content"]}
    offered = as_offered(prompt.tools)
    return {"messages": chat_messages(prompt.messages)} | ({"tools": offered} if offered else {})


def chat_messages(messages: Sequence[Message]) -> list[Fields]:
    """Return messages as the API takes them: a call's arguments are JSON text there."""
    turns = as_turns(messages)
    for turn in turns:
        for call in turn.get("tool_calls", []):
            arguments = call["function"]["arguments"]
            if not isinstance(arguments, str):
                text = json.dumps(arguments, ensure_ascii=False)
                call["function"] = {**call["function"], "arguments": text}
    return turns


def drawn_fields(decoding: Decoding, limit: str = "max_tokens") -> Fields:
    """Return how the answer is drawn; greedy decoding names neither top_p nor a seed."""
    fields: Fields = {limit: decoding.max_new_tokens, "temperature": decoding.temperature}
    if decoding.temperature > 0:
        fields |= {"top_p": decoding.top_p, "seed": decoding.seed % 2**31}
    return fields | ({"stop": list(decoding.stop)} if decoding.stop else {})


def read_reply(text: str | bytes, stop: Sequence[str] = ()) -> Reply:
    """Return the answer in a server's reply.

    Tool calls that come as fields are written after the text as ``<tool_call>`` blocks of JSON,
    as models with a template of their own write them.

    Raises:
        TryAgain: The reply is broken JSON, or has no answer in it.
    """
    try:
        reply = json.loads(text)
        choice = reply["choices"][0]
        said = choice["text"] if "text" in choice else _said(choice["message"])
        tokens = (reply.get("usage") or {}).get("prompt_tokens") or 0
        cut = min([said.find(s) for s in stop if s in said], default=None)
        return Reply(said[:cut], choice.get("finish_reason") == "length", int(tokens))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        shown = text[:80] if isinstance(text, str) else text[:80].decode(errors="replace")
        raise TryAgain(f"the reply is no completion: {shown!r}") from error


def _said(message: Fields) -> str:
    said = message.get("content") or ""
    if not isinstance(said, str):
        said = "".join(part.get("text", "") for part in said)
    return "\n".join([*([said] if said else []), *map(_call, message.get("tool_calls") or [])])


def _call(call: Fields) -> str:
    function = call["function"]
    arguments = function["arguments"]
    # What the model wrote may be no JSON: then it stays as it is, to be judged.
    with contextlib.suppress(ValueError):
        arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
    body = json.dumps({"name": function["name"], "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{body}\n</tool_call>"
