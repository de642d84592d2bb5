from typing import Any

import httpx
import pytest
from fakes.openai_server import FAULTS, Faults, Server, serving
from fakes.scripted_model import Scripted

from configs.models import Endpoint
from tasks.artifacts import LocalModel
from tasks.errors import SetupError
from tasks.models.api import Decoding, Prompt
from tasks.models.served.openai import EndpointModel

TIMEOUT_S, LATE_S = 2.0, 2.5


def endpoint(server: Server, **fields: Any) -> EndpointModel:
    spec = Endpoint(kind="endpoint", url=server.url, name="local", timeout_s=TIMEOUT_S, **fields)
    return EndpointModel(spec, wait=lambda _: None)


def prompts(count: int) -> list[Prompt]:
    return [Prompt([{"role": "user", "content": f"q{i}"}]) for i in range(count)]


def shout(prompt: Prompt) -> str:
    return prompt.messages[-1]["content"].upper()


def test_answers_through_the_server_are_the_models_own(tiny_model: LocalModel) -> None:
    pytest.importorskip("torch")
    from tasks.models.factory import open_model

    model = open_model(tiny_model, "float32")
    asked = [*prompts(4), Prompt([{"role": "text", "content": "what is 4 plus"}])]
    decoding = Decoding(12, stop=("8",))
    direct = model.answers(asked, decoding)
    with serving(model) as server:
        found = endpoint(server).answers(asked, decoding)
    assert [(a.text, a.truncated, a.prompt_tokens) for a in found] == [
        (a.text, a.truncated, a.prompt_tokens) for a in direct
    ]


@pytest.mark.parametrize("kind", FAULTS)
def test_each_kind_of_fault_is_survived(kind: Any) -> None:
    # Late is later than the longest wait, which leaves room for a machine that is busy.
    with serving(Scripted(shout), faults=Faults(0.5, (kind,), late_s=LATE_S)) as server:
        found = endpoint(server, attempts=15).answers(prompts(12), Decoding(4))
    assert [a.text for a in found] == [f"Q{i}" for i in range(12)]
    assert server.failed > 0
    assert server.requests >= 12 + server.failed


def test_a_fifth_of_calls_may_fail_and_no_item_is_lost() -> None:
    with serving(Scripted(shout), faults=Faults(0.2, late_s=LATE_S)) as server:
        found = endpoint(server, attempts=8).answers(prompts(80), Decoding(4))
    assert [a.text for a in found] == [f"Q{i}" for i in range(80)]
    assert all(a.error is None for a in found)
    assert server.failed >= 8


def test_tools_and_calls_reach_the_model_as_they_were() -> None:
    seen: list[Prompt] = []

    def answer(prompt: Prompt) -> str:
        seen.append(prompt)
        return ""

    messages: Any = [
        {
            "role": "assistant",
            "content": "see",
            "tool_calls": '[{"id":"c","name":"clock","arguments":{"zone":"UTC"}}]',
        },
        {"role": "tool", "content": "noon", "tool_call_id": "c"},
    ]
    tools = '[{"name":"clock","description":"d","parameters":{"type":"object"}}]'
    with serving(Scripted(answer)) as server:
        endpoint(server).answers([Prompt(messages, tools)], Decoding(4))
    assert seen == [Prompt(messages, tools)]


def test_it_lists_its_model_and_refuses_what_it_does_not_know() -> None:
    with serving(Scripted(shout), name="tiny") as server:
        (model,) = httpx.get(f"{server.url}/models").json()["data"]
        assert (model["id"], model["digest"]) == ("tiny", Scripted().digest)
        assert httpx.get(f"{server.url}/other").status_code == 404
        assert httpx.post(f"{server.url}/chat/completions", content=b"{").status_code == 400
        wrong = Endpoint(kind="endpoint", url=f"{server.url}/other", name="local")
        with pytest.raises(SetupError, match="status 404"):
            EndpointModel(wrong).answers(prompts(1), Decoding(4))
