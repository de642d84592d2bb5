"""OpenAI-compatible servers behind the seam."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from configs.served import Endpoint
from tasks.errors import SetupError
from tasks.inference.openai_format import asked_fields, drawn_fields, is_text, read_reply
from tasks.inference.remote import RemoteModel, Reply, TryAgain, Unanswerable, Wait
from tasks.models.api import Decoding, Prompt

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
