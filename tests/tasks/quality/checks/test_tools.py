import json
from typing import Any

import pytest

from tasks.quality.checks.tools import find_row_faults


def _tools(*names: str) -> str:
    return json.dumps(
        [{"name": n, "description": "x", "parameters": {"type": "object"}} for n in names]
    )


def _message(role: str, *calls: tuple[str, str], answers: str | None = None) -> dict[str, Any]:
    made = [{"id": i, "name": n, "arguments": {}} for i, n in calls]
    return {
        "role": role,
        "content": "x",
        "tool_call_id": answers,
        "tool_calls": json.dumps(made) if made else None,
    }


ASK, SAY = _message("user"), _message("assistant")
USE, GIVE = _message("assistant", ("a", "f")), _message("tool", answers="a")
BOTH = _message("assistant", ("a", "f"), ("b", "f"))


@pytest.mark.parametrize(
    "messages",
    [
        [ASK, USE, GIVE, SAY],
        [ASK, USE],
        [ASK, BOTH, _message("tool", answers="b"), GIVE, SAY],
        [ASK, USE, GIVE, ASK, SAY],
        [ASK, SAY],
    ],
)
def test_sound_use_has_no_fault(messages: list[dict[str, Any]]) -> None:
    assert find_row_faults(messages, _tools("f")) == set()


@pytest.mark.parametrize(
    ("messages", "faults"),
    [
        ([ASK, GIVE, SAY], {"tool_result_early"}),
        ([ASK, USE, GIVE, GIVE, SAY], {"tool_result_twice"}),
        ([ASK, USE, ASK, SAY], {"tool_result_missing"}),
        ([ASK, BOTH, GIVE], {"tool_result_missing"}),
        ([ASK, USE, GIVE, USE], {"tool_id_twice"}),
        ([ASK, _message("assistant", ("a", "g")), GIVE, SAY], {"tool_unknown"}),
        ([_message("user", ("a", "f")), GIVE, SAY], {"tool_place"}),
    ],
)
def test_each_fault_of_use_is_told_from_the_others(
    messages: list[dict[str, Any]], faults: set[str]
) -> None:
    assert find_row_faults(messages, _tools("f")) == faults


def test_faults_of_definitions() -> None:
    tools = json.loads(_tools("f", "f")) + [{"name": "g", "description": " ", "parameters": {}}]
    assert find_row_faults([ASK, SAY], json.dumps(tools)) == {
        "tool_name_twice",
        "tool_undescribed",
        "tool_untyped",
    }
    assert find_row_faults([ASK, USE, GIVE, SAY], None) == {"tools_missing"}
