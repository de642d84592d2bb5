"""What a person looks at afterwards: quarantined rows with reasons, examples, counts, lengths."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.artifacts import CleanSource
from tasks.pages import render
from tasks.quality.checks.detectors import hide_secrets
from tasks.quality.checks.registry import explain_check, show_example
from tasks.quality.checks.texts import Flags
from tasks.quality.verdict import Bin, Example, Verdict
from tasks.text.rows import QUARANTINE_SCHEMA, full_text

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
        {"check": name, "rows": f"{rows:,}", "meaning": explain_check(name)}
        for name, rows in [*verdict.findings.items(), *verdict.reported.items()]
        if rows or name in verdict.findings
    ]


def verdict_line(clean: CleanSource) -> str:
    """Return the verdict in one sentence."""
    splits = ", ".join(f"{clean.splits[name]:,} {name}" for name in ("train", "dev", "test"))
    line = f"{clean.name}: {clean.verdict}. {clean.rows_in:,} rows in; clean: {splits}."
    return f"{line} {clean.reason}".strip()


def _page(verdicts: Sequence[Verdict], title: str) -> str:
    return render(
        "verdicts",
        title=title,
        verdicts=verdicts,
        explanation=explain_check,
        labels_shown=LABELS_SHOWN,
        most=_top_bars,
        label_rows=_label_rows,
    )


def _label_rows(verdict: Verdict) -> dict[str, int]:
    return {label: sum(rows.values()) for label, rows in verdict.labels.items()}


def _top_bars(counts: Mapping[str, int]) -> list[Bin]:
    """Return the commonest names as bars, the others as one."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    bars = [Bin(label=name, count=rows) for name, rows in ordered[:BARS]]
    others = sum(rows for _, rows in ordered[BARS:])
    return [*bars, Bin(label="others", count=others)] if others else bars


EXAMPLES, EXCERPT = 3, 240
_HEAD = 4 * EXCERPT
"""Characters looked at of a text whose beginning is shown."""
EDGES = (0, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)


def write_quarantine(path: Path, table: Any, rejected: Any, flags: Mapping[str, Flags]) -> None:
    """Write every row that was set aside, with its reasons."""
    import pyarrow.parquet as pq

    found = np.flatnonzero(
        np.logical_or.reduce([np.zeros(len(table), dtype=bool), *flags.values()])
    )
    reasons = [[name for name, hit in flags.items() if hit[i]] for i in found]
    rows = table.take(found).append_column("reasons", pa.array(reasons, pa.list_(pa.string())))
    refused = pa.table(
        {
            "origin": rejected["origin"],
            "raw": rejected["raw"],
            "detail": rejected["reason"],
            "reasons": pa.array([["format"]] * len(rejected), pa.list_(pa.string())),
        }
    )
    whole = pa.concat_tables([_complete(rows), _complete(refused)])
    pq.write_table(whole, path, compression="zstd")


def _complete(table: Any) -> Any:
    columns = [
        table[f.name].cast(f.type) if f.name in table.column_names else pa.nulls(len(table), f.type)
        for f in QUARANTINE_SCHEMA
    ]
    return pa.Table.from_arrays(columns, schema=QUARANTINE_SCHEMA)


def collect_examples(
    table: Any, rejected: Any, flags: Mapping[str, Flags], target: str = "none"
) -> dict[str, list[Example]]:
    """Return the first few rows that each check found, cut to the part that shows why."""
    shown = {
        "format": [
            Example(
                origin=row["origin"],
                text=f"{row['reason']}: {cut_excerpt(hide_secrets(row['raw'][:_HEAD])[0], 0)}",
            )
            for row in rejected.slice(0, EXAMPLES).to_pylist()
        ]
    }
    for name, hit in flags.items():
        rows = table.take(np.flatnonzero(hit)[:EXAMPLES]).to_pylist()
        shown[name] = [Example(origin=r["origin"], text=_excerpt(name, r, target)) for r in rows]
    return {name: found for name, found in shown.items() if found}


def _excerpt(check: str, row: Mapping[str, Any], target: str) -> str:
    if check == "unknown_fields":
        return "not used: " + ", ".join(row["extra"])
    return cut_excerpt(*show_example(check, full_text(row["messages"]), target))


def cut_excerpt(text: str, place: int) -> str:
    """Return the part of a text around a place, with dots where it goes on."""
    start = max(0, place - EXCERPT // 2)
    piece = text[start : start + EXCERPT]
    return ("…" if start else "") + piece + ("…" if start + EXCERPT < len(text) else "")


def count_labels(
    table: Any, names: npt.NDArray[np.object_], written: Flags
) -> dict[str, dict[str, int]]:
    """Return label -> split -> rows written, by label."""
    pairs = Counter(
        (label, name)
        for label, name, kept in zip(table["label"].to_pylist(), names, written, strict=True)
        if label is not None and kept
    )
    splits = ("train", "dev", "test")
    labels = sorted({label for label, _ in pairs})
    return {label: {name: pairs[label, name] for name in splits} for label in labels}


def count_lengths(chars: npt.NDArray[Any]) -> list[Bin]:
    """Return the histogram of rows' lengths, in characters of all their messages."""
    counts = np.histogram(chars, bins=[*EDGES, np.inf])[0]
    return [Bin(label=f"{e:,}", count=int(n)) for e, n in zip(EDGES, counts, strict=True)]
