import bz2
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from tasks.errors import SourceError
from tasks.files.locate import locate_files
from tasks.files.readers import read_file
from tasks.files.records import BadLine

ROWS = [{"text": 'one, "two"\nthree', "n": "1"}, {"text": "ünï", "n": "2"}, {"text": "", "n": "3"}]


def _read(path: Path) -> list[tuple[str, Any]]:
    return list(read_file(locate_files(str(path))[0]))


def _rows(path: Path) -> list[Any]:
    return [row for _, row in _read(path)]


def _csv(sep: str) -> bytes:
    cells = [[f'"{v.replace(chr(34), chr(34) * 2)}"' for v in r.values()] for r in ROWS]
    return "\n".join(sep.join(c) for c in [["text", "n"], *cells]).encode()


def _buffer(write: Callable[[pa.Table, Any], None]) -> bytes:
    sink = pa.BufferOutputStream()
    write(pa.Table.from_pylist(ROWS), sink)
    return sink.getvalue().to_pybytes()


def _ipc(opener: Any) -> Callable[[pa.Table, Any], None]:
    def write(table: pa.Table, sink: Any) -> None:
        with opener(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)

    return write


CONTAINERS: dict[str, bytes] = {
    "a.jsonl": b"".join(json.dumps(r).encode() + b"\n" for r in ROWS),
    "a.ndjson": b"\r\n".join(json.dumps(r).encode() for r in ROWS),
    "a.json": json.dumps(ROWS).encode(),
    "lists.json": json.dumps({k: [r[k] for r in ROWS] for k in ROWS[0]}).encode(),
    "lines.json": b"\n".join(json.dumps(r).encode() for r in ROWS),
    "a.csv": _csv(","),
    "a.tsv": _csv("\t"),
    "a.parquet": _buffer(pq.write_table),
    "file.arrow": _buffer(_ipc(pa.ipc.new_file)),
    "stream.arrow": _buffer(_ipc(pa.ipc.new_stream)),
    "a.feather": _buffer(pyarrow.feather.write_feather),
}
CODECS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
}


def _zstd_stream(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


CODECS[".zst"] = _zstd_stream


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_gives_the_same_rows_plain_or_compressed(
    tmp_path: Path, name: str, codec: str
) -> None:
    path = tmp_path / (name + codec)
    path.write_bytes(CODECS[codec](CONTAINERS[name]))
    assert [dict(row) for row in _rows(path)] == ROWS


def test_origins_name_the_file_and_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n\n{"a": 2}\n')
    assert [origin for origin, _ in _read(path)] == ["a.jsonl:1", "a.jsonl:3"]


def test_a_broken_line_is_a_record_of_its_own_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a": ',
        b"[1]",
        b'{"a": "\xff"}',
        b"[" * 100_000,
        b'{"a": 2}',
    ]
    path.write_bytes(b"\n".join(lines))
    rows = _rows(path)
    assert rows[0] == {"a": 1}
    assert rows[-1] == {"a": 2}
    bad = rows[1:-1]
    assert all(isinstance(b, BadLine) for b in bad)
    assert [b.reason.split(":")[0] for b in bad] == [
        "not JSON",
        "not a JSON object",
        "not UTF-8",
        "not JSON that can be read",
    ]
    assert bad[0].raw == '{"a": '
    assert bad[2].raw == '{"a": "\\xff"}'


def test_a_csv_row_with_too_many_or_too_few_fields_is_a_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n3\n4,5,6\n7,8\n")
    rows = _rows(path)
    assert [rows[0], rows[3]] == [{"a": "1", "b": "2"}, {"a": "7", "b": "8"}]
    assert [r.reason for r in rows[1:3]] == [
        "1 fields where the header has 2",
        "3 fields where the header has 2",
    ]


def test_a_csv_byte_that_is_not_utf8_is_kept_as_the_replacement_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a\ncaf\xe9\n")
    assert _rows(path) == [{"a": "caf\ufffd"}]


def test_a_csv_field_of_any_length_does_not_stop_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "x" * 200_000 + ",1\ny,2\n")
    rows = _rows(path)
    assert isinstance(rows[0], BadLine)
    assert rows[-1] == {"a": "y", "b": "2"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.parquet", b"this is not parquet at all"),
        ("a.arrow", b"this is not arrow at all, by far"),
        ("a.json", b'{"a": [1, 2], "b": [1]}'),
        ("b.json", b"[1, 2"),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 1000)[:-20]),
        ("b.jsonl.gz", b"plain"),
    ],
    ids=["parquet", "arrow", "json", "json cut short", "gzip cut short", "no gzip"],
)
def test_a_damaged_file_is_one_readable_error(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match="damaged") as error:
        _rows(path)
    assert error.value.where == str(path)


def test_an_unknown_ending_is_an_error_that_lists_the_known(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_text("x")
    with pytest.raises(SourceError, match=".jsonl"):
        _rows(path)


def test_rows_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n' * 2_000_000))
    rows = read_file(locate_files(str(path))[0])
    assert next(iter(rows)) == ("a.jsonl.gz:1", {"a": 1})
