import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from configs.models import Endpoint
from tasks.errors import EvaluationError, SetupError
from tasks.models.api import Choice, Decoding, Prompt
from tasks.models.served.openai import EndpointModel, retry_after

Handler = Callable[[httpx.Request], httpx.Response]
OK: dict[str, Any] = {
    "choices": [{"message": {"content": "fine"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7},
}


def prompts(count: int) -> list[Prompt]:
    return [Prompt([{"role": "user", "content": f"question {i}"}]) for i in range(count)]


def model(handler: Handler, waits: list[float] | None = None, **fields: Any) -> EndpointModel:
    spec = Endpoint(kind="endpoint", url="http://made/v1/", name="m", concurrency=2, **fields)
    kept = waits if waits is not None else []
    return EndpointModel(spec, wait=kept.append, transport=httpx.MockTransport(handler))


def reply(fields: Any = OK, status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=fields, headers=headers)


class Once:
    """Fails each question's first requests in the given ways, then answers."""

    def __init__(self, *failures: Callable[[], httpx.Response]) -> None:
        self.failures, self.seen = failures, dict[str, int]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)["messages"][0]["content"]
        number = self.seen[asked] = self.seen.get(asked, 0) + 1
        return self.failures[number - 1]() if number <= len(self.failures) else reply()


def _lost() -> httpx.Response:
    raise httpx.ReadTimeout("late")


def _cut() -> httpx.Response:
    raise httpx.RemoteProtocolError("peer closed connection")


FAILURES = [
    lambda: reply({}, 500),
    lambda: reply({}, 429, **{"Retry-After": "3"}),
    _lost,
    _cut,
    lambda: httpx.Response(200, content=b'{"choices": [{"mess'),
    lambda: reply({"choices": []}),
    lambda: reply([1]),
    lambda: reply({"choices": [{"message": None}]}),
]


def test_what_may_pass_is_tried_again_and_no_item_is_lost() -> None:
    waits: list[float] = []
    found = model(Once(*FAILURES), waits, attempts=9).answers(prompts(5), Decoding(4))
    assert [(a.text, a.error, a.prompt_tokens) for a in found] == [("fine", None, 7)] * 5
    assert len(waits) == 5 * len(FAILURES)
    assert waits.count(3.0) == 5


def test_waits_grow_and_are_drawn_apart() -> None:
    waits: list[float] = []
    model(Once(*[lambda: reply({}, 503)] * 4), waits).answers(prompts(1), Decoding(4))
    assert [0.25 * 2**n <= w <= 0.5 * 2**n for n, w in enumerate(waits)] == [True] * 4


def test_an_item_that_stays_unanswered_is_recorded_with_its_error() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return reply({}, 500) if b"question 2" in request.content else reply()

    found = model(handler, attempts=3).answers(prompts(4), Decoding(4))
    assert [a.error is None for a in found] == [True, True, False, True]
    assert found[2].text == ""
    assert "status 500" in str(found[2].error)
    assert "3 tries" in str(found[2].error)


def test_a_prompt_the_server_refuses_is_not_tried_again() -> None:
    asked: list[bytes] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.content)
        return reply({"error": "too long"}, 400) if b"question 0" in request.content else reply()

    found = model(handler).answers(prompts(3), Decoding(4))
    assert "too long" in str(found[0].error)
    assert len(asked) == 3


def test_a_server_that_answers_nothing_ends_the_evaluation() -> None:
    with pytest.raises(EvaluationError, match="answered none of 5 items"):
        model(lambda _: reply({}, 500), attempts=2).answers(prompts(20), Decoding(4))


def test_failures_that_come_back_before_the_first_answer_end_nothing() -> None:
    seen_failing = threading.Event()

    def handler(request: httpx.Request) -> httpx.Response:
        if b"question 0" not in request.content:
            return reply({}, 500)
        assert seen_failing.wait(30)
        return reply()

    asked = model(handler, attempts=1)
    batches = asked.generate_batches(asked.encode(prompts(9)), Decoding(4))
    assert all(next(batches)[0][1].error for _ in range(8))
    seen_failing.set()
    assert [(i, answer.error) for i, answer in next(batches)] == [(0, None)]


