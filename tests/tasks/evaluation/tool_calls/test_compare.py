from typing import Any

import pytest

from tasks.evaluation.tool_calls.compare import (
    Call,
    compare,
    parse_calls,
    plain_schema,
    schema_problem,
)

TOOLS = [
    {
        "name": "find",
        "description": "",
        "parameters": {
            "type": "object",
            "required": ["city"],
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        },
    },
    {"name": "now", "description": "", "parameters": {}},
]
DUE = [Call("find", {"city": "Rome", "days": 2})]


@pytest.mark.parametrize(
    ("made", "function", "arguments", "valid"),
    [
        ([("find", {"days": 2.0, "city": " Rome "})], 1, 1, 1),
        ([("find", {"city": "Rome", "days": 2, "unit": None})], 1, 1, 1),
        ([("find", {"city": "Rome", "days": 3})], 1, 0, 1),
        ([("find", {"city": "Rome", "days": "2"})], 1, 0, 0),
        ([("find", {"city": "Rome", "days": True})], 1, 0, 0),
        ([("find", {"days": 2})], 1, 0, 0),
        ([("now", {})], 0, 0, 1),
        ([("seek", {"city": "Rome", "days": 2})], 0, 0, 0),
        ([("find", {"city": "Rome", "days": 2}), ("now", {})], 0, 0, 1),
        ([], 0, 0, 0),
    ],
)
def test_function_arguments_and_schema_are_judged_apart(
    made: list[tuple[str, dict[str, Any]]], function: int, arguments: int, valid: int
) -> None:
    found = compare([Call(*m) for m in made], DUE, TOOLS)
    assert found == {
        "right_function": function,
        "right_arguments": arguments,
        "valid_arguments": valid,
        "accuracy_of_calls": arguments,
    }


def test_parallel_calls_may_come_in_any_order() -> None:
    first, second = Call("now", {}), Call("find", {"city": "Rome"})
    assert compare([first, second], [second, first], TOOLS)["right_arguments"] == 1
    assert compare([first, first], [first, second], TOOLS)["right_function"] == 0


def test_no_call_is_right_where_none_is_due() -> None:
    assert compare([], [], TOOLS) == {"no_call": 1, "accuracy_of_calls": 1}
    assert compare([Call("now", {})], [], TOOLS) == {"no_call": 0, "accuracy_of_calls": 0}


def test_pythons_names_of_types_are_known() -> None:
    schema = {
        "type": "dict",
        "properties": {"a": {"type": "float"}, "b": {"type": "any"}, "type": {"type": "String"}},
    }
    assert plain_schema(schema) == {
        "type": "object",
        "properties": {"a": {"type": "number"}, "b": {}, "type": {"type": "string"}},
    }
    assert schema_problem(schema) is None
    assert "objct" in str(schema_problem({"type": "objct"}))


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
    assert parse_calls(answer, {"find"}) == ONE


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
    assert parse_calls(answer) == []


def test_several_calls_come_in_their_order() -> None:
    answer = '{"name": "a", "arguments": {}} and {"name": "b", "arguments": {"x": {"y": 1}}}'
    assert [c.name for c in parse_calls(answer)] == ["a", "b"]


@pytest.mark.parametrize(("offered", "found"), [({"now"}, [Call("now", {})]), (set(), [])])
def test_a_name_alone_is_a_call_where_the_tool_is_offered(
    offered: set[str], found: list[Any]
) -> None:
    assert parse_calls('{"name": "now"}', offered) == found
