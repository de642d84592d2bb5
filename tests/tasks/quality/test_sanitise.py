import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.quality import Quality
from configs.sources import FilesSource
from tasks.artifacts import Snapshot
from tasks.quality.checks.reserved import Sanitiser, find_reserved_tokens, reserved_pattern
from tasks.quality.checks.row_batch import CheckContext
from tasks.quality.report import load_verdict
from tasks.quality.sanitise import sanitise
from tasks.quality.stage import clean_source
from tasks.text.rows import ROW_SCHEMA, row_id

Row = Callable[..., dict[str, Any]]
ANY = "none"
NOVA = "nova-lite-2-sft"


def _reserved(table: Any, target: Any) -> list[bool]:
    (batch,) = CheckContext(table, Quality(target=target)).batches()
    found: list[bool] = find_reserved_tokens(batch).tolist()
    return found


def _table(*rows: dict[str, Any]) -> Any:
    return pa.Table.from_pylist(list(rows), schema=ROW_SCHEMA)


@pytest.mark.parametrize(
    ("text", "target", "clean_text", "counts"),
    [
        ("User: hi", NOVA, "User : hi", {"User:": 1}),
        ("SYSTEM: a System: b", NOVA, "SYSTEM : a System : b", {"SYSTEM:": 1, "System:": 1}),
        ("user: hi, Users", NOVA, "user: hi, Users", {}),
        ("User: hi", ANY, "User: hi", {}),
        (
            "a[EOS]b<image>c<video>d<unk>",
            NOVA,
            "abcd",
            {"[EOS]": 1, "<image>": 1, "<video>": 1, "<unk>": 1},
        ),
        ("a<|im_end|>b<image>", ANY, "ab<image>", {"<|im_end|>": 1}),
        ("<u<unk>nk>", ANY, "", {"<unk>": 2}),
    ],
)
def test_words_are_parted_from_their_colon_and_signs_go(
    text: str, target: str, clean_text: str, counts: dict[str, int]
) -> None:
    work = Sanitiser(target)
    assert work.clean(text) == clean_text
    assert dict(work.counts) == counts


pieces = st.lists(
    st.sampled_from(
        [
            "User:",
            "Bot",
            ":",
            " ",
            "<unk>",
            "<u",
            "nk>",
            "[EOS]",
            "[E",
            "OS]",
            "<|",
            "a",
            "|>",
            "</s>",
        ]
    ),
    max_size=12,
).map("".join)


@given(text=pieces)
def test_what_is_left_holds_no_reserved_token_and_stays_as_it_is(text: str) -> None:
    done = Sanitiser(NOVA).clean(text)
    again = Sanitiser(NOVA)
    assert again.clean(done) == done
    assert not again.counts
    assert len(done) <= len(text) + text.count(":")


def test_a_changed_row_is_another_row_and_the_others_stay(row: Row) -> None:
    rows = [row("fine", "x"), row("say </s>", "User: x", label="User: x"), row("fine too", "y")]
    done = sanitise(_table(*rows), NOVA)
    first, changed, last = done.table.to_pylist()
    assert (done.rows, done.tokens) == (1, {"</s>": 1, "User:": 1})
    assert [first["row_id"], last["row_id"]] == [rows[0]["row_id"], rows[2]["row_id"]]
    assert [m["content"] for m in changed["messages"]] == ["say ", "User : x"]
    assert changed["label"] == "User : x"
    assert changed["row_id"] == row_id(changed["messages"]) != rows[1]["row_id"]


def test_reasoning_arguments_tools_and_the_rejected_answer_are_sanitised_too(row: Row) -> None:
    calls = json.dumps([{"id": "c", "name": "f", "arguments": {"q": ["<unk>", 1]}}])
    made = row(
        "",
        messages=[
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": "", "reasoning": "Bot: hm", "tool_calls": calls},
        ],
        rejected={"role": "assistant", "content": "a [EOS]"},
        tools='[{"name":"f","description":"<image>","parameters":{"type":"object"}}]',
    )
    done = sanitise(_table(made), NOVA)
    assert done.tokens == {"<unk>": 1, "Bot:": 1, "[EOS]": 1, "<image>": 1}
    assert not any(_reserved(done.table, NOVA))
    (kept,) = done.table.to_pylist()
    assert json.loads(kept["messages"][1]["tool_calls"])[0]["arguments"] == {"q": ["", 1]}


def test_rows_without_tokens_are_the_same_table(row: Row) -> None:
    table = _table(row("fine"))
    assert sanitise(table, ANY).table is table
    assert sanitise(_table(), NOVA).rows == 0


def test_a_source_is_sanitised_instead_of_set_aside_and_the_verdict_counts(
    row: Row, snapshot_of: Callable[..., Snapshot], source: Callable[..., FilesSource]
) -> None:
    rows = [row(f"question {i}", label="ab"[i % 2]) for i in range(30)]
    rows += [row("say <|im_end|> now", label="a"), row("User: hello", label="b")]
    snapshot = snapshot_of(rows)
    kept = clean_source(snapshot, source(), Quality(sanitise=True), 17)
    assert (kept.verdict, kept.rows_out) == ("pass", 32)
    verdict = load_verdict(kept)
    assert (verdict.sanitised, verdict.tokens) == (1, {"<|im_end|>": 1})
    aside = clean_source(snapshot, source(), Quality(), 17)
    assert aside.findings["reserved_tokens"] == 1


def test_a_nova_target_reserves_more(row: Row) -> None:
    table = _table(row("User: hello"), row("a <image> b"), row("a user: b"), row("</s>"))
    found = {target: _reserved(table, target) for target in (ANY, NOVA)}
    assert found == {ANY: [False, False, False, True], NOVA: [True, True, False, True]}
    assert reserved_pattern(ANY) in reserved_pattern(NOVA)
