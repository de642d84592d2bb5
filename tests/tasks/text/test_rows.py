import hashlib
import json

import pyarrow as pa
import pytest

from tasks.text.rows import ROW_SCHEMA, Message, full_text, given, is_plain, prompt_text, row_id

TALK = [Message(role="user", content="hü?"), Message(role="assistant", content="yes")]
CALLS = '[{"id":"c1","name":"f","arguments":{}}]'


def test_a_plain_row_is_known_by_its_roles_and_texts_alone() -> None:
    pairs = json.dumps(
        [["user", "hü?"], ["assistant", "yes"]], ensure_ascii=False, separators=(",", ":")
    )
    assert row_id(TALK) == hashlib.sha256(pairs.encode()).hexdigest()[:32]
    unset = [Message(**m, reasoning=None, tool_calls=None, tool_call_id=None) for m in TALK]
    assert row_id(unset, None, None, None) == row_id(TALK)


def test_everything_that_is_set_is_part_of_the_identity() -> None:
    other = Message(role="assistant", content="no")
    thought = [TALK[0], Message(role="assistant", content="yes", reasoning="hm")]
    used = [TALK[0], Message(role="assistant", content="yes", tool_calls=CALLS)]
    made = {
        row_id(TALK),
        row_id(TALK, "[]"),
        row_id(TALK, None, other),
        row_id(TALK, None, TALK[1]),
        row_id(TALK, None, None, "null"),
        row_id(thought),
        row_id(used),
    }
    assert len(made) == 7


def test_a_row_keeps_all_it_has_in_the_one_schema() -> None:
    messages = [*TALK, Message(role="tool", content="r", tool_call_id="c1")]
    row = {
        "row_id": "x",
        "messages": messages,
        "rejected": TALK[1],
        "tools": "[]",
        "reference": "null",
        "extra": ["id"],
    }
    (back,) = pa.Table.from_pylist([row], schema=ROW_SCHEMA).to_pylist()
    assert [given(m) for m in back["messages"]] == messages
    assert given(back["rejected"]) == TALK[1]
    assert (back["tools"], back["reference"], back["extra"]) == ("[]", "null", ["id"])


def test_reasoning_and_calls_are_part_of_the_text() -> None:
    use = Message(role="assistant", content="", reasoning="hm", tool_calls=CALLS)
    assert full_text([TALK[0], use]) == f"hü?\nhm\n{CALLS}"
    assert prompt_text([TALK[0], use]) == "hü?"


@pytest.mark.parametrize("name", ["tools", "rejected", "reference"])
def test_a_row_with_more_than_texts_is_not_plain(name: str) -> None:
    assert is_plain({"messages": TALK, name: None})
    assert not is_plain({"messages": TALK, name: "x"})
    assert not is_plain({"messages": [{**TALK[1], "reasoning": "hm"}]})
