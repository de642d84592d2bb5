"""What a person looks at afterwards: quarantined rows with reasons, examples, counts, lengths."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.quality.checks.explanations import shown
from tasks.quality.findings import Flags, first_match
from tasks.quality.verdict import Bin, Example
from tasks.text.rows import QUARANTINE_SCHEMA, full_text

EXAMPLES, EXCERPT = 3, 240
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


def examples(
    table: Any, rejected: Any, flags: Mapping[str, Flags], target: str = "none"
) -> dict[str, list[Example]]:
    """Return the first few rows that each check found, cut to the part that shows why."""
    shown = {
        "format": [
            Example(origin=row["origin"], text=f"{row['reason']}: {cut(row['raw'], 0)}")
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
    text, place = shown(check, full_text(row["messages"]))
    return cut(text, place or first_match(check, text, target))


def cut(text: str, place: int) -> str:
    """Return the part of a text around a place, with dots where it goes on."""
    start = max(0, place - EXCERPT // 2)
    piece = text[start : start + EXCERPT]
    return ("…" if start else "") + piece + ("…" if start + EXCERPT < len(text) else "")


def label_counts(
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


def lengths(table: Any, kept: Flags) -> list[Bin]:
    """Return the histogram of the kept rows' lengths, in characters of all their messages."""
    chars = np.zeros(len(table), dtype=np.int64)
    start = 0
    for batch in table.select(["messages"]).to_batches(max_chunksize=50_000):
        lists = batch.column("messages")
        size = np.asarray(pc.utf8_length(lists.flatten().field("content")).fill_null(0))
        row = np.asarray(pc.list_parent_indices(lists))
        total = np.bincount(row, weights=size, minlength=len(lists))
        chars[start : start + len(lists)] = total.astype(np.int64)
        start += len(lists)
    counts = np.histogram(chars[kept], bins=[*EDGES, np.inf])[0]
    return [Bin(label=f"{e:,}", count=int(n)) for e, n in zip(EDGES, counts, strict=True)]
