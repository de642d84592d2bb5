from typing import Any

import pytest

from tasks.evaluation.tool_calls.said import Call, calls_said

ONE = [Call("find", {"city": "Rome", "days": 2})]


@pytest.mark.parametrize(
    "answer",
    [
        '{"name": "find", "arguments": {"city": "Rome", "days": 2}}',
        '{"name": "find", "parameters": {"city": "Rome", "days": 2}}',
        '[{"name": "find", "arguments": {"city": "Rome", "days": 2}}]',
        '<tool_call>\n{"name": "find", "arguments": {"city": "Rome", "days": 2}}\n</tool_call>',
        '[TOOL_CALLS] [{"name": "find", "arguments": {"city": "Rome", "days": 2}}]',
        '<|python_tag|>{"name": "find", "parameters": {"city": "Rome", "days": 2}}',
        '<function=find>{"city": "Rome", "days": 2}</function>',
        'Sure.\n```json\n{"name": "find", "arguments": {"city": "Rome", "days": 2}}\n```',
        '{"tool_calls": [{"id": "1", "type": "function", "function": {"name": "find",'
        ' "arguments": "{\\"city\\": \\"Rome\\", \\"days\\": 2}"}}]}',
        "find(city='Rome', days=2)",
        "[find(city='Rome', days=2)]",
        "```python\nfind(city='Rome', days=2)\n```",
        '<think>{"name": "other", "arguments": {}}</think>find(days=2, city="Rome")',
    ],
)
def test_a_call_is_read_however_it_is_written(answer: str) -> None:
    assert calls_said(answer, {"find"}) == ONE


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "It is sunny in Rome.",
        '{"name": "Bob", "age": 3}',
        '{"name": 3, "arguments": {}}',
        '{"name": "find", "arguments": ',
        "find(Rome)",
        "print",
        "{" * 5000,
        "a(" * 500,
        "I would call find(city='Rome') now.",
        '{"name": "find", "arguments": [1]}',
        "<think>find(city='Rome')",
    ],
)
def test_what_is_no_call_is_none(answer: str) -> None:
    assert calls_said(answer) == []


def test_several_calls_come_in_their_order() -> None:
    answer = '{"name": "a", "arguments": {}} and {"name": "b", "arguments": {"x": {"y": 1}}}'
    assert [c.name for c in calls_said(answer)] == ["a", "b"]


@pytest.mark.parametrize(("offered", "found"), [({"now"}, [Call("now", {})]), (set(), [])])
def test_a_name_alone_is_a_call_where_the_tool_is_offered(
    offered: set[str], found: list[Any]
) -> None:
    assert calls_said('{"name": "now"}', offered) == found
