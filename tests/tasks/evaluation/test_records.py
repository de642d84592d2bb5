import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import EvaluationError
from tasks.evaluation.records import find_files, package_folder, read_records

ROWS = [{"text": "one"}, {"text": "two, and\nmore"}]


def _arrow(path: Path, *, stream: bool) -> None:
    table = pa.Table.from_pylist(ROWS)
    kind = pa.ipc.new_stream if stream else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as out, kind(out, table.schema) as writer:
        writer.write_table(table)


def test_every_kind_of_file_gives_the_same_records(tmp_path: Path) -> None:
    lines = "\n".join(map(json.dumps, ROWS))
    (tmp_path / "a.jsonl").write_text(lines)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "c.json").write_text(json.dumps(ROWS))
    (tmp_path / "d.csv").write_text('text\none\n"two, and\nmore"\n')
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "e.parquet")
    _arrow(tmp_path / "f.arrow", stream=True)
    _arrow(tmp_path / "g.arrow", stream=False)
    files = find_files(str(tmp_path))
    assert len(files) == 7
    for file in files:
        assert list(read_records(file)) == ROWS, file.name


def test_a_text_file_counts_when_it_is_named_and_not_inside_a_folder(tmp_path: Path) -> None:
    (tmp_path / "LICENSE.txt").write_text("words")
    (tmp_path / "a.jsonl").write_text("{}")
    assert [f.name for f in find_files(str(tmp_path))] == ["a.jsonl"]
    (named,) = find_files(str(tmp_path / "*.txt"))
    assert list(read_records(named)) == [{"text": "words"}]


def test_a_path_inside_a_package_is_found_without_importing_it() -> None:
    assert package_folder("no_such_package") is None
    with pytest.raises(EvaluationError, match="no-such-package"):
        find_files("package:no_such_package/a.jsonl")


@pytest.mark.parametrize("path", ["/no/such/folder", "s3://bucket/a.jsonl"])
def test_nothing_at_a_path_is_an_error(path: str) -> None:
    with pytest.raises(EvaluationError):
        find_files(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", "[1]"),
        ("a.jsonl", "{"),
        ("a.json", "{}"),
        ("a.parquet", "no"),
        ("a.jsonl.gz", "no"),
    ],
)
def test_a_file_that_is_not_what_its_ending_says_is_named(
    tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(EvaluationError, match="can't be read") as error:
        list(read_records(tmp_path / name))
    assert error.value.where == str(tmp_path / name)
