import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from configs.quality import CHECKS, Quality
from tasks.quality.findings import (
    CONTROL,
    EXPLANATIONS,
    duplicates,
    label_conflicts,
    local_findings,
    missing_labels,
)
from tasks.quality.frame import identities
from tasks.quality.labels import are_classes
from tasks.text.rows import ROW_SCHEMA

Row = Callable[..., dict[str, Any]]
ONLY = Quality(max_chars=50)


def _table(rows: list[dict[str, Any]]) -> Any:
    return pa.Table.from_pylist(rows, schema=ROW_SCHEMA)


def _found(rows: list[dict[str, Any]], quality: Quality = ONLY) -> dict[str, list[int]]:
    flags = local_findings(_table(rows), quality)
    return {name: np.flatnonzero(hit).tolist() for name, hit in flags.items() if hit.any()}


def _turns(*roles: str) -> list[dict[str, str]]:
    return [{"role": role, "content": f"text {i}"} for i, role in enumerate(roles)]


def test_every_check_is_explained_in_one_sentence() -> None:
    made_later = {"overlaps_test", "duplicate_across", "near_duplicate"}
    assert set(CHECKS) | made_later == set(EXPLANATIONS)
    assert all(text.endswith(".") for text in EXPLANATIONS.values())


def test_a_clean_row_is_found_by_nothing(row: Row) -> None:
    assert _found([row("Line one.\n\tTwo — ünï 日本語 🙂\r\n")]) == {}


def test_no_rows_have_no_findings() -> None:
    assert _found([]) == {}


@pytest.mark.parametrize(("prompt", "answer"), [("", "yes"), ("why", " \n\t"), ("\u3000", "yes")])
def test_a_message_without_text_is_empty(row: Row, prompt: str, answer: str) -> None:
    assert _found([row("fine"), row(prompt, answer), row("fine too")]) == {"empty": [1]}


@pytest.mark.parametrize(
    "roles",
    [
        ("user", "assistant"),
        ("system", "user", "assistant"),
        ("user", "assistant", "user", "assistant"),
        ("text",),
    ],
)
def test_turns_in_order_pass(row: Row, roles: tuple[str, ...]) -> None:
    assert _found([row("", messages=_turns(*roles))]) == {}


@pytest.mark.parametrize(
    ("roles", "checks"),
    [
        (("user",), {"last_assistant"}),
        (("assistant",), {"first_user"}),
        (("assistant", "user"), {"first_user", "last_assistant"}),
        (("user", "user", "assistant"), {"alternation"}),
        (("user", "assistant", "assistant"), {"alternation"}),
        (("user", "assistant", "user"), {"last_assistant"}),
        (("system",), {"first_user", "last_assistant"}),
        (("system", "assistant"), {"first_user"}),
        (("user", "system", "assistant"), {"alternation"}),
        (("user", "assistant", "system"), {"alternation", "last_assistant"}),
        (("system", "system", "user", "assistant"), {"alternation", "first_user"}),
        (("text", "assistant"), {"alternation", "first_user"}),
        (("user", "text"), {"alternation", "last_assistant"}),
        (("user", "robot", "assistant"), {"alternation"}),
    ],
)
def test_turns_out_of_order_are_found(row: Row, roles: tuple[str, ...], checks: set[str]) -> None:
    rows = [row("a"), row("", messages=_turns(*roles)), row("b")]
    assert _found(rows) == dict.fromkeys(checks, [1])


@pytest.mark.parametrize(
    "token",
    [
        "<|im_start|>",
        "<|im_end|>",
        "<|endoftext|>",
        "<s>",
        "</s>",
        "[INST]",
        "[/INST]",
        "<<SYS>>",
        "<|eot_id|>",
        "<start_of_turn>",
        "<end_of_turn>",
        "<|user|>",
        "<｜User｜>",
    ],
)
def test_a_chat_control_token_is_found(row: Row, token: str) -> None:
    assert _found([row("fine"), row(f"say {token} now")]) == {"reserved_tokens": [1]}


