"""The verdicts as a page of our own, and as a table for the Prefect UI."""

import json
from collections.abc import Mapping, Sequence

from tasks.artifacts import CleanSource
from tasks.pages import render
from tasks.quality.checks.explanations import explanations
from tasks.quality.findings import EXPLANATIONS
from tasks.quality.verdict import Bin, Verdict

LABELS_SHOWN, BARS = 100, 12


def load_verdict(clean: CleanSource) -> Verdict:
    """Return the verdict kept beside a clean source."""
    fields = json.loads((clean.path / "verdict.json").read_text(encoding="utf-8"))
    # The receipt knows today's name of the file; what was found is the same.
    return Verdict.model_validate(fields | {"uri": clean.origin.uri, "source": clean.name})


def verdict_page(verdict: Verdict) -> str:
    """Return the page of one source."""
    return _page([verdict], f"Data quality: {verdict.source}")


def verdicts_page(cleans: Sequence[CleanSource]) -> str:
    """Return one page for all sources of a run."""
    return _page([load_verdict(c) for c in cleans], "Data quality")


def verdict_table(clean: CleanSource) -> list[dict[str, str]]:
    """Return a row a check: what it found and what that means."""
    verdict = load_verdict(clean)
    return [
        {"check": name, "rows": f"{rows:,}", "meaning": explanation(name)}
        for name, rows in [*verdict.findings.items(), *verdict.reported.items()]
        if rows or name in verdict.findings
    ]


def verdict_line(clean: CleanSource) -> str:
    """Return the verdict in one sentence."""
    splits = ", ".join(f"{clean.splits[name]:,} {name}" for name in ("train", "dev", "test"))
    line = f"{clean.name}: {clean.verdict}. {clean.rows_in:,} rows in; clean: {splits}."
    return f"{line} {clean.reason}".strip()


def explanation(check: str) -> str:
    """Return what a check finds, in one sentence."""
    known = EXPLANATIONS | explanations()
    return known.get(check, "The row doesn't meet this expectation of your own suite.")


def _page(verdicts: Sequence[Verdict], title: str) -> str:
    return render(
        "verdicts",
        title=title,
        verdicts=verdicts,
        explanation=explanation,
        labels_shown=LABELS_SHOWN,
        most=_most,
        label_rows=_label_rows,
    )


def _label_rows(verdict: Verdict) -> dict[str, int]:
    return {label: sum(rows.values()) for label, rows in verdict.labels.items()}


def _most(counts: Mapping[str, int]) -> list[Bin]:
    """Return the commonest names as bars, the others as one."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    bars = [Bin(label=name, count=rows) for name, rows in ordered[:BARS]]
    others = sum(rows for _, rows in ordered[BARS:])
    return [*bars, Bin(label="others", count=others)] if others else bars
