"""OpenAI-compatible servers behind the seam."""

import contextlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from configs.models import Endpoint
from tasks.errors import SetupError
from tasks.models.api import Decoding, Prompt
from tasks.models.served.base import RemoteModel, Reply, TryAgain, Unanswerable, Wait, is_cut
from tasks.text.reasoning import OPEN, find_stop, has_unclosed_reasoning
from tasks.text.rows import TEXT_ROLE, Message
from tasks.text.turns import as_offered, as_turns

Fields = dict[str, Any]

_PASSING = frozenset({408, 409, 425, 429, 499})
"""Statuses below 500 after which the same request may be answered."""
_HOPELESS = frozenset({401, 404, 405, 407, 410})
"""Statuses that every request would get; a filter gives 403 for one prompt."""
_SPENT = re.compile(
    r"insufficient_quota|exceeded your current quota|billing|credit balance|out of credits"
    r"|insufficient credits|insufficient balance|payment required",
    re.IGNORECASE,
)
"""What a 429 says that no waiting helps."""
_REFUSED = re.compile(r"invalid_request|content_filter|content_policy|moderation|context_length")
"""What an error without a status says that is of this prompt alone."""


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
            **drawn_fields(prompt, decoding, self._spec.limit_field),
            **self._spec.options,
        }
        reply = self._post(path, fields, decoding.stop)
        if "stop" in fields and not reply.truncated and has_unclosed_reasoning(reply.text):
            # The server ended a thought at a stop string that stands in it.
            del fields["stop"]
            reply = self._post(path, fields, decoding.stop)
        return reply

    def _post(self, path: str, fields: Fields, stop: Sequence[str]) -> Reply:
        try:
            reply = self._client.post(f"{self._spec.url}/{path}", json=fields)
        except httpx.TimeoutException as error:
            raise TryAgain(f"no answer in {self._spec.timeout_s:g} s") from error
        except httpx.RequestError as error:
            raise TryAgain(f"the connection failed: {error}") from error
        if reply.status_code >= 300:
            what = "moved to " + reply.headers.get("location", "elsewhere")
            said = what if reply.is_redirect else reply.text[:200].strip()
            wait = retry_after(reply.headers)
            raise refused(reply.status_code, said, self._spec.url, wait)
        return read_reply(reply.content, stop, self._spec.url)


