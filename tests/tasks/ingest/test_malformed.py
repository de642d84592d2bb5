"""No input ends in a traceback, and no record is lost. malformed*.py make the cases."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from configs.quality import Quality
from configs.sources import FilesSource
from tasks.artifacts import Snapshot
from tasks.errors import TemperError, Unusable
from tasks.files.locate import locate_files
from tasks.files.readers import read_file
from tasks.ingest.convert import find_converter
from tasks.ingest.stage import make_snapshot
from tasks.quality.stage import clean_source


def _beside(name: str) -> ModuleType:
    # The cases are data beside this file, and tests are no package to import from.
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


malformed, malformed_files = _beside("malformed"), _beside("malformed_files")
CASES = [*malformed.text_cases(), *malformed_files.file_cases()]


def _source(path: Path, **fields: Any) -> FilesSource:
    base = {"name": "x", "role": "general", "kind": "files", "path": str(path)}
    return TypeAdapter(FilesSource).validate_python(base | fields)


def _written(case: Any, folder: Path) -> Path:
    folder.mkdir()
    for name, content in case.files.items():
        (folder / name).write_bytes(content)
    return folder / next(iter(case.files)) if len(case.files) == 1 else folder


def _records(path: Path, source: FilesSource) -> int:
    return sum(
        1 for file in locate_files(str(path)) if file.size for _ in read_file(file, source.limits)
    )


def _ingested(source: FilesSource) -> tuple[Snapshot | None, TemperError | None]:
    try:
        return make_snapshot(source), None
    except TemperError as problem:
        return None, problem


def _check_error(error: TemperError, folder: Path) -> None:
    assert str(folder) in error.where
    assert "Traceback" not in error.message
    assert "\n" not in error.message
    assert len(error.message) < 3_000
    assert error.fix


def test_there_are_over_two_hundred_cases_each_of_its_own_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 200


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_record_is_lost_and_no_traceback_shown(
    case: Any, tmp_path: Path, temper_home: Path
) -> None:
    path = _written(case, tmp_path / "data")
    source = _source(path, **case.fields)
    made, problem = _ingested(source)
    if problem is not None:
        assert case.rows in (malformed.REFUSED, malformed.EITHER), problem
        _check_error(problem, tmp_path / "data")
        return
    assert made is not None
    assert case.rows is not malformed.REFUSED
    expected = _records(path, source) if case.rows == malformed.EITHER else case.rows
    assert made.rows + made.rejected == expected
    assert sum(pq.read_metadata(f).num_rows for f in (made.path / "rows").iterdir()) == made.rows
    kept = pq.read_table(made.path / "rejected.parquet").to_pylist()
    assert len(kept) == made.rejected
    assert all(row["origin"] and row["reason"] for row in kept)


def test_all_of_it_is_accounted_for_after_quality_too(tmp_path: Path, temper_home: Path) -> None:
    good = [json.dumps({"prompt": f"q{i}", "completion": f"a{i}"}).encode() for i in range(60)]
    lines = [*good, *malformed.LINES.values()]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(lines))
    source = _source(path)
    done = clean_source(make_snapshot(source), source, Quality(max_quarantine=1), 17)
    aside = pq.read_metadata(done.path / "quarantine.parquet").num_rows
    assert done.rows_in == len(lines) == done.rows_out + aside
    assert done.rows_out >= len(good)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "role",
                    "content",
                    "text",
                    "type",
                    "tool_calls",
                    "function",
                    "name",
                    "arguments",
                    "toolUse",
                    "toolResult",
                    "reasoningContent",
                    "from",
                    "value",
                    "id",
                    "json",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)
FIELDS = {
    "messages": ("messages", "tools"),
    "converse": ("messages", "system", "toolConfig"),
    "sharegpt": ("conversations", "tools", "system"),
    "alpaca": ("instruction", "output"),
    "completion": ("prompt", "completion"),
    "text": ("text",),
    "dpo": ("prompt", "chosen", "rejected"),
    "rft": ("messages", "reference_answer", "metadata"),
}


@pytest.mark.parametrize("name", FIELDS)
@given(data=st.data())
def test_a_row_of_any_values_is_converted_or_refused_with_a_reason(name: str, data: Any) -> None:
    row = {field: data.draw(values, label=field) for field in FIELDS[name]}
    convert = find_converter(_source(Path("x"), format=name), [row], "x")
    try:
        fields = convert(row)
    except Unusable as refused:
        fields, reason = None, str(refused)
    if fields is None:
        assert reason
        return
    assert fields.messages
    assert all(
        isinstance(m["content"], str) and isinstance(m["role"], str) for m in fields.messages
    )
    for text in (fields.tools, fields.reference, *(m.get("tool_calls") for m in fields.messages)):
        assert text is None or json.loads(text) is not None or text == "null"
