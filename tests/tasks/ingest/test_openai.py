import json
from typing import Any

import pytest

from tasks.errors import Unusable
from tasks.ingest.converse import convert_converse
from tasks.ingest.openai import convert_messages, convert_sharegpt

WEATHER = {
    "name": "weather",
    "description": "Today's weather.",
    "parameters": {"type": "object", "properties": {"city": {}}},
}
CALL = {"id": "c1", "name": "weather", "arguments": {"city": "Ulm"}}

OPENAI: dict[str, Any] = {
    "tools": [{"type": "function", "function": WEATHER}],
    "messages": [
        {"role": "user", "content": "Weather in Ulm?"},
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "I need to look.",
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city": "Ulm"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
        {"role": "assistant", "content": [{"type": "text", "text": "It rains."}]},
    ],
}
CONVERSE: dict[str, Any] = {
    "schemaVersion": "bedrock-conversation-2024",
    "toolConfig": {
        "tools": [
            {
                "toolSpec": {
                    "name": "weather",
                    "description": "Today's weather.",
                    "inputSchema": {"json": WEATHER["parameters"]},
                }
            }
        ]
    },
    "messages": [
        {"role": "user", "content": [{"text": "Weather in Ulm?"}]},
        {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "I need to look."}}},
                {"toolUse": {"toolUseId": "c1", "name": "weather", "input": {"city": "Ulm"}}},
            ],
        },
        {
            "role": "user",
            "content": [{"toolResult": {"toolUseId": "c1", "content": [{"text": "rain"}]}}],
        },
        {"role": "assistant", "content": [{"text": "It rains."}]},
    ],
}
SHAREGPT: dict[str, Any] = {
    "tools": json.dumps([WEATHER]),
    "conversations": [
        {"from": "human", "value": "Weather in Ulm?"},
        {"from": "function_call", "value": '{"name": "weather", "arguments": {"city": "Ulm"}}'},
        {"from": "observation", "value": "rain"},
        {"from": "gpt", "value": "It rains."},
    ],
}


def test_openai_and_converse_say_the_same_in_one_form() -> None:
    one, two = convert_messages(OPENAI), convert_converse(CONVERSE)
    assert one == two
    user, use, result, answer = one.messages
    assert json.loads(one.tools or "") == [WEATHER]
    assert json.loads(use["tool_calls"] or "") == [CALL]
    assert (use["content"], use["reasoning"]) == ("", "I need to look.")
    assert result == {"role": "tool", "content": "rain", "tool_call_id": "c1"}
    assert (user["content"], answer["content"]) == ("Weather in Ulm?", "It rains.")


def test_sharegpt_calls_get_ids_that_their_observations_share() -> None:
    fields = convert_sharegpt(SHAREGPT)
    assert fields.tools == convert_messages(OPENAI).tools
    assert [m["role"] for m in fields.messages] == ["user", "assistant", "tool", "assistant"]
    assert json.loads(fields.messages[1]["tool_calls"] or "") == [{**CALL, "id": "call_1"}]
    assert fields.messages[2]["tool_call_id"] == "call_1"


def test_a_function_call_of_old_is_a_tool_call() -> None:
    fields = convert_messages(
        {
            "functions": [WEATHER],
            "messages": [
                {"role": "user", "content": "Weather?"},
                {
                    "role": "assistant",
                    "content": None,
                    "function_call": {"name": "weather", "arguments": '{"city": "Ulm"}'},
                },
                {"role": "function", "name": "weather", "content": "rain"},
                {"role": "assistant", "content": "Rain."},
            ],
        }
    )
    assert json.loads(fields.messages[1]["tool_calls"] or "") == [{**CALL, "id": "call_1"}]
    assert fields.messages[2]["tool_call_id"] == "call_1"


def test_results_without_ids_answer_the_calls_in_their_order() -> None:
    calls = [{"function": {"name": n, "arguments": {}}} for n in ("a", "b")]
    fields = convert_messages(
        {
            "messages": [
                {"role": "user", "content": "x"},
                {"role": "assistant", "content": "", "tool_calls": calls},
                {"role": "tool", "content": "of a"},
                {"role": "tool", "content": "of b"},
                {"role": "tool", "content": "of none"},
            ]
        }
    )
    assert [m["tool_call_id"] for m in fields.messages[2:]] == ["call_1", "call_2", None]


def test_results_beside_a_question_come_before_it() -> None:
    row = json.loads(json.dumps(CONVERSE))
    row["messages"][2]["content"].insert(0, {"text": "And in Bonn?"})
    assert [(m["role"], m["content"]) for m in convert_converse(row).messages[2:4]] == [
        ("tool", "rain"),
        ("user", "And in Bonn?"),
    ]


def test_a_result_may_be_json() -> None:
    row = json.loads(json.dumps(CONVERSE))
    row["messages"][2]["content"][0]["toolResult"]["content"] = [{"json": {"sky": "grey"}}]
    assert convert_converse(row).messages[2]["content"] == '{"sky":"grey"}'


def test_a_tool_without_parameters_takes_none() -> None:
    fields = convert_messages(
        {**OPENAI, "tools": [{"function": {"name": "now", "description": "x"}}]}
    )
    (tool,) = json.loads(fields.tools or "")
    assert tool["parameters"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize("name", ["image", "video", "document"])
def test_media_of_converse_are_refused_with_their_name(name: str) -> None:
    row = json.loads(json.dumps(CONVERSE))
    row["messages"][0]["content"].append({name: {"format": "x", "source": {}}})
    with pytest.raises(Unusable, match=f"message 1: a content block is '{name}': media"):
        convert_converse(row)
    row = json.loads(json.dumps(CONVERSE))
    row["messages"][2]["content"][0]["toolResult"]["content"] = [{name: {}}]
    with pytest.raises(Unusable, match=f"toolResult: a content block is '{name}': media"):
        convert_converse(row)


@pytest.mark.parametrize("name", ["image_url", "input_audio", "file", "video"])
def test_media_of_openai_are_refused_with_their_name(name: str) -> None:
    block = {"type": name, name: {"url": "x"}}
    with pytest.raises(Unusable, match=f"'{name}': media"):
        convert_messages({"messages": [{"role": "user", "content": [block]}]})


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ({"function": {"name": "f", "arguments": "{cut"}}, "the arguments of 'f': not JSON"),
        ({"function": {"name": "f", "arguments": "[1]"}}, "'f' are not an object"),
        ({"function": {"arguments": "{}"}}, "has no name"),
        ("f()", "a tool call is not an object"),
    ],
)
def test_a_call_that_cannot_be_made_is_refused(call: Any, reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        convert_messages({"messages": [{"role": "assistant", "content": "", "tool_calls": [call]}]})


@pytest.mark.parametrize(
    ("tools", "reason"),
    [
        ("{cut", "tools: not JSON"),
        ({"name": "f"}, "not a list"),
        ([1], "number 1 is not a tool"),
        ([{"function": {"name": "f", "parameters": "x"}}], "the parameters of 'f'"),
    ],
)
def test_tools_that_are_none_are_refused(tools: Any, reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        convert_messages({**OPENAI, "tools": tools})
