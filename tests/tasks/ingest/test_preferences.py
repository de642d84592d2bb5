from typing import Any

import pytest

from tasks.errors import Unusable
from tasks.ingest.preferences import convert_dpo, convert_rft
from tasks.ingest.values import ConvertedRow

U = {"role": "user", "content": "q"}
GOOD, BAD = ({"role": "assistant", "content": c} for c in ("good", "bad"))


def _said(fields: ConvertedRow) -> list[tuple[str, str]]:
    return [(m["role"], m["content"]) for m in fields.messages]


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "q", "chosen": "good", "rejected": "bad"},
        {"prompt": [U], "chosen": [GOOD], "rejected": [BAD]},
        {"prompt": [U], "chosen": GOOD, "rejected": BAD},
        {"chosen": [U, GOOD], "rejected": [U, BAD]},
        {"prompt": "q", "chosen": [U, GOOD], "rejected": [U, BAD]},
    ],
)
def test_every_way_to_write_a_pair_is_one_row(row: dict[str, Any]) -> None:
    fields = convert_dpo(row)
    assert _said(fields) == [("user", "q"), ("assistant", "good")]
    assert fields.rejected == BAD


def test_a_system_prompt_leads_the_pair_and_unused_fields_are_named() -> None:
    fields = convert_dpo({"system": "s", "prompt": "q", "chosen": "a", "rejected": "b", "score": 3})
    assert _said(fields)[0] == ("system", "s")
    assert fields.extra == ("score",)


def test_a_prompt_with_its_system_message_is_the_longer_of_the_two() -> None:
    system = {"role": "system", "content": "s"}
    fields = convert_dpo({"prompt": [system, U], "chosen": [U, GOOD], "rejected": [U, BAD]})
    assert _said(fields) == [("system", "s"), ("user", "q"), ("assistant", "good")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "q", "chosen": "a"}, "has no 'rejected'"),
        ({"chosen": [U, GOOD], "rejected": [GOOD, BAD]}, "differ before"),
        ({"prompt": "other", "chosen": [U, GOOD], "rejected": [U, BAD]}, "'prompt' is not what"),
        ({"prompt": "q", "chosen": [GOOD, U], "rejected": [GOOD, BAD]}, "'chosen' ends with"),
        ({"prompt": "q", "chosen": {"score": 1}, "rejected": "b"}, "role 'None'"),
        ({"prompt": "q", "chosen": [[1]], "rejected": "b"}, "not an object"),
    ],
)
def test_a_pair_that_is_none_is_refused(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        convert_dpo(row)


@pytest.mark.parametrize(
    ("row", "reference"),
    [
        ({"messages": [U], "reference_answer": "42"}, '"42"'),
        ({"messages": [U], "reference_answer": {"n": [1]}, "id": "x"}, '{"n":[1]}'),
        (
            {"id": "x", "metadata": {"prompt": "q", "answer": "42", "task": "t"}},
            '{"answer":"42","task":"t"}',
        ),
        ({"metadata": {"prompt": [U]}}, "null"),
        ({"prompt": "q"}, "null"),
        ({"messages": [U], "reference_answer": {"n": None}}, "null"),
    ],
)
def test_a_question_carries_its_reference(row: dict[str, Any], reference: str) -> None:
    fields = convert_rft(row)
    assert _said(fields) == [("user", "q")]
    assert fields.reference == reference
    assert fields.extra == ()


def test_a_question_without_a_prompt_is_refused() -> None:
    with pytest.raises(Unusable, match="neither 'messages' nor a 'prompt'"):
        convert_rft({"metadata": {"task": "t"}})
