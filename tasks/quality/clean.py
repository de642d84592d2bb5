"""A snapshot, checked, divided by use, and written with what was set aside and why."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from configs.quality import Quality
from tasks.artifacts import CleanSource, Filter, Snapshot
from tasks.quality.checks.redaction import redact
from tasks.quality.frame import identities, read_rows
from tasks.quality.labels import balance_warnings
from tasks.quality.report import examples, label_counts, lengths, write_quarantine
from tasks.quality.sanitise import Sanitised, sanitise
from tasks.quality.severity import row_count_problem, severity_of
from tasks.quality.sorting import AnySource, Sorted, label_is_mapped, sort_rows
from tasks.quality.verdict import Expected, Verdict, judge
from tasks.storage import (
    building,
    commit,
    digest_of,
    file_digest,
    find,
    home,
    stage_key,
    write_text,
)

SPLITS = ("train", "dev", "test")


def clean(snapshot: Snapshot, source: AnySource, quality: Quality, seed: int) -> CleanSource:
    """Return the clean splits of a source, its quarantine and its verdict.

    No row is lost: every row read is in a split, in quarantine with its reasons, or beyond
    ``limit`` (counted in ``verdict.json``). A blocked source is written all the same, so that
    what blocks it can be looked at.

    Raises:
        DataError: An expectation of the user's own can't be computed.
    """
    folder = home("clean", f"{snapshot.name}-{_key(snapshot, source, quality, seed)[:12]}")
    known = find(folder, CleanSource)
    if known is not None:
        return known.model_copy(update={"origin": snapshot.origin})
    table, redacted = redact(read_rows(snapshot.path), quality)
    rejected = _read(snapshot.path / "rejected.parquet")
    made = sanitise(table, quality.target) if quality.sanitise else Sanitised(table, 0, {})
    table = made.table
    frame = identities(table)
    done = sort_rows(table, frame, (source, quality, seed))
    done.reported.update(redacted)
    verdict = _verdict(snapshot, quality, (table, rejected), done)
    verdict = verdict.model_copy(update={"sanitised": made.rows, "tokens": made.tokens})
    with building(folder) as aside:
        _write(aside, (table, rejected), done, verdict)
        receipt = CleanSource(
            path=folder,
            digest=_digest(frame, done),
            origin=snapshot.origin,
            verdict=verdict.verdict,
            reason=verdict.reason,
            rows_in=verdict.rows_in,
            rows_out=verdict.rows_out,
            findings=verdict.findings,
            splits=verdict.splits,
            filters=_filters(verdict, quality),
        )
        return commit(aside, receipt)


def _key(snapshot: Snapshot, source: AnySource, quality: Quality, seed: int) -> str:
    own = quality.expectations
    return stage_key(
        "quality",
        {
            "snapshot": [snapshot.digest, file_digest(snapshot.path / "rejected.parquet")],
            "formats": snapshot.formats,
            "source": source.model_dump(mode="json", include={"name", "role", "split", "limit"}),
            "mapped": label_is_mapped(source),
            "quality": quality,
            "seed": seed,
            "own": file_digest(Path(own)) if own and Path(own).is_file() else None,
        },
        __name__,
    )


def _filters(verdict: Verdict, quality: Quality) -> tuple[Filter, ...]:
    left = verdict.rows_in - verdict.quarantined
    settings = {"checks": quality.checks, "max_chars": quality.max_chars, "found": verdict.findings}
    steps = [Filter(name="quality", rows_in=verdict.rows_in, rows_out=left, settings=settings)]
    if verdict.limit:
        steps.append(Filter(name="limit", rows_in=left, rows_out=verdict.rows_out))
    return tuple(steps)


def _read(path: Path) -> Any:
    import pyarrow.parquet as pq

    return pq.read_table(path)


def _verdict(
    snapshot: Snapshot, quality: Quality, tables: tuple[Any, Any], done: Sorted
) -> Verdict:
    table, rejected = tables
    findings = {"format": rejected.num_rows} if "format" in quality.checks else {}
    findings |= {name: int(flags.sum()) for name, flags in done.flags.items()}
    splits = {name: int(done.members(name).sum()) for name in SPLITS}
    set_aside = rejected.num_rows + int(done.set_aside().sum())
    counts = {
        "rows_in": len(table) + rejected.num_rows,
        "quarantined": set_aside,
        "train": splits["train"],
    }
    word, reason = judge(quality, counts, findings, done.critical())
    labels = label_counts(table, done.names, done.written()) if done.classes else {}
    return Verdict(
        source=snapshot.name,
        role=snapshot.role,
        uri=snapshot.origin.uri,
        verdict=word,
        reason=reason,
        rows_in=counts["rows_in"],
        rows_out=sum(splits.values()),
        quarantined=set_aside,
        limit=int(done.over.sum()),
        findings=findings,
        splits=splits,
        labels=labels,
        lengths=lengths(table, done.written()),
        examples=examples(table, rejected, done.flags | done.reported, quality.target),
        languages=done.languages,
        warnings=balance_warnings(labels, quality.min_class_rows, quality.max_class_share),
        expectations=[
            Expected(name=o.name, severity=o.severity, success=o.success, rows=len(o.rows))
            for o in done.outcomes
        ],
        reported={name: int(flags.sum()) for name, flags in done.reported.items()},
        notes=[*snapshot.formats, *_bounds(quality, splits["train"])],
    )


def _bounds(quality: Quality, train: int) -> list[str]:
    problem = row_count_problem(train, quality)
    return [problem] if problem and severity_of("row_count", quality) == "report" else []


def _write(folder: Path, tables: tuple[Any, Any], done: Sorted, verdict: Verdict) -> None:
    import pyarrow.parquet as pq

    from tasks.pages import write_page
    from tasks.quality.page import verdict_page

    table, rejected = tables
    for name in SPLITS:
        members = np.flatnonzero(done.members(name))
        chosen = table.take(members)
        place = chosen.schema.get_field_index("split")
        names = pa.array([name] * len(members), pa.string())
        chosen = chosen.set_column(place, chosen.schema.field(place), names)
        pq.write_table(chosen, folder / f"{name}.parquet", compression="zstd")
    write_quarantine(folder / "quarantine.parquet", table, rejected, done.flags)
    write_text(folder / "verdict.json", json.dumps(verdict.model_dump(), indent=1))
    write_page(folder / "page.html", verdict_page(verdict))


def _digest(frame: pd.DataFrame, done: Sorted) -> str:
    rows = {}
    for name in SPLITS:
        chosen = frame[done.members(name)]
        rows[name] = [
            [r, label if isinstance(label, str) else None]
            for r, label in zip(chosen["row_id"], chosen["label"], strict=True)
        ]
    return digest_of(rows)
