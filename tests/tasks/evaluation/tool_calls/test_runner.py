import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.scripted_model import Scripted

from configs.suites.behaviour import ToolCallsSuite
from tasks.errors import EvaluationError
from tasks.evaluation.items import write_items
from tasks.evaluation.tool_calls.runner import open_tool_calls
from tasks.metrics.estimates import estimate_all
from tasks.models.api import Prompt

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"name": "find", "description": "d", "parameters": CITY}]


def row(city: str) -> dict[str, Any]:
    """A question, the call it needs, its result, and the answer."""
    call = {"id": "c1", "name": "find", "arguments": {"city": city}}
    return {
        "messages": [
            {"role": "user", "content": f"Weather in {city}?"},
            {"role": "assistant", "content": "", "tool_calls": json.dumps([call])},
            {"role": "tool", "content": "sun", "tool_call_id": "c1"},
            {"role": "assistant", "content": "It is sunny."},
        ],
        "tools": json.dumps(TOOLS),
    }


def suite(**fields: Any) -> ToolCallsSuite:
    return ToolCallsSuite.model_validate({"kind": "tool_calls", "name": "t"} | fields)


def test_calls_due_and_not_due_are_judged(
    clean_source: Callable[..., Any], chat: Callable[..., Any], tmp_path: Path
) -> None:
    rows = [
        chat("", "") | row(city) | {"origin": f"made:{city}"} for city in ("Rome", "Oslo", "Bonn")
    ]
    source = clean_source(test=[*rows, chat("no tools", "at all")])
    section = suite(source="voc")
    runner = open_tool_calls(section, source, "test", 17)
    shown: list[Prompt] = []

    def say(prompt: Prompt) -> str:
        shown.append(prompt)
        city = "Oslo" if "Bonn" in prompt.messages[0]["content"] else "Rome"
        if prompt.messages[-1]["role"] == "tool" and city == "Rome":
            return "It is sunny."
        return json.dumps({"name": "find", "arguments": {"city": city}})

    rows_found = runner.run(Scripted(say))
    write_items(tmp_path / "items.parquet", "t", rows_found, None)
    found = estimate_all(tmp_path / "items.parquet", section.metric_table())
    assert {k: (pytest.approx(e.value), e.n) for k, e in found.items()} == {
        "right_function": (1.0, 3),
        "right_arguments": (1 / 3, 3),
        "valid_arguments": (1.0, 3),
        "no_call": (2 / 3, 3),
        "accuracy_of_calls": (0.5, 6),
    }
    assert len({r.cluster for r in rows_found}) == 3
    assert all(json.loads(p.tools or "") == TOOLS for p in shown)
    after = next(p for p in shown if len(p.messages) == 3)
    assert json.loads(after.messages[1]["tool_calls"] or "")[0]["id"] == "c1"


def test_openais_shape_is_read_from_files(tmp_path: Path) -> None:
    call = {
        "id": "x",
        "type": "function",
        "function": {"name": "find", "arguments": '{"city": "Rome"}'},
    }
    record = {
        "messages": [
            {"role": "user", "content": "Rome?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
        ],
        "tools": [{"type": "function", "function": TOOLS[0]}],
    }
    other = {**record, "messages": [{"role": "user", "content": "Oslo?"}, record["messages"][1]]}
    (tmp_path / "rows.jsonl").write_text(f"{json.dumps(record)}\n{json.dumps(other)}")
    runner = open_tool_calls(suite(path=str(tmp_path), due="calls"), None, "test", 17)
    assert [case.due[0].arguments for _, case in runner.cases] == [{"city": "Rome"}] * 2
    with pytest.raises(EvaluationError, match="where no call is due"):
        open_tool_calls(suite(path=str(tmp_path)), None, "test", 17)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tools": None}, "'tools' is no list of tools"),
        ({"tools": "[{]"}, "'tools' is not JSON"),
        ({"tools": [{"parameters": {}}]}, "'tools' has no name at number 1"),
        ({"tools": [{"name": "f", "parameters": {"type": 3}}]}, "parameters of 'f'"),
        ({"messages": "hello"}, "'messages' is not JSON"),
        ({"messages": [{"role": "bot"}]}, "'messages' is no list of turns"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": 1}]}]}, "call without name"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(row("Rome") | change))
    with pytest.raises(EvaluationError, match=said) as error:
        open_tool_calls(suite(path=str(tmp_path)), None, "test", 17)
    assert error.value.where.endswith("rows.jsonl:1")


def test_a_source_without_tools_is_refused(
    clean_source: Callable[..., Any], chat: Callable[..., Any]
) -> None:
    with pytest.raises(EvaluationError, match="no test rows with tools"):
        open_tool_calls(suite(source="voc"), clean_source(test=[chat("a", "b")]), "test", 17)


def test_on_dev_other_rows_are_asked_than_on_test(tmp_path: Path) -> None:
    for name, cities in (("held", ("Rome", "Oslo")), ("choose", ("Bonn", "Lima"))):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps(row(c)) for c in cities))
    held = suite(path=str(tmp_path / "held.jsonl"))
    with pytest.raises(EvaluationError, match="set dev_path"):
        open_tool_calls(held, None, "dev", 17)
    both = suite(path=held.path, dev_path=str(tmp_path / "choose.jsonl"))
    asked = {case.prompt[0]["content"] for _, case in open_tool_calls(both, None, "dev", 17).cases}
    assert asked == {"Weather in Bonn?", "Weather in Lima?"}
    assert open_tool_calls(both, None, "test", 17).ids == (
        open_tool_calls(held, None, "test", 17).ids
    )
