"""Whatever a source can read, a suite can: every kind that reads files, in every format."""

import bz2
import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from configs.evaluation import Suite
from tasks.errors import EvaluationError
from tasks.evaluation.items import EvalContext
from tasks.evaluation.registry import open_suite
from tasks.files.locate import CONTAINERS

Records = list[dict[str, Any]]
JUDGE = {"kind": "endpoint", "url": "http://127.0.0.1:1/v1", "name": "j", "revision": "one"}


class Kind(NamedTuple):
    """A suite's kind with records of it; ``field`` names the file, ``fields`` the rest.

    ``flat`` records have texts alone, as a table of plain columns has them.
    """

    records: Records
    field: str = "path"
    fields: dict[str, Any] = {}
    flat: bool = True
    name: str = "items"


CHOICE = [
    {"question": "Which is a bird, by all means?", "A": "cat", "B": "crów", "answer": "B"},
    {"question": 'Which is a "fish"?', "A": "carp", "B": "cow; or\nnot", "answer": "A"},
]
MMLU = [
    {"question": f"What is {i} + {i}?", "subject": "sums", "answer": "C"}
    | {letter: f"{2 * i + n}" for n, letter in enumerate("ABCD", start=-2)}
    for i in (3, 4)
]
ENDINGS = {"ctx_a": "A man", "ctx_b": "he", "activity_label": "Roof", "label": "1"}
OPEN = [{"query": f"Who are you, {x}?", "response": f"I am; “{x}”."} for x in ("a", "b")]
SUMS = [{"question": f"What is {i} + 1?", "answer": f"By counting.\n#### {i + 1}"} for i in (1, 2)]
SIDES = [{"prompt": f"How do I {x}?", "label": x} for x in ("safe", "unsafe") for _ in (1, 2)]
UNKNOWN = [{"prompt": f"{x}?", "answerable": x[0]} for x in ("true a", "true b", "false", "f c")]
for record, said in zip(UNKNOWN, ("true", "true", "false", "false"), strict=True):
    record["answerable"] = said
RULES = [
    {"prompt": "Write.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]},
    {
        "prompt": "Write twice.",
        "instruction_id_list": ["keywords:existence", "punctuation:no_comma"],
        "kwargs": [{"keywords": ["a"]}, {}],
    },
]
CHECKED = [
    {"prompt": "Say yes.", "checks": {"required": ["yes"]}, "group": "1"},
    {"messages": [{"role": "user", "content": "Say no."}], "checks": {"max_words": 5}},
]
TURNS = [
    {"turns": [{"user": "Hi"}, {"user": "Say a.", "checks": {"required": ["a"]}}]},
    {"turns": [{"user": "Say b.", "checks": {"max_words": 9}}, {"user": "Bye"}], "system": "Be."},
]
FIND = {"name": "find", "description": "d", "parameters": {"type": "object", "properties": {}}}
CALLS = [
    {
        "messages": json.dumps(
            [
                {"role": "user", "content": f"Weather in {city}?"},
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [{"id": "1", "name": "find", "arguments": {}}],
                },
            ]
        ),
        "tools": json.dumps([FIND]),
    }
    for city in ("Rome", "Bonn")
]
KINDS: dict[str, Kind] = {
    "mmlu": Kind(MMLU, fields={"shots": 0}, name="test"),
    "arc": Kind(CHOICE),
    "hellaswag": Kind([ENDINGS | {"endings": '["sits.", "falls."]'}]),
    "multiple_choice": Kind(CHOICE),
    "gsm8k": Kind(SUMS, fields={"shots": 0}),
    "gsm8k's examples": Kind(SUMS, field="examples", fields={"kind": "gsm8k", "shots": 2}),
    "open_answers": Kind(OPEN),
    "judge": Kind(OPEN, fields={"judge": JUDGE}),
    "bits_per_byte": Kind([{"text": "Once; upon"}, {"text": "a “time”, there\nwas"}]),
    "ifeval": Kind(RULES, flat=False),
    "refusal": Kind(SIDES, fields={"label": "label"}),
    "abstention": Kind(UNKNOWN),
    "abstention's contrast": Kind(
        [{"prompt": "What is one?"}, {"prompt": "And two?"}],
        field="contrast_path",
        fields={"kind": "abstention"},
    ),
    "dialogues": Kind(TURNS, fields={"measure": ["checks"]}, flat=False),
    "adherence": Kind(CHECKED, flat=False),
    "brittleness": Kind(CHOICE),
    "tool_calls": Kind(CALLS, fields={"due": "calls"}),
}


def _table(write: Callable[[pa.Table, Any], None]) -> Callable[[Records], bytes]:
    def make(records: Records) -> bytes:
        sink = pa.BufferOutputStream()
        names = dict.fromkeys(name for record in records for name in record)
        columns = {name: [record.get(name) for record in records] for name in names}
        write(pa.table(columns), sink)
        return sink.getvalue().to_pybytes()

    return make


