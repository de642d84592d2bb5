from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from configs.quality import Quality
from configs.sources import FilesSource
from tasks.artifacts import Snapshot
from tasks.quality.checks.registry import severity_of
from tasks.quality.expectations import validate
from tasks.quality.report import load_verdict, verdict_page, verdict_table
from tasks.quality.stage import clean_source
from tasks.quality.suite import ROW_COUNT, row_count_problem, shipped_suite
from tasks.quality.verdict import judge_source

Row = Callable[..., dict[str, Any]]
Make = Callable[..., Snapshot]
Source = Callable[..., FilesSource]
NOVA = "nova-lite-2-sft"
SYSTEM = {"role": "system", "content": "Be kind."}


def _rows(row: Row, count: int = 30) -> list[dict[str, Any]]:
    return [row(f"question {i}", label="ab"[i % 2]) for i in range(count)]


def _led(row: Row) -> dict[str, Any]:
    plain = row("who?", label="a")
    return row("", label="a", messages=[SYSTEM, *plain["messages"]])


@pytest.mark.parametrize(
    ("check", "fields", "severity"),
    [
        ("empty", {}, "quarantine"),
        ("inconsistent_system", {}, "report"),
        ("inconsistent_system", {"target": NOVA}, "block"),
        (
            "inconsistent_system",
            {"target": NOVA, "severity": {"inconsistent_system": "report"}},
            "report",
        ),
        ("unknown_fields", {}, "report"),
        ("unknown_fields", {"target": "bedrock"}, "quarantine"),
        ("empty", {"severity": {"empty": "block"}}, "block"),
        ("row_count", {}, "block"),
    ],
)
def test_the_recipe_comes_before_the_target_and_the_target_before_the_default(
    check: str, fields: dict[str, Any], severity: str
) -> None:
    assert severity_of(check, Quality(**fields)) == severity


@pytest.mark.parametrize("severity", [{"format": "report"}, {"row_count": "quarantine"}])
def test_a_severity_that_can_not_be_is_refused(severity: dict[Any, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(severity))):
        Quality(severity=severity)


def test_what_is_only_reported_leaves_its_rows_and_the_verdict(
    row: Row, snapshot_of: Make, source: Source
) -> None:
    rows = [*_rows(row), _led(row), row("new", label="b", extra=["stars", "messages.mood"])]
    done = clean_source(snapshot_of(rows), source(), Quality(), 17)
    verdict = load_verdict(done)
    assert (done.verdict, done.rows_out, verdict.quarantined) == ("pass", 32, 0)
    found = {name: rows for name, rows in verdict.reported.items() if rows}
    assert found == {"unknown_fields": 1, "inconsistent_system": 1}
    assert "unknown_fields" not in done.findings
    assert {"check": "unknown_fields", "rows": "1"}.items() <= verdict_table(done)[-2].items()
    assert "not used: stars, messages.mood" in verdict_page(verdict)


def test_what_a_target_can_not_take_blocks(row: Row, snapshot_of: Make, source: Source) -> None:
    rows = [*_rows(row), _led(row)]
    done = clean_source(snapshot_of(rows), source(), Quality(target="bedrock"), 17)
    assert (done.verdict, done.reason) == (
        "block",
        "Checks of severity 'block' found rows: 1 inconsistent_system.",
    )
    assert done.findings["inconsistent_system"] == 1


def test_a_row_that_is_only_reported_still_stands_for_its_copies(
    row: Row, snapshot_of: Make, source: Source
) -> None:
    rows = [row("new", label="b", extra=["stars"]), *_rows(row), row("NEW!", label="b")]
    done = clean_source(snapshot_of(rows), source(), Quality(), 17)
    assert done.findings["duplicate"] == 1


@pytest.mark.parametrize(
    ("target", "train", "problem"),
    [
        ("none", 1, ""),
        ("bedrock", 8, ""),
        ("bedrock", 20_000, ""),
        ("bedrock", 7, "bedrock takes no fewer than 8"),
        ("bedrock", 20_001, "bedrock takes no more than 20,000"),
        (NOVA, 199, "takes no fewer than 200"),
        ("nova-lite-2-rft", 99, "no fewer than 100"),
        ("nova-lite-2-job", 1_000_000, ""),
        ("nova-lite-2-job", 31, "no fewer than 32"),
    ],
)
def test_a_target_bounds_the_rows(target: Any, train: int, problem: str) -> None:
    quality = Quality(target=target)
    found = row_count_problem(train, quality)
    assert problem in found
    assert bool(found) == bool(problem)
    frame = pd.DataFrame({"use": ["train"] * train})
    (rows,) = [e for e in shipped_suite(quality) if e["type"] == ROW_COUNT]
    (outcome,) = validate("voc", frame, [rows]).outcomes
    failed = [] if outcome.success else [outcome]
    counts = {"rows_in": train, "quarantined": 0, "train": train}
    verdict = judge_source(quality, counts, {}, failed)
    assert verdict == (("block", found) if found else ("pass", ""))
    rest = Quality(target=target, checks=("empty",))
    assert row_count_problem(train, rest) == ""


def test_a_count_out_of_bounds_can_be_reported_alone(
    row: Row, snapshot_of: Make, source: Source
) -> None:
    quality = Quality(target=NOVA, severity={"row_count": "report"})
    done = clean_source(snapshot_of(_rows(row)), source(), quality, 17)
    assert done.verdict == "pass"
    assert "takes no fewer than 200." in load_verdict(done).notes[-1]
