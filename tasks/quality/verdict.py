"""The verdict on a source, and everything its page shows."""

import json
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from configs.quality import Quality
from tasks.artifacts import CleanSource
from tasks.quality.expectations import Outcome
from tasks.quality.severity import row_count_problem, severity_of

Word = Literal["pass", "quarantine", "block"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Example(_Record):
    """A row that a check found: where it is from and the part of its text that shows why."""

    origin: str
    text: str


class Bin(_Record):
    """Rows whose text has at least ``label`` characters, and fewer than the next bin's."""

    label: str
    count: int


class Expected(_Record):
    """One expectation of the user's own and what became of it."""

    name: str
    severity: str
    success: bool
    rows: int


class Verdict(_Record):
    """What ``verdict.json`` holds.

    Attributes:
        findings: Check -> rows it found; a row may be found by several.
        quarantined: Rows set aside.
        limit: Clean training rows beyond the source's ``limit``; not written.
        splits: Split -> clean rows.
        labels: Label -> split -> clean rows, where labels are classes.
        lengths: Histogram of the clean rows' texts, in characters.
        examples: Check -> a few of the rows it found.
        reported: Check -> rows it found and left where they are.
        sanitised: Rows whose texts were rid of reserved tokens.
        tokens: Reserved token -> how often it was taken out or spelled apart.
        notes: What else there is to know, a sentence each.
        languages: Language -> rows, where languages were asked for.
        warnings: What is wrong with the source as a whole, a sentence each.
    """

    source: str
    role: str
    uri: str
    verdict: Word
    reason: str
    rows_in: int
    rows_out: int
    quarantined: int
    limit: int
    findings: dict[str, int]
    splits: dict[str, int]
    labels: dict[str, dict[str, int]]
    lengths: list[Bin]
    examples: dict[str, list[Example]]
    expectations: list[Expected]
    reported: dict[str, int] = {}
    sanitised: int = 0
    tokens: dict[str, int] = {}
    notes: list[str] = []
    languages: dict[str, int] = {}
    warnings: list[str] = []


def judge(
    quality: Quality, counts: Mapping[str, int], findings: Mapping[str, int], failed: list[Outcome]
) -> tuple[Word, str]:
    """Return the verdict, and why it blocks (empty where it doesn't).

    Args:
        quality: The recipe's section.
        counts: ``rows_in``, ``quarantined`` and ``train`` (clean training rows).
        findings: Check -> rows it found.
        failed: Critical expectations of the user's own that the data doesn't meet.
    """
    found = {name: rows for name, rows in findings.items() if rows}
    reason = (
        _own_failed(failed)
        or _blocked_by_choice(quality, found)
        or _blocked_by_severity(quality, found)
        or _too_many(quality, counts, found)
        or _too_few(quality, counts["train"])
        or _out_of_bounds(quality, counts["train"])
    )
    if reason:
        return "block", reason
    return ("quarantine" if found or counts["quarantined"] else "pass"), ""


def _own_failed(failed: list[Outcome]) -> str:
    if not failed:
        return ""
    first = failed[0]
    rows = f" on {len(first.rows):,} rows" if first.rows else ""
    more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
    return f"The critical expectation '{first.name}' isn't met{rows}{more}."


def _blocked_by_choice(quality: Quality, found: Mapping[str, int]) -> str:
    if quality.on_fail != "block" or not found:
        return ""
    return f"on_fail is 'block', and the checks found rows: {_listed(found)}."


def _blocked_by_severity(quality: Quality, found: Mapping[str, int]) -> str:
    blocking = {n: rows for n, rows in found.items() if severity_of(n, quality) == "block"}
    if not blocking:
        return ""
    return f"Checks of severity 'block' found rows: {_listed(blocking)}."


def _out_of_bounds(quality: Quality, train: int) -> str:
    blocks = severity_of("row_count", quality) == "block"
    return row_count_problem(train, quality) if blocks else ""


def _too_many(quality: Quality, counts: Mapping[str, int], found: Mapping[str, int]) -> str:
    share = counts["quarantined"] / counts["rows_in"] if counts["rows_in"] else 0.0
    if share <= quality.max_quarantine:
        return ""
    return (
        f"{share:.1%} of the rows were set aside, and max_quarantine allows "
        f"{quality.max_quarantine:.1%}: {_listed(found)}."
    )


def _too_few(quality: Quality, train: int) -> str:
    if train >= quality.min_rows:
        return ""
    return f"{train:,} clean training rows are left, and min_rows asks for {quality.min_rows:,}."


def _listed(found: Mapping[str, int]) -> str:
    most = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{rows:,} {name}" for name, rows in most) or "rows that can't be read"


def load_verdict(clean: CleanSource) -> Verdict:
    """Return the verdict kept beside a clean source."""
    fields = json.loads((clean.path / "verdict.json").read_text(encoding="utf-8"))
    # The receipt knows today's name of the file; what was found is the same.
    return Verdict.model_validate(fields | {"uri": clean.origin.uri, "source": clean.name})