def refused(status: int, said: str, where: str, after_s: float | None = None) -> Exception:
    """Return what a server's refusal means: of everything, of one item, or of this moment.

    Args:
        status: The HTTP status, or the code in an error's body.
        said: What the server says.
        where: The server, for errors that end an evaluation.
        after_s: Seconds it asks to wait.

    Returns:
        :class:`SetupError` where every request would get the same (the key, the address, no money
        left), :class:`TryAgain` where waiting may help, else :class:`Unanswerable`.
    """
    why = f"status {status}: {said}"
    if status == 402 or (status in (403, 429) and _SPENT.search(said)):
        return SetupError(
            f"the account behind the key can't pay for more: {why}",
            where=where,
            fix="top it up, or use another key, and run again: what was answered is kept.",
        )
    if status in _HOPELESS or 300 <= status < 400:
        return SetupError(
            f"the server refuses: {why}", where=where, fix="check url, name and the key in key_env."
        )
    return TryAgain(why, after_s) if status in _PASSING or status >= 500 else Unanswerable(why)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that ``Retry-After`` asks to wait (a number or a date), or None.

    ``Retry-After-Ms``, which some servers give as well, says it in milliseconds.
    """
    with contextlib.suppress(ValueError):
        return max(0.0, float(headers.get("retry-after-ms", "")) / 1000)
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


def drawn_fields(prompt: Prompt, decoding: Decoding, limit: str = "max_tokens") -> Fields:
    """Return how the answer is drawn; greedy decoding names neither top_p nor a seed.

    Stop strings are sent with plain text alone, which would go on for ever. A conversation's turn
    ends by itself, and a server would end a thought at a stop string that stands in it: there the
    answer is cut when it is here.
    """
    fields: Fields = {limit: decoding.max_new_tokens, "temperature": decoding.temperature}
    if decoding.temperature > 0:
        fields |= {"top_p": decoding.top_p, "seed": decoding.seed % 2**31}
    if decoding.stop and is_text(prompt):
        fields["stop"] = list(decoding.stop)
    return fields


def read_reply(text: str | bytes, stop: Sequence[str] = (), where: str = "the server") -> Reply:
    """Return the answer in a server's reply.

    Tool calls that come as fields are written after the text as ``<tool_call>`` blocks of JSON,
    as models with a template of their own write them. A refusal in a field of its own is what the
    model says. Where there is a thought in a field of its own and nothing else, the answer ended
    inside it.

    Args:
        text: The reply's body.
        stop: Strings before the first of which the answer ends.
        where: The server, for errors that end an evaluation.

    Raises:
        TryAgain: The reply is broken JSON, has no answer in it, or says that the server failed.
        Unanswerable: A filter ended the answer, or something unknown did.
        SetupError: It says what every request would get.
    """
    try:
        reply = json.loads(text)
        _refuse_error(reply, where)
        choice = reply["choices"][0]
        _refuse_error(choice, where)
        message = choice.get("message") or {}
        reason = choice.get("finish_reason")
        said = choice["text"] if isinstance(choice.get("text"), str) else _said(choice["message"])
        refusal = message.get("refusal") if isinstance(message, dict) else None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        shown = text[:80] if isinstance(text, str) else text[:80].decode(errors="replace")
        raise TryAgain(f"the reply is no completion: {shown!r}") from error
    if refusal:
        # Its own words, whatever the server calls the end of such a turn.
        return Reply("\n".join(filter(None, [said, str(refusal)])), False, _prompt_tokens(reply))
    cut = is_cut(reason)
    thought = message.get("reasoning_content") or message.get("reasoning")
    if not said and isinstance(thought, str) and thought:
        said = OPEN + thought
    return Reply(said[: find_stop(said, stop)], cut, _prompt_tokens(reply))


def _refuse_error(reply: Fields, where: str) -> None:
    """Raise what an error inside a reply of status 200 means."""
    error = reply.get("error") or (reply if reply.get("object") == "error" else None)
    if not error:
        return
    fields = error if isinstance(error, dict) else {"message": error}
    said = " ".join(str(fields[k]) for k in ("code", "type", "message") if fields.get(k))[:200]
    code = str(fields.get("code") or fields.get("status") or "")
    if code.isdecimal() and 300 <= int(code[:4]) < 600:
        raise refused(int(code), said, where)
    if _SPENT.search(said):
        raise refused(402, said, where)
    raise (Unanswerable if _REFUSED.search(said) else TryAgain)(f"the reply is an error: {said}")


def _prompt_tokens(reply: Fields) -> int:
    """Return the prompt's tokens, 0 where the server doesn't count them."""
    with contextlib.suppress(AttributeError, TypeError, ValueError):
        return int((reply.get("usage") or {}).get("prompt_tokens") or 0)
    return 0


def _said(message: Fields) -> str:
    said = message.get("content") or ""
    if not isinstance(said, str):
        parts = [p if isinstance(p, str) else p.get("text") or p.get("refusal") for p in said]
        said = "".join(part for part in parts if isinstance(part, str))
    calls = [*(message.get("tool_calls") or [])]
    if message.get("function_call"):
        calls.append({"function": message["function_call"]})
    return "\n".join([*([said] if said else []), *map(_call, calls)])


def _call(call: Fields) -> str:
    # Tools of a form of their own have a text in place of arguments.
    function = call["function"] if "function" in call else call["custom"]
    arguments = function["arguments"] if "arguments" in function else function["input"]
    # What the model wrote may be no JSON: then it stays as it is, to be judged.
    with contextlib.suppress(ValueError):
        arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
    body = json.dumps({"name": function["name"], "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{body}\n</tool_call>"