@pytest.mark.parametrize("status", [401, 404])
def test_a_wrong_key_or_address_ends_the_evaluation_at_once(status: int) -> None:
    waits: list[float] = []
    with pytest.raises(SetupError, match="check url, name and the key"):
        model(lambda _: reply({"error": "no"}, status), waits).answers(prompts(20), Decoding(4))
    assert waits == []


def test_the_request_says_what_is_asked_and_how(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return reply()

    monkeypatch.setenv("MADE_KEY", "secret")
    messages: Any = [
        {"role": "user", "content": "what time?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": '[{"id": "c1", "name": "clock", "arguments": {"zone": "UTC"}}]',
        },
        {"role": "tool", "content": "noon", "tool_call_id": "c1"},
    ]
    tools = '[{"name": "clock", "description": "d", "parameters": {"type": "object"}}]'
    engine = model(
        handler,
        key_env="MADE_KEY",
        limit_field="max_completion_tokens",
        options={"reasoning_effort": "low"},
    )
    engine.answers([Prompt(messages, tools)], Decoding(9, stop=("\n",)))
    fields = json.loads(seen[0].content)
    assert str(seen[0].url) == "http://made/v1/chat/completions"
    assert seen[0].headers["authorization"] == "Bearer secret"
    assert fields["messages"][1]["tool_calls"][0]["function"] == {
        "name": "clock",
        "arguments": '{"zone": "UTC"}',
    }
    assert fields["messages"][2]["tool_call_id"] == "c1"
    assert fields["tools"][0]["function"]["name"] == "clock"
    assert {
        k: fields[k]
        for k in ("model", "temperature", "max_completion_tokens", "stop", "reasoning_effort")
    } == {
        "model": "m",
        "temperature": 0.0,
        "max_completion_tokens": 9,
        "stop": ["\n"],
        "reasoning_effort": "low",
    }
    assert "secret" not in json.dumps(engine.about) + engine.digest


def test_plain_text_is_continued_by_completions() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/completions"
        assert json.loads(request.content)["prompt"] == "1 + 1 ="
        return reply({"choices": [{"text": " 2\nQ:", "finish_reason": "length"}]})

    text = Prompt([{"role": "text", "content": "1 + 1 ="}])
    (found,) = model(handler).answers([text], Decoding(4, stop=("\nQ",)))
    assert (found.text, found.truncated) == (" 2", True)


def test_tool_calls_in_fields_are_written_as_blocks() -> None:
    calls = [
        {"function": {"name": "clock", "arguments": '{"zone": "UTC"}'}},
        {"function": {"name": "clock", "arguments": "{broken"}},
    ]
    fields = {"choices": [{"message": {"content": None, "tool_calls": calls}}]}
    (found,) = model(lambda _: reply(fields)).answers(prompts(1), Decoding(4))
    blocks = [
        json.loads(b) for b in found.text.replace("</tool_call>", "").split("<tool_call>")[1:]
    ]
    assert blocks == [
        {"name": "clock", "arguments": {"zone": "UTC"}},
        {"name": "clock", "arguments": "{broken"},
    ]


def test_a_key_that_is_not_set_is_told_and_one_in_the_url_is_refused() -> None:
    with pytest.raises(SetupError, match="NO_SUCH_KEY is not set"):
        model(lambda _: reply(), key_env="NO_SUCH_KEY")
    with pytest.raises(ValueError, match="a key comes from key_env"):
        Endpoint(kind="endpoint", url="https://user:key@made/v1", name="m")


def test_it_gives_no_log_probabilities() -> None:
    engine = model(lambda _: reply())
    assert not engine.log_probs
    with pytest.raises(EvaluationError, match="no log-probabilities"):
        engine.choices([Choice("a", ("b",))])


def test_how_often_it_is_asked_is_no_part_of_what_it_is() -> None:
    first, second = model(lambda _: reply()), model(lambda _: reply(), attempts=2, timeout_s=1)
    assert first.digest == second.digest
    assert first.digest != model(lambda _: reply(), revision="2026-11").digest


def test_retry_after_is_a_number_or_a_date() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert retry_after({"retry-after": "1.5"}) == 1.5
    assert 25 < (retry_after({"retry-after": soon}) or 0) <= 30
    past = format_datetime(datetime.now(UTC) - timedelta(seconds=30), usegmt=True)
    assert retry_after({"retry-after": past}) == 0
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({}) is None
