"""What each reply of a server becomes: an answer, a cut one, an item without, or the end of all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from configs.models import Endpoint
from tasks.errors import SetupError
from tasks.models.api import Decoding, Prompt
from tasks.models.cache import Cached
from tasks.models.served.openai import EndpointModel
from tasks.text.reasoning import has_unclosed_reasoning

Give = Callable[[], httpx.Response]


class Becomes(NamedTuple):
    """What one prompt's reply becomes.

    Attributes:
        text: The answer; None where the item has none.
        cut: Whether it was cut at the most tokens allowed.
        why: What its error says.
        tries: Requests it takes, of three allowed.
    """

    text: str | None = None
    cut: bool = False
    why: str = ""
    tries: int = 1


def body(content: Any, status: int = 200, **headers: str) -> Give:
    if isinstance(content, str | bytes):
        return lambda: httpx.Response(status, content=content, headers=headers)
    return lambda: httpx.Response(status, json=content, headers=headers)


def chat(end: str | None = "stop", /, **message: Any) -> Give:
    return body({"choices": [{"message": message, "finish_reason": end}]})


def fails(error: Exception) -> Give:
    def give() -> httpx.Response:
        raise error

    return give


def call(name: str = "f", arguments: Any = '{"a": 1}') -> dict[str, Any]:
    return {"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}


def block(name: str, arguments: Any) -> str:
    written = json.dumps({"name": name, "arguments": arguments})
    return f"<tool_call>\n{written}\n</tool_call>"


MODERATED = {"error": {"code": 403, "message": "input flagged", "metadata": {"reasons": ["x"]}}}
REPLIES: dict[str, tuple[Give, Becomes]] = {
    # Answers.
    "an answer": (chat(content="tea"), Becomes("tea")),
    "no finish_reason": (chat(None, content="tea"), Becomes("tea")),
    "another word for the end": (chat("eos_token", content="tea"), Becomes("tea")),
    "capital letters": (chat("STOP", content="tea"), Becomes("tea")),
    "cut": (chat("length", content="te"), Becomes("te", cut=True)),
    "cut, another word": (chat("MAX_TOKENS", content="te"), Becomes("te", cut=True)),
    "nothing said": (chat(content=""), Becomes("")),
    "null said": (chat(content=None), Becomes("")),
    "parts": (
        chat(content=[{"type": "text", "text": "te"}, {"type": "thinking"}, "a", {"text": None}]),
        Becomes("tea"),
    ),
    "a refusal in its own field": (chat(content=None, refusal="I can't."), Becomes("I can't.")),
    "a refusal that a filter ended": (
        chat("content_filter", content=None, refusal="I can't."),
        Becomes("I can't."),
    ),
    "a refusal in parts": (
        chat(content=[{"type": "refusal", "refusal": "I can't."}]),
        Becomes("I can't."),
    ),
    "a thought of its own beside an answer": (
        chat(content="tea", reasoning_content="hm"),
        Becomes("tea"),
    ),
    "a thought that used all tokens": (
        chat("length", content=None, reasoning_content="hm"),
        Becomes("<think>hm", cut=True),
    ),
    "a tool call": (
        chat("tool_calls", content=None, tool_calls=[call()]),
        Becomes(block("f", {"a": 1})),
    ),
    "a tool call without arguments": (
        chat(content="so:", tool_calls=[call(arguments=None)]),
        Becomes("so:\n" + block("f", None)),
    ),
    "a tool of its own form": (
        chat(content=None, tool_calls=[{"type": "custom", "custom": {"name": "g", "input": "z"}}]),
        Becomes(block("g", "z")),
    ),
    "the old form of a call": (
        chat("function_call", content=None, function_call={"name": "f", "arguments": "{}"}),
        Becomes(block("f", {})),
    ),
    "a mark of byte order": (
        body(b"\xef\xbb\xbf" + json.dumps({"choices": [{"text": "tea"}]}).encode()),
        Becomes("tea"),
    ),
    "tokens counted in words": (
        body({"choices": [{"text": "tea"}], "usage": {"prompt_tokens": "many"}}),
        Becomes("tea"),
    ),
    # Nobody's answer.
    "a filter": (chat("content_filter", content=""), Becomes(why="content_filter")),
    "a filter in the middle": (
        chat("content_filter", content="The ans"),
        Becomes(why="content_filter"),
    ),
    "another word for a filter": (chat("SAFETY", content=""), Becomes(why="safety")),
    "an end that nobody knows": (chat("because", content="tea"), Becomes(why="'because'")),
    "a prompt that is flagged": (body(MODERATED, 403), Becomes(why="input flagged")),
    "a prompt that a filter takes": (
        body({"error": {"code": "content_filter", "message": "the prompt triggers"}}, 400),
        Becomes(why="the prompt triggers"),
    ),
    "the same with status 200": (
        body({"error": {"code": "content_filter", "message": "the prompt triggers"}}),
        Becomes(why="the prompt triggers"),
    ),
    "a flagged prompt with status 200": (body(MODERATED), Becomes(why="input flagged")),
    "too long": (body("too large", 413), Becomes(why="status 413")),
    "not to be processed": (body({}, 422), Becomes(why="status 422")),
    "forbidden by law": (body("no", 451), Becomes(why="status 451")),
    # What may pass.
    "an error with status 200": (
        body({"error": {"message": "upstream overloaded", "code": 502}}),
        Becomes(why="upstream overloaded", tries=3),
    ),
    "an error in words": (
        body({"error": "overloaded"}),
        Becomes(why="overloaded", tries=3),
    ),
    "an error as an object": (
        body({"object": "error", "message": "engine died", "code": None}),
        Becomes(why="engine died", tries=3),
    ),
    "an error of the choice": (
        body(
            {
                "choices": [
                    {
                        "error": {"code": 502, "message": "provider"},
                        "message": {"content": ""},
                        "finish_reason": "error",
                    }
                ]
            }
        ),
        Becomes(why="provider", tries=3),
    ),
    "broken off": (chat("error", content="te"), Becomes(why="broke off", tries=3)),
    "given up": (chat("abort", content="te"), Becomes(why="broke off", tries=3)),
    "no choices": (body({"choices": []}), Becomes(why="no completion", tries=3)),
    "no message": (body({"choices": [{"index": 0}]}), Becomes(why="no completion", tries=3)),
    "a null text": (body({"choices": [{"text": None}]}), Becomes(why="no completion", tries=3)),
    "a page": (body("<html>login</html>"), Becomes(why="<html>login", tries=3)),
    "half of the JSON": (body('{"choices": [{"mess'), Becomes(why="no completion", tries=3)),
    "too many at once": (
        body({"error": {"message": "Rate limit reached"}}, 429, **{"retry-after": "2"}),
        Becomes(why="Rate limit", tries=3),
    ),
    "overloaded": (body({}, 529), Becomes(why="status 529", tries=3)),
    "late": (fails(httpx.ReadTimeout("late")), Becomes(why="no answer in", tries=3)),
    "a cut stream": (
        fails(httpx.RemoteProtocolError("peer closed")),
        Becomes(why="peer closed", tries=3),
    ),
    "a body that can't be unpacked": (
        fails(httpx.DecodingError("bad gzip")),
        Becomes(why="bad gzip", tries=3),
    ),
}
ENDS: dict[str, tuple[Give, str]] = {
    "the key is wrong": (body({"error": "no"}, 401), "key_env"),
    "there is no such model": (body({"error": "no"}, 404), "check url, name"),
    "another method": (body("x", 405), "check url"),
    "moved": (body("", 302, location="http://elsewhere/"), "moved to http://elsewhere/"),
    "no credits": (body({"error": {"message": "Insufficient credits"}}, 402), "top it up"),
    "no credits, with status 200": (
        body({"error": {"code": "insufficient_quota", "message": "You exceeded your quota"}}),
        "top it up",
    ),
    "a quota that no waiting fills": (
        body({"error": {"code": "insufficient_quota", "message": "check your billing"}}, 429),
        "top it up",
    ),
}


def asked(
    give: Give, waits: list[float] | None = None, attempts: int = 3
) -> tuple[EndpointModel, list[bytes]]:
    """A model that answers every prompt but ``q3`` with tea, and what it is asked of that."""
    seen: list[bytes] = []

    def handle(request: httpx.Request) -> httpx.Response:
        if b'"q3"' not in request.content:
            return chat(content="tea")()
        seen.append(request.content)
        return give()

    spec = Endpoint(kind="endpoint", url="http://made/v1", name="m", attempts=attempts)
    kept = waits if waits is not None else []
    return EndpointModel(spec, wait=kept.append, transport=httpx.MockTransport(handle)), seen


PROMPTS = [Prompt([{"role": "user", "content": f"q{i}"}]) for i in range(7)]


@pytest.mark.parametrize(("give", "becomes"), REPLIES.values(), ids=REPLIES.keys())
def test_a_reply_becomes_what_it_means_and_only_answers_are_kept(
    give: Give, becomes: Becomes, temper_home: Path
) -> None:
    model, seen = asked(give)
    answers = Cached(model).answers(PROMPTS, Decoding(8))
    assert [a.text for i, a in enumerate(answers) if i != 3] == ["tea"] * 6
    found = answers[3]
    assert (found.text, found.truncated) == (becomes.text or "", becomes.cut)
    assert (found.error is None) == (becomes.text is not None)
    assert becomes.why in (found.error or "")
    assert len(seen) == becomes.tries
    Cached(model).answers(PROMPTS, Decoding(8))
    assert (len(seen) > becomes.tries) == (becomes.text is None)


@pytest.mark.parametrize(("give", "says"), ENDS.values(), ids=ENDS.keys())
def test_what_every_request_would_get_ends_the_evaluation_with_its_fix(
    give: Give, says: str
) -> None:
    model, seen = asked(give)
    with pytest.raises(SetupError, match=says):
        model.answers(PROMPTS, Decoding(8))
    assert len(seen) == 1


def test_there_are_at_least_forty_replies() -> None:
    assert len(REPLIES) + len(ENDS) >= 40


@pytest.mark.parametrize(
    ("headers", "wait"),
    [({"retry-after": "7"}, 7.0), ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5)],
)
def test_the_wait_that_a_server_asks_for_is_kept(headers: dict[str, str], wait: float) -> None:
    waits: list[float] = []
    model, _ = asked(body({"error": {"code": 503, "message": "busy"}}, 429, **headers), waits)
    model.answers(PROMPTS, Decoding(8))
    assert waits == [wait] * 2


THOUGHT = "<think>Question: how many? 3 + 5.</think>8\n#### 8"


def test_a_stop_string_inside_a_thought_ends_nothing() -> None:
    model, seen = asked(chat(content=f"{THOUGHT} Question: next"))
    found = model.answers(PROMPTS, Decoding(8, stop=("Question:",)))[3]
    assert found.text == f"{THOUGHT} "
    assert "stop" not in json.loads(seen[0])


def test_a_thought_that_a_server_ended_at_a_stop_string_is_asked_for_again() -> None:
    seen: list[dict[str, Any]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(json.loads(request.content))
        text = "<think>so " if "stop" in seen[-1] else f"{THOUGHT}\nQuestion: next"
        return httpx.Response(200, json={"choices": [{"text": text, "finish_reason": "stop"}]})

    spec = Endpoint(kind="endpoint", url="http://made/v1", name="m")
    model = EndpointModel(spec, transport=httpx.MockTransport(handle))
    text = Prompt([{"role": "text", "content": "3 + 5 ="}])
    (found,) = model.answers([text], Decoding(8, stop=("Question:",)))
    assert found.text == f"{THOUGHT}\n"
    assert [request.get("stop") for request in seen] == [["Question:"], None]
    assert not has_unclosed_reasoning(found.text)
