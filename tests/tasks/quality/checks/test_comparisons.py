from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from configs.quality import Quality
from tasks.quality.checks.comparisons import (
    Comparison,
    find_duplicates,
    find_inconsistent,
    find_label_conflicts,
    find_missing_label,
)
from tasks.quality.checks.row_batch import CheckContext
from tasks.quality.row_table import build_identities
from tasks.text.rows import ROW_SCHEMA

Row = Callable[..., dict[str, Any]]
PLAIN = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
LED = [{"role": "system", "content": "s"}, *PLAIN]
THOUGHT = [PLAIN[0], PLAIN[1] | {"reasoning": "hm"}]


def _table(rows: list[dict[str, Any]]) -> Any:
    return pa.Table.from_pylist([{"row_id": "x"} | r for r in rows], schema=ROW_SCHEMA)


def _compared(rows: list[dict[str, Any]], sound: Any = None) -> Comparison:
    table = _table(rows)
    every = np.ones(len(rows), dtype=bool)
    context = CheckContext(table, Quality())
    return Comparison(context, build_identities(table), every if sound is None else sound, True)


@pytest.mark.parametrize(
    ("name", "with_it"),
    [
        ("system", {"messages": LED}),
        ("tools", {"messages": PLAIN, "tools": "[]"}),
        ("reasoning", {"messages": THOUGHT}),
    ],
)
def test_the_fewer_are_found_and_on_a_tie_those_without(name: str, with_it: Any) -> None:
    def found(*rows: dict[str, Any]) -> list[int]:
        return np.flatnonzero(find_inconsistent(name)(_compared(list(rows)))).tolist()

    without = {"messages": PLAIN}
    assert found(without, with_it, without) == [1]
    assert found(with_it, without, with_it) == [1]
    assert found(with_it, without) == [1]
    assert found(with_it, with_it) == []
    assert found(without, without) == []
    assert found() == []


@pytest.mark.parametrize(
    ("labels", "role", "labelled", "missing"),
    [
        (["a", None, " ", "b"], "domain", True, [1, 2]),
        (["a", None, " ", "b"], "general", True, []),
        (["a", None, " ", "b"], "domain", False, []),
        ([None, " "], "domain", True, []),
    ],
)
def test_a_domain_row_without_a_label_is_found_only_where_labels_are_given(
    labels: list[str | None], role: str, labelled: bool, missing: list[int]
) -> None:
    table = _table([{"messages": PLAIN, "label": label} for label in labels])
    context = CheckContext(table, Quality(), role, labelled=labelled)
    (batch,) = context.batches()
    assert np.flatnonzero(find_missing_label(batch)).tolist() == missing


def test_a_repeated_text_is_found_but_for_the_first(row: Row) -> None:
    rows = [
        row("Is it on?", "Yes."),
        row("is it ON", "yes"),
        row("Is it on?", "No."),
        row("Is it on?", "Yes."),
    ]
    assert find_duplicates(_compared(rows)).tolist() == [False, True, False, True]


def test_texts_of_signs_alone_are_told_apart(row: Row) -> None:
    rows = [row("?", "!"), row("!", "?"), row("?", "!")]
    assert find_duplicates(_compared(rows)).tolist() == [False, False, True]


def test_a_row_that_is_broken_does_not_stand_for_its_copy(row: Row) -> None:
    rows = [row("is it on"), row("is it on")]
    sound = np.array([False, True])
    assert not find_duplicates(_compared(rows, sound)).any()


def test_rows_of_different_given_splits_are_no_duplicates(row: Row) -> None:
    rows = [row("a"), row("a", split="test"), row("a", split="test")]
    assert find_duplicates(_compared(rows)).tolist() == [False, False, True]


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
    found = find_label_conflicts(_compared(rows))
    assert np.flatnonzero(found).tolist() == [0, 1, 3]
