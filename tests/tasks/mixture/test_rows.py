import numpy as np
import pyarrow as pa
import pytest

from tasks.mixture.plan import PlannedRows
from tasks.mixture.rows import BATCH, MappedRows, gather_rows, hash_rows, write_rows

SCHEMA = pa.schema([pa.field("row_id", pa.string()), pa.field("input_ids", pa.list_(pa.int32()))])


def table(rows, mark="r"):
    ids = [[i, i + 1] * (i % 3) for i in range(rows)]
    return pa.table({"row_id": [f"{mark}{i}" for i in range(rows)], "input_ids": ids}, SCHEMA)


def mapped(folder, name, tables):
    write_rows(folder / f"{name}.arrow", tables, SCHEMA)
    return MappedRows(folder / f"{name}.arrow")


def test_rows_are_taken_from_any_batch_in_order(tmp_path):
    rows = mapped(tmp_path, "a", [table(BATCH - 5), table(50, "s")])
    assert len(rows) == BATCH + 45
    wanted = np.array([0, 3, BATCH - 6, BATCH - 5, BATCH + 44])
    found = rows.take(wanted, ["row_id"])["row_id"].to_pylist()
    assert found == ["r0", "r3", f"r{BATCH - 6}", "s0", "s49"]


def test_a_run_of_the_plan_comes_in_the_plans_order(tmp_path):
    sources = [mapped(tmp_path, n, [table(10, n)]) for n in "ab"]
    planned = PlannedRows(
        7,
        np.array([1, 0, 0, 1], np.int16),
        np.array([3, 9, 0, 3]),
        np.array([0, 0, 0, 1], np.int32),
    )
    found = gather_rows(planned, ["one", "two"], sources, ["row_id", "input_ids"]).to_pylist()
    assert [r["row_id"] for r in found] == ["b3", "a9", "a0", "b3"]
    assert [r["source"] for r in found] == ["two", "one", "one", "two"]
    assert [r["position"] for r in found] == [7, 8, 9, 10]
    assert [r["epoch"] for r in found] == [0, 0, 0, 1]


def test_hashes_are_of_rows_however_they_are_cut():
    whole = table(100)
    pieces = np.concatenate([hash_rows(whole.slice(a, 7)) for a in range(0, 100, 7)])
    assert (hash_rows(whole) == pieces).all()


@pytest.mark.parametrize("column", ["row_id", "input_ids"])
def test_any_change_of_a_value_changes_the_rows_hash_alone(column):
    rows = table(9).to_pylist()
    before = hash_rows(pa.Table.from_pylist(rows, SCHEMA))
    rows[4][column] = "other" if column == "row_id" else [0, 0]
    after = hash_rows(pa.Table.from_pylist(rows, SCHEMA))
    assert (before != after).any(axis=1).tolist() == [i == 4 for i in range(9)]


def test_a_value_moved_from_one_list_to_the_next_changes_both_hashes():
    one = pa.table({"a": [[1, 2], [3]], "b": [[0], [0]]})
    two = pa.table({"a": [[1], [2, 3]], "b": [[0], [0]]})
    assert (hash_rows(one) != hash_rows(two)).any(axis=1).all()
