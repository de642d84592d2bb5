from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.training import Overflow
from tasks.errors import DataError
from tasks.mixture.packing import copy_runs, cut_rows, fill_bins, pack_table, plan_packs

CAPACITY = 12
ROWS = st.lists(st.integers(1, 30), max_size=60)


def table(lengths: list[int]) -> pa.Table:
    """Rows whose tokens are all different, each token supervised."""
    total = iter(range(sum(lengths)))
    tokens = [[next(total) for _ in range(n)] for n in lengths]
    lists = pa.array(tokens, pa.list_(pa.int32()))
    return pa.table(
        {
            "input_ids": lists,
            "labels": lists,
            "position": pa.array(range(100, 100 + len(lengths)), pa.int64()),
            "source_id": pa.array([i % 3 for i in range(len(lengths))], pa.int32()),
        }
    )


def documents(packs: pa.Table) -> list[tuple[int, int, list[int], list[int]]]:
    """(position, source, tokens, labels) of every document, as a reader finds them."""
    found = []
    for pack in packs.to_pylist():
        at = 0
        for length, source, position in zip(
            pack["seq_lengths"], pack["source_ids"], pack["positions"], strict=True
        ):
            part = slice(at, at + length)
            found.append((position, source, pack["input_ids"][part], pack["labels"][part]))
            at += length
        assert at == len(pack["input_ids"]) == len(pack["labels"])
    return found


@given(ROWS, st.sampled_from(["drop", "split"]), st.integers(1, 20))
def test_every_token_is_there_once_or_its_row_is_dropped_whole(
    lengths: list[int], overflow: Overflow, window: int
) -> None:
    rows = table(lengths)
    found = documents(pack_table(rows, CAPACITY, overflow, window))
    for row in rows.to_pylist():
        parts = [tokens for position, _, tokens, _ in found if position == row["position"]]
        dropped = overflow == "drop" and len(row["input_ids"]) > CAPACITY
        assert sum(sorted(parts), []) == ([] if dropped else row["input_ids"])
        assert overflow == "split" or len(parts) == (not dropped)


@given(ROWS, st.integers(1, 20))
def test_packs_keep_capacity_source_and_window(lengths: list[int], window: int) -> None:
    packs = pack_table(table(lengths), CAPACITY, "split", window)
    assert all(len(ids) <= CAPACITY for ids in packs["input_ids"].to_pylist())
    assert all(source == (position - 100) % 3 for position, source, _, _ in documents(packs))
    windows = [
        {(p - 100) // window for p in positions} for positions in packs["positions"].to_pylist()
    ]
    assert all(len(one) == 1 for one in windows)
    assert [min(one) for one in windows] == sorted(min(one) for one in windows)


@given(ROWS)
def test_only_the_first_token_of_a_document_loses_its_label(lengths: list[int]) -> None:
    for _, _, tokens, labels in documents(pack_table(table(lengths), CAPACITY, "split")):
        assert labels == [-100, *tokens[1:]]


@given(ROWS)
def test_equal_input_gives_equal_packs_however_it_is_chunked(lengths: list[int]) -> None:
    rows = table(lengths)
    pieces = pa.concat_tables([rows.slice(0, 3), rows.slice(3, 4), rows.slice(7)])
    one, two = (pack_table(r, CAPACITY, "split", 16) for r in (rows, pieces))
    assert one.equals(two)


def test_packs_follow_the_plan_by_their_longest_document() -> None:
    plan = plan_packs(np.array([3, 9, 2, 12, 7, 5]), CAPACITY)
    # By length: 12 alone; 9 with 3; 7 with 5; 2 alone. Their longest stand at 3, 1, 4 and 2.
    packs = np.split(plan.order, plan.offsets[1:-1])
    assert [p.tolist() for p in packs] == [[0, 1], [2], [3], [4, 5]]
    assert plan.bin.tolist() == [0, 0, 1, 2, 3, 3]


def test_neither_long_nor_short_documents_come_first() -> None:
    lengths = np.clip(np.random.default_rng(5).lognormal(5, 1, 16_000), 8, 2048).astype(np.int64)
    plan = plan_packs(lengths, 2048)
    longest = [lengths[p].max() for p in np.split(plan.order, plan.offsets[1:-1])]
    place = np.corrcoef(np.arange(len(longest)), longest)[0, 1]
    assert abs(place) < 4 / np.sqrt(len(longest))  # four standard errors about none


def test_error_refuses_a_row_that_is_too_long_and_names_it() -> None:
    with pytest.raises(DataError, match="row 2 has 30 tokens and a pack holds 12"):
        cut_rows(np.array([3, 12, 30]), CAPACITY, "error")
    assert cut_rows(np.array([3, 12]), CAPACITY, "error").row.tolist() == [0, 1]


def test_a_length_that_fits_no_pack_is_a_mistake_of_the_caller() -> None:
    for wrong in ([0], [13]):
        with pytest.raises(ValueError, match="1 to 12"):
            plan_packs(np.array(wrong), CAPACITY)


def test_a_row_without_tokens_is_in_no_pack() -> None:
    packs = pack_table(table([0, 2, 0]), CAPACITY)
    assert packs["positions"].to_pylist() == [[101]]


def test_nothing_at_all_makes_no_pack() -> None:
    assert pack_table(table([]), CAPACITY).num_rows == 0


def test_trl_takes_the_packs_on_its_padding_free_path() -> None:
    sft: Any = pytest.importorskip("trl.trainer.sft_trainer")
    packs = pack_table(table([5, 4, 9, 2]), CAPACITY).to_pylist()
    batch = sft.DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)(packs)
    lengths = [n for pack in packs for n in pack["seq_lengths"]]
    assert batch["position_ids"][0].tolist() == [i for n in lengths for i in range(n)]
    assert batch["cu_seq_lens_q"].tolist() == [0, *np.cumsum(lengths).tolist()]
    # It masks where a document begins, too; the packs have it done already.
    assert batch["labels"][0].tolist() == [i for pack in packs for i in pack["labels"]]


