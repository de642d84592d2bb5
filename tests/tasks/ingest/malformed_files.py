"""Files that are cut, spoilt, misnamed, packed to burst, or odd as tables or in company."""

import datetime
import gzip
import json
import random
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from malformed import (
    CODECS,
    CONTAINERS,
    EITHER,
    GOOD,
    JSONL,
    REFUSED,
    ROWS,
    TABLE,
    Case,
    arrow_of,
    csv_of,
    messages,
    parquet_of,
    zstd_of,
)


def _cut() -> Iterator[Case]:
    packed = {f".jsonl{ending}": codec(JSONL * 50) for ending, codec in CODECS.items()}
    tables = {e: CONTAINERS[e] for e in (".parquet", ".arrow")}
    tables |= {f".parquet{e}": codec(CONTAINERS[".parquet"]) for e, codec in CODECS.items()}
    for ending, content in (packed | tables).items():
        for eighths in range(1, 8):
            kept = content[: len(content) * eighths // 8]
            yield Case(f"cut: {eighths}/8 of {ending}", {f"a{ending}": kept}, REFUSED)
    stream = arrow_of(TABLE, pa.ipc.new_stream)
    for eighths in range(1, 8):
        kept = stream[: len(stream) * eighths // 8]
        yield Case(f"cut: {eighths}/8 of a stream", {"a.arrow": kept}, EITHER)
    chance = random.Random(17)
    for ending, content in (packed | tables | {".arrow": stream}).items():
        for number in range(6):
            spoilt = bytearray(content)
            for _ in range(1 + number):
                spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
            yield Case(f"flipped: {number} in {ending}", {f"a{ending}": bytes(spoilt)}, EITHER)


def _wrong_endings() -> Iterator[Case]:
    others = {
        "gzip": gzip.compress(JSONL),
        "zstd": zstd_of(JSONL),
        "zip": b"PK\x03\x04" + JSONL,
        "png": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
        "html": b"<!doctype html><p>404",
    }
    contents = CONTAINERS | others
    endings = [*CONTAINERS, ".jsonl.gz", ".jsonl.zst", ".jsonl.bz2", ".txt"]
    right = {
        (".jsonl", ".json"),
        (".csv", ".csv"),
        (".tsv", ".csv"),
        ("gzip", ".jsonl.gz"),
        ("zstd", ".jsonl.zst"),
    }
    for what, content in contents.items():
        for ending in endings:
            same = what == ending or (what, ending) in right
            yield Case(f"{what} as {ending}", {f"a{ending}": content}, GOOD if same else REFUSED)


def _bombs() -> Iterator[Case]:
    small = {"limits": {"unpacked_bytes": 100_000}}
    bomb = b'{"text": "' + b"x" * 90_000 + b'"}\n'
    for ending, codec in CODECS.items():
        for kind, content in {
            "jsonl": bomb * 3,
            "csv": b"text\n" + b"x\n" * 90_000,
            "json": b" " * 200_000 + b"[]",
            "parquet": b"PAR1" + b"\0" * 200_000,
            "arrow": b"ARROW1" + b"\0" * 200_000,
        }.items():
            yield Case(
                f"bomb: {kind}{ending}", {f"a.{kind}{ending}": codec(content)}, REFUSED, small
            )
        yield Case(f"no bomb: {ending}", {f"a.jsonl{ending}": codec(bomb)}, 1, small)
    zeros = gzip.compress(b"\0" * (70 << 20), compresslevel=1)
    yield Case(
        "bomb: by its ratio", {"a.jsonl.gz": zeros}, REFUSED, {"limits": {"unpacked_ratio": 10}}
    )
    table = pa.table({"text": ["x" * 50_000 + str(i) for i in range(10)]})
    yield Case("bomb: within Parquet", {"a.parquet": parquet_of(table)}, REFUSED, small)
    yield Case("packed twice", {"a.jsonl.gz.gz": gzip.compress(gzip.compress(JSONL))}, REFUSED)


def _tables() -> Iterator[Case]:
    text = pa.array(["a", "b", "c"])
    offsets = pa.array([0, 1, 2, 3], pa.int32()).buffers()[1]
    bad = pa.StringArray.from_buffers(3, offsets, pa.py_buffer(b"a\xffc"))
    pairs = pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int8()))
    late = pa.array([0, 2**50, 1], pa.timestamp("s"))
    columns: dict[str, dict[str, Any]] = {
        "not UTF-8": {"text": bad},
        "a date beyond the calendar": {"text": text, "when": late},
        "bytes": {"text": pa.array([b"a", b"\xff", None])},
        "numbers": {"text": pa.array([1, 2, 3])},
        "nulls": {"text": pa.nulls(3, pa.string())},
        "null type": {"text": text, "x": pa.nulls(3)},
        "dictionary": {"text": text.dictionary_encode()},
        "large text": {"text": text.cast(pa.large_string())},
        "lists": {"text": pa.array([["a"], None, []])},
        "objects": {"text": pa.array([{"a": None}, None, {"a": {"b": 1}}])},
        "map": {"text": text, "m": pairs},
        "dates": {"text": pa.array([datetime.date(2026, 1, 1)] * 3)},
        "nested nulls": {
            "messages": pa.array(
                [[{"role": "user", "content": "x"}, None], None, [{"role": None, "content": None}]]
            )
        },
    }
    for name, table in columns.items():
        rows = REFUSED if name == "nested nulls" else 3
        yield Case(f"parquet: {name}", {"a.parquet": parquet_of(pa.table(table))}, rows)
        yield Case(f"arrow: {name}", {"a.arrow": arrow_of(pa.table(table))}, rows)
    twice = pa.Table.from_arrays([text, text], names=["text", "text"])
    yield Case("arrow: column twice", {"a.arrow": arrow_of(twice)}, REFUSED)
    yield Case("parquet: column twice", {"a.parquet": parquet_of(twice)}, REFUSED)
    yield Case("parquet: no rows", {"a.parquet": parquet_of(pa.table({"text": text[:0]}))}, REFUSED)
    yield Case("parquet: no columns", {"a.parquet": parquet_of(pa.table({}))}, REFUSED)


def _folders() -> Iterator[Case]:
    talk = json.dumps({"messages": messages("x")}).encode() + b"\n"
    yield Case(
        "mixed formats", {"a.jsonl": JSONL, "b.jsonl": talk * 3, "c.csv": b"q\nx\n"}, GOOD + 4
    )
    yield Case("mixed columns", {"a.csv": csv_of(ROWS), "b.csv": b"completion\ny\n"}, GOOD + 1)
    yield Case(
        "mixed types",
        {
            "a.parquet": parquet_of(TABLE),
            "b.parquet": parquet_of(pa.table({"prompt": [1, 2], "completion": [[1], [2]]})),
        },
        GOOD + 2,
    )
    yield Case("an empty file among others", {"a.jsonl": b"", "b.jsonl": JSONL}, GOOD)
    yield Case("a damaged file among others", {"a.jsonl": JSONL, "b.parquet": b"PAR1"}, REFUSED)
    yield Case("odd names", {"a b'\"ü.jsonl": JSONL, "{x}%s.jsonl": JSONL}, 2 * GOOD)


def file_cases() -> Iterator[Case]:
    """Yield the cases of whole files and folders."""
    for make in (_cut, _wrong_endings, _bombs, _tables, _folders):
        yield from make()