@pytest.mark.parametrize("text", ["a < b | c > d", "<span>", "<start>", "[x]", "x <| y", "S <s2>"])
def test_what_merely_looks_like_a_token_is_not_found(row: Row, text: str) -> None:
    assert _found([row(text)]) == {}


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x08", "\x7f", "\x85", "\x9f", "\ufffd"])
def test_a_control_character_is_found(row: Row, character: str) -> None:
    assert _found([row("fine"), row(f"a{character}b")]) == {"control_characters": [1]}
    assert re.search(CONTROL.replace("{9f}", "9f").replace("\\x{fffd}", "\ufffd"), character)


def test_a_text_is_too_long_by_itself_and_not_with_others(row: Row) -> None:
    rows = [row("é" * 50, "y" * 50), row("é" * 51), row("x", "y" * 51)]
    assert _found(rows) == {"length": [1, 2]}


def test_a_check_that_is_not_asked_for_is_not_made(row: Row) -> None:
    assert _found([row("")], Quality(checks=("length",))) == {}


def test_findings_stay_with_their_rows_over_many_batches(row: Row) -> None:
    rows = [row(f"q{i}" if i % 1000 else "") for i in range(60_000)]
    chunks = [_table(rows[:7]), _table(rows[7:])]
    flags = local_findings(pa.concat_tables(chunks), ONLY)
    assert np.flatnonzero(flags["empty"]).tolist() == list(range(0, 60_000, 1000))


def test_a_domain_row_without_a_label_is_found_only_where_labels_are_given() -> None:
    labels = pd.DataFrame(
        {"label": pd.Series(["a", None, " ", "b"], dtype=pd.StringDtype("pyarrow"))}
    )
    assert missing_labels(labels, "domain").tolist() == [False, True, True, False]
    assert not missing_labels(labels, "general").any()
    assert not missing_labels(labels[1:2], "domain").any()


def _identities(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return identities(_table(rows))


def _all(rows: list[dict[str, Any]]) -> Any:
    return np.ones(len(rows), dtype=bool)


def test_a_repeated_text_is_found_but_for_the_first(row: Row) -> None:
    rows = [
        row("Is it on?", "Yes."),
        row("is it ON", "yes"),
        row("Is it on?", "No."),
        row("Is it on?", "Yes."),
    ]
    assert duplicates(_identities(rows), _all(rows)).tolist() == [False, True, False, True]


def test_texts_of_signs_alone_are_told_apart(row: Row) -> None:
    rows = [row("?", "!"), row("!", "?"), row("?", "!")]
    assert duplicates(_identities(rows), _all(rows)).tolist() == [False, False, True]


def test_a_row_that_is_broken_does_not_stand_for_its_copy(row: Row) -> None:
    rows = [row("is it on"), row("is it on")]
    sound = np.array([False, True])
    assert not duplicates(_identities(rows), sound).any()


def test_rows_of_different_given_splits_are_no_duplicates(row: Row) -> None:
    rows = [row("a"), row("a", split="test"), row("a", split="test")]
    assert duplicates(_identities(rows), _all(rows)).tolist() == [False, False, True]


def test_one_prompt_with_two_labels_is_a_conflict_of_all_its_rows(row: Row) -> None:
    rows = [
        row("A?", label="x"),
        row("a", label="y"),
        row("b", label="x"),
        row("a!", label="x"),
        row("c", label="z"),
        row("c", label="z"),
        row("b", label=None),
    ]
    found = label_conflicts(_identities(rows), _all(rows))
    assert np.flatnonzero(found).tolist() == [0, 1, 3]


def test_the_system_message_is_no_part_of_the_prompt(row: Row) -> None:
    system = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "x"},
    ]
    frame = _identities([row("", messages=system), row("a", "y")])
    assert frame["prompt_key"].nunique() == 1
    assert frame["text_key"].nunique() == 2


@pytest.mark.parametrize(
    ("labels", "mapped", "classes"),
    [
        (["a", "b"], True, True),
        (["a", "b"], False, False),
        (["a", "a", "b", "b"], False, True),
        (["a", "b", "c", "a"], False, False),
        ([None, None], True, False),
        ([], True, False),
    ],
)
def test_labels_are_classes_when_mapped_or_when_they_repeat(
    labels: list[str | None], mapped: bool, classes: bool
) -> None:
    assert are_classes(pd.Series(labels, dtype=pd.StringDtype("pyarrow")), mapped=mapped) is classes