BIN = 40
LENGTHS = st.lists(st.integers(1, BIN), min_size=1, max_size=80)


def plain(lengths: list[int], capacity: int) -> list[int]:
    """Best fit decreasing, looked for in every bin."""
    spaces: list[int] = []
    bins = [0] * len(lengths)
    for item in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        fits = [(space, b) for b, space in enumerate(spaces) if space >= lengths[item]]
        if not fits:
            spaces.append(capacity)
            fits = [(capacity, len(spaces) - 1)]
        bins[item] = min(fits)[1]
        spaces[bins[item]] -= lengths[item]
    return bins


def first_fit(lengths: list[int], capacity: int) -> int:
    spaces: list[int] = []
    for length in lengths:
        found = next((b for b, space in enumerate(spaces) if space >= length), len(spaces))
        if found == len(spaces):
            spaces.append(capacity)
        spaces[found] -= length
    return len(spaces)


@given(LENGTHS)
def test_there_are_as_many_bins_as_by_looking_through_all_of_them(lengths: list[int]) -> None:
    found = fill_bins(np.array(lengths), BIN)
    assert found.max() + 1 == max(plain(lengths, BIN)) + 1
    assert sorted(set(found.tolist())) == list(range(found.max() + 1))


@given(LENGTHS)
def test_no_bin_is_over_full_and_no_two_would_fit_into_one(lengths: list[int]) -> None:
    filled = np.bincount(fill_bins(np.array(lengths), BIN), weights=lengths)
    assert filled.max() <= BIN
    assert len(filled) < 2 or np.sort(filled)[:2].sum() > BIN


def test_bins_are_never_more_than_first_fit_opens_on_chat_lengths() -> None:
    draw = np.random.default_rng(3)
    for _ in range(40):
        lengths = np.clip(draw.lognormal(3, 1, 300), 1, 200).astype(np.int64)
        found = fill_bins(lengths, 200).max() + 1
        assert found <= first_fit(lengths.tolist(), 200)


def test_runs_are_copied_in_the_order_asked() -> None:
    out = np.empty(5, dtype=np.int32)
    copy_runs(np.arange(10, dtype=np.int32), np.array([7, 0]), np.array([2, 3]), out)
    assert out.tolist() == [7, 8, 0, 1, 2]