def _ipc(opener: Any) -> Callable[[pa.Table, Any], None]:
    def write(table: pa.Table, sink: Any) -> None:
        with opener(sink, table.schema) as writer:
            writer.write_table(table)

    return write


def _delimited(delimiter: str, mark: bytes = b"") -> Callable[[Records], bytes]:
    def make(records: Records) -> bytes:
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, list(records[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(records)
        return mark + out.getvalue().encode()

    return make


def _lines(records: Records) -> bytes:
    return b"".join(json.dumps(r).encode() + b"\n" for r in records)


def _zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


BOM = b"\xef\xbb\xbf"
FLAT: dict[str, tuple[str, Callable[[Records], bytes]]] = {
    "csv": (".csv", _delimited(",")),
    "csv with a byte-order mark": (".csv", _delimited(",", BOM)),
    "csv with semicolons": (".csv", _delimited(";")),
    "csv with tabs": (".csv", _delimited("\t")),
    "csv with bars": (".csv", _delimited("|")),
    "tsv": (".tsv", _delimited("\t")),
    "csv.zst": (".csv.zst", lambda records: _zstd(_delimited(";")(records))),
}
NESTED: dict[str, tuple[str, Callable[[Records], bytes]]] = {
    "jsonl with a byte-order mark": (".jsonl", lambda records: BOM + _lines(records)),
    "ndjson": (".ndjson", _lines),
    "jsonl with Windows's ends": (".jsonl", lambda r: _lines(r).replace(b"\n", b"\r\n\r\n")),
    "a list in json": (".json", lambda records: json.dumps(records).encode()),
    "a list with a byte-order mark": (".json", lambda r: BOM + json.dumps(r).encode()),
    "lines in json": (".json", _lines),
    "parquet": (".parquet", _table(pq.write_table)),
    "an arrow file": (".arrow", _table(_ipc(pa.ipc.new_file))),
    "an arrow stream": (".arrow", _table(_ipc(pa.ipc.new_stream))),
    "feather": (".feather", _table(pyarrow.feather.write_feather)),
    "gz": (".jsonl.gz", lambda records: gzip.compress(_lines(records))),
    "bz2": (".jsonl.bz2", lambda records: bz2.compress(_lines(records))),
    "zst": (".jsonl.zst", lambda records: _zstd(_lines(records))),
    "json.gz": (".json.gz", lambda records: gzip.compress(json.dumps(records).encode())),
    "parquet.gz": (".parquet.gz", lambda r: gzip.compress(_table(pq.write_table)(r))),
}
EVERY = [
    pytest.param(kind, ending, make, id=f"{kind}: {name}")
    for kind, what in KINDS.items()
    for name, (ending, make) in (NESTED | (FLAT if what.flat else {})).items()
]


def _content(kind: str, path: str, folder: Path, whole: bool = False) -> str:
    """Return the digest of what a suite with that file asks; ``whole`` needs one record more."""
    what = KINDS[kind]
    fields = {"kind": kind, "name": "s"} | what.fields | {what.field: path}
    if what.field == "examples" and whole:
        # Examples are read as far as they are shown.
        fields["shots"] = len(what.records) + 1
    if what.field != "path":
        own = folder / "other.jsonl"
        own.write_bytes(_lines([{**SUMS[0], "question": "What is 9 + 1?"}, *OTHERS]))
        fields |= {"path": str(own)}
    suite: Any = TypeAdapter(Suite).validate_python(fields)
    return open_suite(suite, EvalContext()).content


OTHERS = [{"prompt": f"{x}?", "question": f"{x}?", "answer": "#### 1"} for x in ("e", "f")]


def _expected(kind: str, folder: Path) -> str:
    return _content(kind, _written(kind, folder, ".jsonl", _lines), folder)


def _written(kind: str, folder: Path, ending: str, make: Callable[[Records], bytes]) -> str:
    what = KINDS[kind]
    inner = folder / f"f{len(list(folder.iterdir()))}"
    inner.mkdir()
    file = inner / (what.name + ending)
    file.write_bytes(make(what.records))
    return str(inner if kind == "mmlu" else file)


@pytest.mark.parametrize(("kind", "ending", "make"), EVERY)
def test_a_suite_asks_the_same_whatever_its_file_is(
    tmp_path: Path, kind: str, ending: str, make: Callable[[Records], bytes]
) -> None:
    path = _written(kind, tmp_path, ending, make)
    assert _content(kind, path, tmp_path) == _expected(kind, tmp_path)


def test_the_formats_tried_are_all_there_are() -> None:
    tried = {ending for ending, _ in (FLAT | NESTED).values()} | {".jsonl"}
    assert tried >= set(CONTAINERS)


def test_the_kinds_tried_are_all_that_read_a_file() -> None:
    fields = ("path", "contrast_path", "examples")
    of_files = {
        (section.model_fields["kind"].annotation.__args__[0], field)
        for section in _sections()
        for field in fields
        if field in section.model_fields
    }
    tried = {(str(k.fields.get("kind", kind)), k.field) for kind, k in KINDS.items()}
    assert tried == of_files


def _sections() -> list[Any]:
    union: Any = Suite
    found, waiting = [], [union]
    while waiting:
        one = waiting.pop()
        if isinstance(one, type):
            found.append(one)
        else:
            waiting += [a for a in getattr(one, "__args__", ()) if hasattr(a, "__mro__") or a]
    return [f for f in found if hasattr(f, "model_fields")]


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "mmlu"])
def test_a_suite_reads_a_folder_a_glob_and_a_package(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _expected(kind, tmp_path)
    records, folder = KINDS[kind].records, tmp_path / "packaged_items"
    (folder / "deep").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "a.jsonl").write_bytes(_lines(records[:1]))
    (folder / "deep" / "b.jsonl.zst").write_bytes(_zstd(_lines(records[1:])))
    (folder / "LICENSE.txt").write_text("words")
    monkeypatch.syspath_prepend(tmp_path)
    for path in (str(folder), f"{folder}/**/*.jsonl*", "package:packaged_items"):
        assert _content(kind, path, tmp_path) == expected, path


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_suite_reads_s3(
    tmp_path: Path, kind: str, open_account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    what, client = KINDS[kind], open_account(monkeypatch, {})
    key = f"suites/{what.name}.jsonl.zst"
    client.put_object(Bucket="temper-tests", Key=key, Body=_zstd(_lines(what.records)))
    address = f"s3://temper-tests/{'suites' if kind == 'mmlu' else key}"
    assert _content(kind, address, tmp_path) == _expected(kind, tmp_path)


BROKEN: dict[str, tuple[str, Callable[[Records], bytes], str]] = {
    "half a line": (".jsonl", lambda r: _lines(r) + b'{"a": ', "not JSON"),
    "a list as a line": (".jsonl", lambda r: _lines(r) + b"[1]\n", "not a JSON object"),
    "a field twice": (".jsonl", lambda r: _lines(r) + b'{"a": 1, "a": 2}\n', "there twice"),
    "bytes that are no text": (
        ".jsonl.gz",
        lambda r: gzip.compress(_lines(r) + b'"\xff"'),
        "UTF-8",
    ),
    "a number in a list": (".json", lambda r: json.dumps([*r, 1]).encode(), "not an object"),
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("kind", KINDS)
def test_a_record_that_cant_be_read_is_named_by_file_and_line(
    tmp_path: Path, kind: str, broken: str
) -> None:
    ending, make, said = BROKEN[broken]
    path = _written(kind, tmp_path, ending, make)
    with pytest.raises(EvaluationError, match=said) as error:
        _content(kind, path, tmp_path, whole=True)
    file = Path(path) / f"test{ending}" if kind == "mmlu" else Path(path)
    assert error.value.where == f"{file}:{len(KINDS[kind].records) + 1}"
    assert error.value.fix


@pytest.mark.parametrize("kind", [k for k, what in KINDS.items() if what.flat])
@pytest.mark.parametrize(
    ("tail", "said"),
    [(b"x,y,z,q,r,s,t,u\n", "fields where the header has"), (b"caf\xe9" * 9, "fields|UTF-8")],
)
def test_a_row_of_a_table_that_cant_be_read_is_named_by_file_and_line(
    tmp_path: Path, kind: str, tail: bytes, said: str
) -> None:
    path = _written(kind, tmp_path, ".csv", lambda r: _delimited(",")(r) + tail)
    with pytest.raises(EvaluationError, match=said) as error:
        _content(kind, path, tmp_path, whole=True)
    text = _delimited(",")(KINDS[kind].records)
    assert error.value.where.endswith(f".csv:{text.count(bytes([10])) + 1}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_isnt_what_its_ending_says_is_named(tmp_path: Path, kind: str) -> None:
    path = _written(kind, tmp_path, ".parquet", _lines)
    with pytest.raises(EvaluationError, match="damaged or not what its ending says") as error:
        _content(kind, path, tmp_path)
    assert error.value.where.startswith(path)


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "mmlu"])
def test_a_path_that_means_nothing_says_what_is_nearby(tmp_path: Path, kind: str) -> None:
    path = _written(kind, tmp_path, ".jsonl", _lines)
    with pytest.raises(EvaluationError, match="no such file or folder") as error:
        _content(kind, path.replace("items", "itms"), tmp_path)
    assert "did you mean items.jsonl" in error.value.fix


def test_plain_text_counts_when_it_is_named_and_not_inside_a_folder(tmp_path: Path) -> None:
    (tmp_path / "LICENSE.txt").write_bytes(BOM + b"words of a licence")
    (tmp_path / "a.jsonl").write_text('{"text": "words of a licence"}')
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"\xff"))
    folder, named, one = (
        _content("bits_per_byte", str(path), tmp_path)
        for path in (tmp_path, tmp_path / "L*.txt", tmp_path / "LICENSE.txt")
    )
    assert folder == named == one
    with pytest.raises(EvaluationError, match="not UTF-8"):
        _content("bits_per_byte", str(tmp_path / "b.txt.gz"), tmp_path)
