"""Broken and odd input, made file by file: the table to extend.

A case says how many records its files hold, or that they can't be opened at all.
"""

import bz2
import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

REFUSED = None
"""The files can't be opened: one error that names the file is right."""

EITHER = -1
"""Chance decides (flipped bytes): an error, or every record that was read is kept."""


class Case(NamedTuple):
    """Files by name, the records they hold together, and fields of the source beside them."""

    name: str
    files: dict[str, bytes]
    rows: int | None
    fields: dict[str, Any] = {}


GOOD = 6
ROWS = [{"prompt": f'question {i}, "quoted"?', "completion": f"answer\n{i}"} for i in range(GOOD)]
_LINES = [json.dumps(row).encode() for row in ROWS]
JSONL = b"\n".join(_LINES) + b"\n"


def zstd_of(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue().to_pybytes())


CODECS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": zstd_of,
}


def csv_of(rows: list[dict[str, str]], delimiter: str = ",") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def parquet_of(table: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())


def arrow_of(table: Any, opener: Any = pa.ipc.new_file) -> bytes:
    sink = pa.BufferOutputStream()
    with opener(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return bytes(sink.getvalue().to_pybytes())


TABLE = pa.Table.from_pylist(ROWS)
CONTAINERS: dict[str, bytes] = {
    ".jsonl": JSONL,
    ".json": json.dumps(ROWS).encode(),
    ".csv": csv_of(ROWS),
    ".tsv": csv_of(ROWS, "\t"),
    ".parquet": parquet_of(TABLE),
    ".arrow": arrow_of(TABLE),
}


def _nested(levels: int) -> bytes:
    return b'{"prompt": ' + b"[" * levels + b"]" * levels + b', "completion": "x"}'


LINES: dict[str, bytes] = {
    "cut": b'{"prompt": "x", "comp',
    "cut in an escape": b'{"prompt": "x\\u00',
    "no quotes": b"{prompt: 1}",
    "single quotes": b"{'prompt': 'x', 'completion': 'y'}",
    "trailing comma": b'{"prompt": "x", "completion": "y",}',
    "two objects": b"{} {}",
    "comment": b'// {"prompt": "x"}',
    "list": b'["x", "y"]',
    "text": b'"x"',
    "number": b"17",
    "null": b"null",
    "nothing but braces": b"{}",
    "word": b"hello",
    "control": b"\x01",
    "latin-1": '{"prompt": "é", "completion": "y"}'.encode("latin-1"),
    "overlong UTF-8": b'{"prompt": "\xc0\x80", "completion": "y"}',
    "surrogate in UTF-8": b'{"prompt": "\xed\xa0\x80", "completion": "y"}',
    "half a pair": b'{"prompt": "\\ud800", "completion": "y"}',
    "half a pair in a name": b'{"prompt": "x", "completion": "y", "\\udfff": 1}',
    "NUL": b'{"prompt": "a\x00b", "completion": "y"}',
    "escaped NUL": b'{"prompt": "a\\u0000b", "completion": "y"}',
    "only NULs": b"\x00" * 50,
    "mark inside": b'\xef\xbb\xbf{"prompt": "x", "completion": "y"}',
    "field twice": b'{"prompt": "x", "prompt": "z", "completion": "y"}',
    "inner field twice": b'{"prompt": "x", "completion": "y", "m": {"a": 1, "a": 2}}',
    "NaN": b'{"prompt": NaN, "completion": "y"}',
    "infinity": b'{"prompt": -Infinity}',
    "huge integer": b'{"prompt": ' + b"9" * 5_000 + b', "completion": "y"}',
    "large integer": b'{"prompt": ' + b"9" * 4_000 + b', "completion": "y"}',
    "huge float": b'{"prompt": 1e999999, "completion": "y"}',
    "150 levels": _nested(150),
    "300 levels": _nested(300),
    "900 levels": _nested(900),
    "5,000 levels": _nested(5_000),
    "100,000 levels": _nested(100_000),
    "open levels": b"[" * 50_000,
    "many small levels": b'{"prompt": [' + b"[]," * 999 + b"[]]}",
    "null prompt": b'{"prompt": null, "completion": "y"}',
    "no prompt": b'{"completion": "y"}',
    "prompt is a list": b'{"prompt": ["x"], "completion": "y"}',
    "prompt is an object": b'{"prompt": {"a": {"b": null}}, "completion": "y"}',
    "prompt is true": b'{"prompt": true, "completion": "y"}',
    "other fields": b'{"question_text": "x"}',
    "empty name": b'{"": "x"}',
    "long name": b'{"' + b"n" * 50_000 + b'": "x"}',
    "10,000 fields": json.dumps({f"f{i}": i for i in range(10_000)}).encode(),
    "long text": b'{"prompt": "' + b"x" * 1_000_000 + b'", "completion": "y"}',
    "lone backslash": b'{"prompt": "\\", "completion": "y"}',
    "bad escape": b'{"prompt": "\\x41", "completion": "y"}',
    "line separator": '{"prompt": "a\u2028b", "completion": "y"}'.encode(),
    "raw tab": b'{"prompt": "a\tb", "completion": "y"}',
}
"""What one line of JSON lines may be: kept or set aside, and never lost."""


def messages(*contents: Any) -> list[Any]:
    return [{"role": "user", "content": c} for c in contents]


TALKS: dict[str, Any] = {
    "null": None,
    "text": "hi",
    "number": 3,
    "object": {"role": "user"},
    "empty": [],
    "null inside": [None],
    "nulls around": [None, {"role": "user", "content": "x"}, None],
    "text inside": ["hi"],
    "list inside": [[]],
    "empty object": [{}],
    "null role": [{"role": None, "content": "x"}],
    "list role": [{"role": ["user"], "content": "x"}],
    "null content": messages(None),
    "number content": messages(5),
    "true content": messages(True),
    "object content": messages({"text": "x"}),
    "null part": messages([None]),
    "number part": messages([1]),
    "empty parts": messages([]),
    "empty part": messages([{}]),
    "null text": messages([{"type": "text", "text": None}]),
    "object text": messages([{"type": "text", "text": {"a": 1}}]),
    "list type": messages([{"type": ["text"], "text": "x"}]),
    "two things": messages([{"text": "x", "image": {}}]),
    "nested parts": messages([[{"text": "x"}]]),
    "calls null": [{"role": "assistant", "content": "x", "tool_calls": [None]}],
    "calls number": [{"role": "assistant", "content": "x", "tool_calls": 7}],
    "calls object": [{"role": "assistant", "content": "x", "tool_calls": {"a": 1}}],
    "calls text": [{"role": "assistant", "content": "x", "tool_calls": "{"}],
    "call without function": [{"role": "assistant", "content": "x", "tool_calls": [{"id": 1}]}],
    "call name is a list": [
        {"role": "assistant", "content": "x", "tool_calls": [{"function": {"name": ["f"]}}]}
    ],
    "arguments list": [
        {
            "role": "assistant",
            "content": "x",
            "tool_calls": [{"function": {"name": "f", "arguments": [1]}}],
        }
    ],
    "arguments infinite": [
        {
            "role": "assistant",
            "content": "x",
            "tool_calls": [{"function": {"name": "f", "arguments": '{"a": 1e999}'}}],
        }
    ],
    "reasoning object": [{"role": "assistant", "content": "x", "reasoning": {"a": 1}}],
    "result id list": [{"role": "tool", "content": "x", "tool_call_id": ["a"]}],
    "weight text": [{"role": "user", "content": "x", "weight": "0"}],
}
"""What ``messages`` may be in a row among good ones."""


def _lines() -> Iterator[Case]:
    for name, line in LINES.items():
        content = b"\n".join([*_LINES[:3], line, *_LINES[3:]])
        yield Case(f"line: {name}", {"a.jsonl": content}, GOOD + 1)
    for name in ("cut", "latin-1", "NUL", "300 levels", "mark inside", "long text"):
        content = b"\r\n".join([*_LINES[:3], LINES[name], *_LINES[3:]])
        for ending, codec in CODECS.items():
            yield Case(f"line{ending}: {name}", {f"a.jsonl{ending}": codec(content)}, GOOD + 1)
    for name, talk in TALKS.items():
        rows = [{"messages": messages("x")}, {"messages": talk}, {"messages": messages("y")}]
        content = b"\n".join(json.dumps(row).encode() for row in rows)
        yield Case(f"talk: {name}", {"a.jsonl": content}, 3, {"format": "messages"})
        other = content.replace(b"messages", b"conversations").replace(b'"role"', b'"from"')
        yield Case(f"sharegpt: {name}", {"a.jsonl": other.replace(b'"content"', b'"value"')}, 3)
        blocks = content.replace(b'"x"}]}', b'[{"text": "x"}]}]}')
        yield Case(f"converse: {name}", {"a.jsonl": blocks}, 3, {"format": "converse"})


def _text_files() -> Iterator[Case]:
    mark = b"\xef\xbb\xbf"
    yield Case("mark", {"a.jsonl": mark + JSONL}, GOOD)
    yield Case("CRLF", {"a.jsonl": JSONL.replace(b"\n", b"\r\n")}, GOOD)
    yield Case("blank lines", {"a.jsonl": b"\n \n\t\r\n" + JSONL.replace(b"\n", b"\n\n")}, GOOD)
    yield Case("no last line end", {"a.jsonl": JSONL.rstrip()}, GOOD)
    yield Case("ends in NULs", {"a.jsonl": JSONL + b"\x00" * 4096}, GOOD + 1)
    yield Case("CR alone", {"a.jsonl": JSONL.replace(b"\n", b"\r")}, REFUSED)
    yield Case("all cut", {"a.jsonl": b"\n".join(line[:-2] for line in _LINES)}, REFUSED)
    yield Case("empty", {"a.jsonl": b""}, REFUSED)
    yield Case("mark alone", {"a.jsonl": mark}, REFUSED)
    for codec in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        yield Case(f"jsonl in {codec}", {"a.jsonl": JSONL.decode().encode(codec)}, REFUSED)
        yield Case(f"csv in {codec}", {"a.csv": csv_of(ROWS).decode().encode(codec)}, REFUSED)
    small = {"limits": {"line_bytes": 100}}
    yield Case(
        "huge line",
        {"a.jsonl": JSONL + b'{"prompt": "' + b"x" * 500 + b'"}\n' + JSONL},
        2 * GOOD + 1,
        small,
    )
    yield Case("line without end", {"a.jsonl": JSONL + b"x" * 3_000_000}, GOOD + 1, small)
    full = b'{"text": "' + b"x" * 88 + b'"}\n{"text": "y"}'
    yield Case("line at the limit", {"a.jsonl": full}, 2, small)


def _json_files() -> Iterator[Case]:
    for name, text in {
        "one object": b'{"prompt": "x", "completion": "y"}',
        "one talk": b'{"messages": [{"role": "user", "content": "x"}]}',
        "list with a mark": b"\xef\xbb\xbf" + json.dumps(ROWS[:1]).encode(),
    }.items():
        yield Case(f"json: {name}", {"a.json": text}, 1)
    mixed = json.dumps([*ROWS, None, 3, "x", [], {"other": 1}]).encode()
    yield Case("json: odd elements", {"a.json": mixed}, GOOD + 5)
    yield Case("json: lines", {"a.json": JSONL}, GOOD)
    yield Case("json: lines, first cut", {"a.json": b'{"prompt": \n' + JSONL}, GOOD + 1)
    for name, text in {
        "cut": json.dumps(ROWS).encode()[:-9],
        "cut indented": json.dumps(ROWS, indent=1).encode()[:-9],
        "uneven columns": b'{"a": [1, 2], "b": [1]}',
        "text": b'"x"',
        "null": b"null",
        "empty list": b"[]",
        "empty object": b"{}",
        "blank": b" \n ",
        "deep": b"[" * 100_000,
        "latin-1": '["é"]'.encode("latin-1"),
        "field twice": b'[{"a": 1, "a": 2}]',
        "too large": b'[{"prompt": "' + b"x" * 3_000 + b'"}]',
    }.items():
        fields = {"limits": {"json_bytes": 2_000}}
        yield Case(f"json: {name}", {"a.json": text}, REFUSED, fields)


def _separated() -> Iterator[Case]:
    head, good = b"prompt,completion\n", b"x,y\n"
    for name, (line, rows) in {
        "too few": (b"x\n", 1),
        "too many": (b"x,y,z\n", 1),
        "empty fields": (b",\n", 1),
        "blank": (b"\n\n", 0),
        "spaces": (b"  \n", 1),
        "NUL": (b"a\x00b,y\n", 1),
        "not UTF-8": (b"\xff\xfe,y\n", 1),
        "quote inside": (b'a"b,y\n', 1),
        "quote after": (b'"a"b,y\n', 1),
        "quotes doubled": (b'"a""b",y\n', 1),
        "line break in quotes": (b'"a\nb",y\n', 1),
        "CRLF": (b"x,y\r\n", 1),
        "field over the limit": (b"x" * 140_000 + b",y\n", 1),
        "quoted comma": (b'"a,b",y\n', 1),
        "all quotes": (b'""""""\n', 1),
        "semicolons": (b"x;y\n", 1),
        "10,000 fields": (b"x," * 10_000 + b"\n", 1),
    }.items():
        yield Case(f"csv: {name}", {"a.csv": head + good + line + good}, 2 + rows)
    yield Case("csv: quote never closed", {"a.csv": head + good + b'"x,y\n' + good}, 3)
    yield Case("csv: CR alone", {"a.csv": b"prompt,completion\rx,y\r"}, 1)
    yield Case("csv: mark", {"a.csv": b"\xef\xbb\xbf" + head + good}, 1)
    for name, sign in {"semicolon": ";", "tab": "\t", "bar": "|"}.items():
        yield Case(f"csv: {name}", {"a.csv": csv_of(ROWS, sign)}, GOOD)
    yield Case("csv: latin-1", {"a.csv": head + "é,ü\n".encode("latin-1") + good}, 2)
    yield Case("csv: column without a name", {"a.csv": b",prompt,completion\n1,x,y\n"}, 1)
    yield Case("csv: cut", {"a.csv": head + good + b'"x'}, 2)
    for name, content in {
        "header alone": head,
        "header twice": b"prompt,prompt\nx,y\n",
        "blank lines alone": b"\n\n",
        "open header": b'"prompt,completion\nx,y\n',
        "other columns": b"a,b\nx,y\n",
        "no header": b"hello\n",
    }.items():
        yield Case(f"csv: {name}", {"a.csv": content}, REFUSED)


def text_cases() -> Iterator[Case]:
    """Yield the cases of text: JSON lines, JSON and CSV."""
    for make in (_lines, _text_files, _json_files, _separated):
        yield from make()
