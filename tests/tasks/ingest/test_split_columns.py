import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from configs.sources import FilesSource, Split
from tasks.errors import Unusable
from tasks.ingest.split_columns import add_split_columns, parse_time
from tasks.ingest.stage import make_snapshot


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, 7.0),
        (1.5, 1.5),
        ("1700000000", 1.7e9),
        ("1970-01-02", 86400.0),
        ("1970-01-01T01:00:00+01:00", 0.0),
        ("1970-01-01 00:01", 60.0),
        (date(1970, 1, 2), 86400.0),
        (datetime(1970, 1, 1, 0, 1, tzinfo=UTC), 60.0),
    ],
)
def test_a_time_is_a_number_that_grows_with_it(value: Any, expected: float) -> None:
    assert parse_time(value, "at") == expected


@pytest.mark.parametrize("value", ["yesterday", True, float("nan"), [1]])
def test_what_is_no_time_is_refused_by_its_column(value: Any) -> None:
    with pytest.raises(Unusable, match="column 'at' holds no time"):
        parse_time(value, "at")


@pytest.mark.parametrize("row", [{}, {"who": None}, {"who": ""}])
def test_a_row_without_the_column_is_refused(row: dict[str, Any]) -> None:
    made: Any = {"group": None, "split": None}
    with pytest.raises(Unusable, match="column 'who'"):
        add_split_columns(made, row, Split(group_by="who"))
    assert add_split_columns({**made, "split": "test"}, row, Split(group_by="who"))["group"] is None


def test_group_and_time_reach_the_snapshot(tmp_path: Path, temper_home: Path) -> None:
    rows = [
        {"instruction": f"do {i}", "output": "done", "who": i % 2, "at": f"2024-01-0{i + 1}"}
        for i in range(3)
    ] + [{"instruction": "do", "output": "done", "who": 1}]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    fields = {"kind": "files", "name": "a", "role": "general", "path": str(path)}
    plain = make_snapshot(FilesSource.model_validate(fields))
    snapshot = make_snapshot(
        FilesSource.model_validate(fields | {"split": {"group_by": "who", "time": "at"}})
    )
    kept = pq.read_table(snapshot.path / "rows").to_pylist()
    assert [r["group"] for r in kept] == ["0", "1", "0"]
    assert [r["time"] - kept[0]["time"] for r in kept] == [0, 86400, 172800]
    assert (snapshot.rejected, plain.rejected) == (1, 0)
    assert snapshot.digest != plain.digest
