"""Every planted fault is found, and of clean public data next to nothing is.

The table is planted.py beside this file: a kind of fault is a line there.
"""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from configs.quality import CHECKS, Quality
from configs.sources import FilesSource
from tasks.artifacts import CleanSource
from tasks.ingest.stage import make_snapshot
from tasks.quality.checks.registry import any_of
from tasks.quality.decide import find_rows
from tasks.quality.report import load_verdict
from tasks.quality.row_table import build_identities, read_rows
from tasks.quality.stage import clean_source

# The table is a file of data beside this one, and tests are no package to import from.
_SPEC = importlib.util.spec_from_file_location("planted", Path(__file__).with_name("planted.py"))
assert _SPEC is not None and _SPEC.loader is not None  # noqa: PT018
planted = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(planted)

GOOD_ROWS = 120
NOT_PLANTED = {"missing_label", "label_conflict", "row_count"}
"""Checks about labels and counts, which no single row of these files can break."""

ALL_SET_ASIDE = dict.fromkeys(
    (
        "unknown_fields",
        "tool_undescribed",
        "inconsistent_system",
        "inconsistent_tools",
        "inconsistent_reasoning",
    ),
    "quarantine",
)

# The rules for prose would find the short made-up texts; they have tests of their own.
STRUCTURE = Quality(text_rules="off")


def _source(path: Path, **fields: Any) -> FilesSource:
    base = {
        "name": path.stem.replace(".", "-"),
        "role": "general",
        "kind": "files",
        "path": str(path),
    }
    return TypeAdapter(FilesSource).validate_python(base | fields)


def _checked(path: Path, quality: Quality, **fields: Any) -> CleanSource:
    source = _source(path, **fields)
    return clean_source(make_snapshot(source), source, quality, 17)


def _found(done: CleanSource) -> dict[str, set[str]]:
    rows = pq.read_table(done.path / "quarantine.parquet").to_pylist()
    return {row["origin"]: set(row["reasons"]) for row in rows}


def test_the_table_has_forty_kinds_and_all_checks() -> None:
    kinds = {(p.format, p.kind) for p in planted.PLANTED}
    assert len(kinds) == len(planted.PLANTED) >= 40
    assert {p.check for p in planted.PLANTED} >= set(CHECKS) - NOT_PLANTED


@pytest.mark.parametrize("name", planted.TABLE)
def test_every_planted_fault_is_found_and_nothing_else(
    tmp_path: Path, temper_home: Path, name: str
) -> None:
    path = tmp_path / f"{name}.jsonl"
    path.write_bytes(b"\n".join(planted.lines_of(name, GOOD_ROWS)))
    done = _checked(
        path,
        STRUCTURE.model_copy(update={"severity": ALL_SET_ASIDE, "max_quarantine": 1}),
        format=name,
    )
    found = _found(done)
    kinds = [p for p in planted.PLANTED if p.format == name]
    missed = [
        p.kind
        for number, p in enumerate(kinds, start=GOOD_ROWS + 1)
        if p.check not in found.get(f"{path.name}:{number}", ())
    ]
    assert missed == []
    assert len(found) == len(kinds)
    assert done.rows_in == GOOD_ROWS + len(kinds) == done.rows_out + len(kinds)


@pytest.mark.parametrize("name", planted.GOOD)
def test_good_rows_of_every_format_are_found_by_nothing(
    tmp_path: Path, temper_home: Path, name: str
) -> None:
    path = tmp_path / f"{name}.jsonl"
    path.write_text("\n".join(json.dumps(planted.GOOD[name](i)) for i in range(20)))
    done = _checked(path, STRUCTURE)
    assert (done.verdict, done.rows_out) == ("pass", 20)
    assert not any(load_verdict(done).reported.values())
    assert load_verdict(done).notes == [f"Row format: {name}, which 20 of the first 20 rows have."]


def _flagged(source: FilesSource) -> tuple[dict[str, int], float, int]:
    table = read_rows(make_snapshot(source).path)
    found, *_ = find_rows(table, build_identities(table), source, Quality())
    aside = {name: flags for name, flags in found.flags.items() if name != "duplicate"}
    hit = any_of(aside.values(), len(table))
    return {n: int(f.sum()) for n, f in aside.items() if f.any()}, float(hit.mean()), len(table)


BANKING = {"prompt": "text", "completion": "label", "label": "label"}


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("files", "fields", "rows"),
    [
        ("banking77/*.parquet", {"columns": BANKING, "role": "domain"}, 13_083),
        ("dolly_partial/*.jsonl.gz", {}, 6_400),
    ],
)
def test_of_clean_public_rows_at_most_one_in_a_hundred_is_found_duplicates_apart(
    shared_data: Path, temper_home: Path, files: str, fields: dict[str, Any], rows: int
) -> None:
    counts, share, read = _flagged(_source(shared_data / files, name="clean", **fields))
    print(f"{files}: {share:.4%} of {read:,} rows, {counts}")
    assert read == rows
    assert share <= 0.01, counts
