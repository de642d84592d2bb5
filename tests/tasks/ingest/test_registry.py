"""A kind of source is a section, a way to open it, and a row of the registry."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import pyarrow.parquet as pq
import pytest

from configs.sources import Source, StoredSource
from tasks.errors import SourceError
from tasks.files.records import BadLine, Record
from tasks.ingest.registry import OPENERS, OpenedSource, open_source
from tasks.ingest.stage import make_snapshot


class SqliteSource(StoredSource):
    """The section: rows of a query."""

    kind: Literal["sqlite"]
    path: str
    query: str


def open_sqlite(source: SqliteSource) -> OpenedSource:
    """The file: how rows are found and read."""
    data = Path(source.path).read_bytes()
    return OpenedSource([data.hex(), source.query], partial(_rows, source), revision="v1")


def _rows(source: SqliteSource) -> Iterator[Record]:
    with closing(sqlite3.connect(source.path)) as connection:
        connection.row_factory = sqlite3.Row
        for number, row in enumerate(connection.execute(source.query), start=1):
            good = all(isinstance(value, str) for value in tuple(row))
            yield Record(f"t:{number}", dict(row) if good else BadLine(repr(tuple(row)), "no text"))


@pytest.fixture
def source(tmp_path: Path, temper_home: Path) -> SqliteSource:
    path = tmp_path / "rows.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table t (review, category)")
        rows = [("Too late", "delivery"), (None, "price"), ("Too dear", "price")]
        connection.executemany("insert into t values (?, ?)", rows)
        connection.commit()
    return SqliteSource(
        kind="sqlite",
        name="db",
        role="domain",
        path=str(path),
        query="select * from t",
        columns={"prompt": "review", "completion": "category"},
    )


def test_a_kind_is_added_by_a_section_a_file_and_a_row(
    source: SqliteSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OPENERS, "sqlite", open_sqlite)
    made = make_snapshot(source)
    rows = pq.read_table(made.path / "rows").to_pylist()
    assert [r["messages"][0]["content"] for r in rows] == ["Too late", "Too dear"]
    assert [(r["label"], r["origin"]) for r in rows] == [("delivery", "t:1"), ("price", "t:3")]
    [rejected] = pq.read_table(made.path / "rejected.parquet").to_pylist()
    assert (rejected["origin"], rejected["reason"]) == ("t:2", "no text")
    assert (made.origin.uri, made.origin.revision) == (source.path, "v1")
    assert make_snapshot(source) == made
    other = source.model_copy(update={"query": "select * from t where category = 'price'"})
    assert make_snapshot(other).path != made.path


def test_a_kind_without_a_row_is_refused_by_name(source: SqliteSource) -> None:
    with pytest.raises(SourceError, match="kind 'sqlite'") as error:
        open_source(source)
    assert "files, hub" in error.value.fix


def test_every_stored_kind_of_a_recipe_can_be_opened() -> None:
    kinds = {
        get_args(section.model_fields["kind"].annotation)[0]
        for section in get_args(get_args(Source)[0])
        if issubclass(section, StoredSource)
    }
    assert kinds == OPENERS.keys()
