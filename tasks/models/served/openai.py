"""OpenAI-compatible servers behind the seam."""

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from configs.models import Endpoint
from tasks.errors import SetupError
from tasks.models.api import Decoding, Prompt
from tasks.models.served.base import RemoteModel, Reply, TryAgain, Unanswerable, Wait
from tasks.text.rows import TEXT_ROLE, Message
from tasks.text.turns import as_offered, as_turns

_PASSING = frozenset({408, 409, 425, 429})
"""Statuses below 500 after which the same request may be answered."""
_HOPELESS = frozenset({401, 403, 404, 405})
"""Statuses that every request would get."""


class EndpointModel(RemoteModel[Endpoint]):
    """A model behind ``/chat/completions``; plain text goes to ``/completions``.

    Args:
        spec: The section; its key is read from the environment now, and kept nowhere else.
        wait: Called with the seconds to wait before another try.
        transport: Instead of the network.

    Raises:
        SetupError: The environment variable of the key is not set.
    """

    def __init__(
        self,
        spec: Endpoint,
        wait: Wait | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(spec, wait)
        self._client = httpx.Client(
            headers=_headers(spec),
            timeout=spec.timeout_s,
            transport=transport,
            limits=httpx.Limits(max_connections=spec.concurrency),
        )

    def ask(self, prompt: Prompt, decoding: Decoding) -> Reply:
        """Return the server's answer to one prompt."""
        path = "completions" if is_text(prompt) else "chat/completions"
        fields = {
            "model": self._spec.name,
            **asked_fields(prompt),
            **drawn_fields(decoding, self._spec.limit_field),
            **self._spec.options,
        }
        try:
            reply = self._client.post(f"{self._spec.url}/{path}", json=fields)
        except httpx.TimeoutException as error:
            raise TryAgain(f"no answer in {self._spec.timeout_s:g} s") from error
        except httpx.TransportError as error:
            raise TryAgain(f"the connection failed: {error}") from error
        self._refuse(reply)
        return read_reply(reply.content, decoding.stop)

    def _refuse(self, reply: httpx.Response) -> None:
        status = reply.status_code
        why = f"status {status}: {reply.text[:200].strip()}"
        if status in _HOPELESS:
            raise SetupError(
                f"the server refuses: {why}",
                where=self._spec.url,
                fix="check url, name and the key in key_env.",
            )
        if status in _PASSING or status >= 500:
            raise TryAgain(why, retry_after(reply.headers))
        if status >= 300:
            raise Unanswerable(why)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that ``Retry-After`` asks to wait (a number or a date), or None."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass  # it is the other form, a date
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (when - datetime.now(when.tzinfo or UTC)).total_seconds())


def _headers(spec: Endpoint) -> dict[str, str]:
    if spec.key_env is None:
        return {}
    key = os.environ.get(spec.key_env, "")
    if not key:
        raise SetupError(
            f"the environment variable {spec.key_env} is not set.",
            where=f"model {spec.name}",
            fix=f"export {spec.key_env}=... (the key is stored nowhere).",
        )
    return {"Authorization": f"Bearer {key}"}


# Requests and replies in the words of OpenAI's chat completions.

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
