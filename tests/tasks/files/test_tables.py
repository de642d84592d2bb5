"""Tables: nulls that nobody wrote, integers with a gap, and texts that unpack without end."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs.limits import Limits
from tasks.errors import SourceError
from tasks.files.locate import locate_files
from tasks.files.readers import read_file
from tasks.files.records import drop_filled_nulls

KEYS = st.sampled_from(["city", "day", "ticker", "value", "content", "name"])
ARGUMENTS = st.dictionaries(KEYS, st.text("ab1", min_size=1, max_size=3), max_size=4)


def read(path: Path, limits: Limits | None = None) -> list[Any]:
    return [row for _, row in read_file(locate_files(str(path))[0], limits or Limits())]


def write(path: Path, table: Any) -> None:
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(ARGUMENTS, min_size=1, max_size=5), st.sampled_from([".parquet", ".arrow"]))
def test_a_table_gives_what_was_put_into_it(
    tmp_path: Path, arguments: list[dict[str, str]], ending: str
) -> None:
    rows = [
        {
            "messages": [{"role": "assistant", "content": None, "tool_calls": [{"arguments": a}]}],
            "tools": [{"name": "f", "parameters": {"properties": {k: {"t": v}}}}]
            if (k := next(iter(a), None)) and (v := a[k])
            else None,
            "reference_answer": a,
        }
        for a in arguments
    ]
    path = tmp_path / f"a{ending}"
    if not any(arguments):
        return  # a struct without fields is none of Parquet's
    write(path, pa.Table.from_pylist(rows))
    found = read(path)
    assert [row["reference_answer"] for row in found] == arguments
    assert [row["messages"][0]["tool_calls"][0]["arguments"] for row in found] == arguments
    assert [row["tools"] for row in found] == [row["tools"] for row in rows]
    assert all("content" in row["messages"][0] for row in found)


def test_a_null_outside_free_objects_and_in_lists_stays() -> None:
    row = {"text": None, "arguments": [None, {"a": None, "b": [None]}], "m": {"content": None}}
    assert drop_filled_nulls(row) == {
        "text": None,
        "arguments": [None, {"b": [None]}],
        "m": {"content": None},
    }


def test_a_null_that_the_author_wrote_stays(tmp_path: Path) -> None:
    row = {"messages": [{"tool_calls": [{"arguments": {"city": None}}]}]}
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(row))
    assert read(path) == [row]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.none() | st.sampled_from([0.0, 1.0, 2.0, -7.0, 2.5]), min_size=1, max_size=9),
    st.sampled_from([".parquet", ".arrow"]),
)
def test_integers_with_a_gap_stay_integers(
    tmp_path: Path, values: list[float | None], ending: str
) -> None:
    path = tmp_path / f"a{ending}"
    write(path, pa.table({"label": pa.array(values, pa.float64())}))
    found = [row["label"] for row in read(path)]
    assert found == values
    whole = None in values and 2.5 not in values
    wanted = int if whole else float
    assert all(value is None or type(value) is wanted for value in found)


def bomb(kind: str) -> Any:
    big = "x" * (1 << 20)
    codes = pa.array([0] * 5000, pa.int32())
    texts = pa.DictionaryArray.from_arrays(codes, [big])
    if kind == "nested":
        turns = pa.StructArray.from_arrays([texts.cast(pa.string())[:200]], ["content"])
        lists = pa.ListArray.from_arrays(pa.array(range(201), pa.int32()), turns)
        return pa.table({"messages": lists})
    if kind == "nulls":
        return pa.table({"n": pa.nulls(20_000_000, pa.int8())})
    return pa.table({"prompt": texts})


@pytest.mark.parametrize("kind", ["texts", "nested", "nulls"])
def test_a_small_table_that_unpacks_without_end_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(bomb(kind), path, compression="zstd")
    assert path.stat().st_size < 200_000
    with pytest.raises(SourceError, match="unpacks to more than"):
        read(path)


def test_an_arrow_file_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.arrow", bomb("texts"))
    with pytest.raises(SourceError, match="unpacks to more than"):
        read(tmp_path / "a.arrow")


def test_a_text_that_every_row_has_is_read_where_it_fits(tmp_path: Path) -> None:
    rows = [{"messages": [{"role": "system", "content": "s" * 9000}], "n": i} for i in range(3000)]
    write(tmp_path / "a.parquet", pa.Table.from_pylist(rows))
    assert read(tmp_path / "a.parquet") == rows
