"""The verdict on a source, and everything its page shows."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from configs.quality import Quality
from tasks.quality.checks.registry import severity_of
from tasks.quality.expectations import Outcome
from tasks.quality.suite import ROW_COUNT, row_count_problem

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


def judge_source(
    quality: Quality,
    counts: Mapping[str, int],
    findings: Mapping[str, int],
    failed: Sequence[Outcome],
) -> tuple[Word, str]:
    """Return the verdict, and why it blocks (empty where it doesn't).

    Args:
        quality: The recipe's section.
        counts: ``rows_in``, ``quarantined`` and ``train`` (clean training rows).
        findings: Check -> rows it found.
        failed: Critical expectations that the data doesn't meet. Any of them blocks.
    """
    found = {name: rows for name, rows in findings.items() if rows}
    if not failed:
        return ("quarantine" if found or counts["quarantined"] else "pass"), ""
    own = [outcome for outcome in failed if outcome.own]
    columns = {outcome.column for outcome in failed}
    blocking = {
        name: rows
        for name, rows in found.items()
        if name in columns and severity_of(name, quality) == "block"
    }
    if own:
        return "block", _unmet(own)
    if quality.on_fail == "block" and columns & {*found, "set_aside"}:
        return "block", f"on_fail is 'block', and the checks found rows: {_listed(found)}."
    if blocking:
        return "block", f"Checks of severity 'block' found rows: {_listed(blocking)}."
    if "set_aside" in columns:
        share = counts["quarantined"] / counts["rows_in"]
        return "block", (
            f"{share:.1%} of the rows were set aside, and max_quarantine allows "
            f"{quality.max_quarantine:.1%}: {_listed(found)}."
        )
    if any(outcome.type == ROW_COUNT for outcome in failed):
        train = counts["train"]
        if train < quality.min_rows:
            return "block", (
                f"{train:,} clean training rows are left, and min_rows asks for "
                f"{quality.min_rows:,}."
            )
        return "block", row_count_problem(train, quality)
    return "block", _unmet(failed)


def _unmet(failed: Sequence[Outcome]) -> str:
    first = failed[0]
    rows = f" on {first.unexpected:,} rows" if first.unexpected else ""
    more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
    return f"The critical expectation '{first.name}' isn't met{rows}{more}."


def _listed(found: Mapping[str, int]) -> str:
    most = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{rows:,} {name}" for name, rows in most) or "rows that can't be read"
