"""A small OpenAI-compatible server over any model, on this machine alone.

For trying an evaluation against an endpoint without one, and for tests: with faults it fails,
answers late or sends broken JSON as often as it is told.

    python -m fakes.openai_server MODEL_FOLDER --port 8000 --faults 0.2
"""

import argparse
import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

from tasks.models.api import Answer, Decoding, Engine, Prompt
from tasks.text.rows import TEXT_ROLE, Message, compact

Fault = Literal["error", "busy", "broken", "cut", "late"]
FAULTS: tuple[Fault, ...] = ("error", "busy", "broken", "cut", "late")
"""Status 500; status 429 with Retry-After; half of the JSON; a connection closed in the middle of
the reply; an answer after ``late_s`` seconds."""


@dataclass(frozen=True)
class Faults:
    """How often requests go wrong, and how.

    Attributes:
        rate: Share of requests.
        kinds: What happens, one of them at random.
        late_s: Seconds that a late answer takes longer.
        seed: Of what happens when.
    """

    rate: float = 0.0
    kinds: tuple[Fault, ...] = FAULTS
    late_s: float = 1.0
    seed: int = 17


class Server(ThreadingHTTPServer):
    """Serves ``/v1/chat/completions``, ``/v1/completions`` and ``/v1/models``.

    Args:
        model: Answers one request at a time.
        name: The model's name.
        port: 0 takes a free one.
        faults: What goes wrong.
    """

    daemon_threads = True

    def __init__(
        self, model: Engine, name: str = "local", port: int = 0, faults: Faults | None = None
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.model, self.name, self.faults = model, name, faults or Faults()
        self.requests, self.failed = 0, 0
        self._random = random.Random(self.faults.seed)
        self._one, self._model = threading.Lock(), threading.Lock()

    @property
    def url(self) -> str:
        """Up to and with ``/v1``."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    def next_fault(self) -> Fault | None:
        """Return what goes wrong with the request that comes now."""
        with self._one:
            self.requests += 1
            if self._random.random() >= self.faults.rate:
                return None
            self.failed += 1
            return self._random.choice(self.faults.kinds)

    def answer(self, prompt: Prompt, decoding: Decoding) -> Answer:
        """Return the model's answer."""
        with self._model:
            return self.model.answers([prompt], decoding)[0]


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """List the one model."""
        if self.path.rstrip("/") != "/v1/models":
            return self._send(404, {"error": {"message": f"there is no {self.path}"}})
        model = {"id": self.server.name, "object": "model", "digest": self.server.model.digest}
        return self._send(200, {"object": "list", "data": [model]})

    def do_POST(self) -> None:
        """Answer, or go wrong."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chat = self.path == "/v1/chat/completions"
        if not chat and self.path != "/v1/completions":
            return self._send(404, {"error": {"message": f"there is no {self.path}"}})
        fault = self.server.next_fault()
        if fault == "error":
            return self._send(500, {"error": {"message": "it failed"}})
        if fault == "busy":
            return self._send(429, {"error": {"message": "too many"}}, {"Retry-After": "0.05"})
        try:
            fields = json.loads(body)
            prompt, decoding = _asked(fields, chat), _decoding(fields)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            return self._send(400, {"error": {"message": f"the request is wrong: {error!r}"}})
        reply = _reply(self.server.name, self.server.answer(prompt, decoding), chat)
        if fault == "late":
            time.sleep(self.server.faults.late_s)
        return self._send(200, reply, cut=fault if fault in ("broken", "cut") else None)

    def _send(
        self,
        status: int,
        reply: dict[str, Any],
        headers: dict[str, str] | None = None,
        cut: Fault | None = None,
    ) -> None:
        data = json.dumps(reply).encode()
        sent = data[: len(data) // 2] if cut else data
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data) if cut == "cut" else len(sent)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(sent)
        self.close_connection = cut == "cut"


def _asked(fields: dict[str, Any], chat: bool) -> Prompt:
    if not chat:
        return Prompt([Message(role=TEXT_ROLE, content=str(fields["prompt"]))])
    tools = [tool["function"] for tool in fields.get("tools") or []]
    return Prompt([_message(m) for m in fields["messages"]], compact(tools) if tools else None)


def _message(fields: dict[str, Any]) -> Message:
    message = Message(role=fields["role"], content=fields.get("content") or "")
    if fields.get("tool_call_id"):
        message["tool_call_id"] = fields["tool_call_id"]
    calls = [
        {
            "id": c["id"],
            "name": c["function"]["name"],
            "arguments": json.loads(c["function"]["arguments"]),
        }
        for c in fields.get("tool_calls") or []
    ]
    if calls:
        message["tool_calls"] = compact(calls)
    return message


def _decoding(fields: dict[str, Any]) -> Decoding:
    stop = fields.get("stop") or ()
    return Decoding(
        int(fields.get("max_tokens") or fields.get("max_completion_tokens") or 256),
        1,
        float(fields.get("temperature") or 0.0),
        float(fields.get("top_p") or 1.0),
        int(fields.get("seed") or 0),
        (stop,) if isinstance(stop, str) else tuple(stop),
    )


def _reply(name: str, answer: Answer, chat: bool) -> dict[str, Any]:
    said = (
        {"message": {"role": "assistant", "content": answer.text}}
        if chat
        else {"text": answer.text}
    )
    choice = {"index": 0, "finish_reason": "length" if answer.truncated else "stop", **said}
    kind = "chat.completion" if chat else "text_completion"
    return {
        "id": f"local-{answer.prompt_digest}",
        "object": kind,
        "created": int(time.time()),
        "model": name,
        "choices": [choice],
        "usage": {"prompt_tokens": answer.prompt_tokens},
    }


@contextmanager
def serving(model: Engine, name: str = "local", faults: Faults | None = None) -> Iterator[Server]:
    """Serve a model from a thread of this process while the context is open."""
    server = Server(model, name, faults=faults)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def main() -> None:
    """Serve a model folder until interrupted."""
    from configs.models import Model
    from tasks.models.factory import open_model
    from tasks.models.prepare import prepare_model

    parser = argparse.ArgumentParser(description="Serve a model folder on this machine.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--dtype", default="auto", choices=("auto", "bfloat16", "float32"))
    parser.add_argument("--faults", type=float, default=0.0, help="share of requests to fail")
    given = parser.parse_args()
    local = prepare_model(Model(path=str(given.model)))
    server = Server(open_model(local, given.dtype), local.name, given.port, Faults(given.faults))
    print(f"serving {local.name} at {server.url}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
