"""A snapshot, checked, divided by use, and written with what was set aside and why."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from configs.quality import Quality, override
from tasks.artifacts import CleanSource, Filter, Snapshot
from tasks.pages import write_page
from tasks.quality.checks.redaction import redact
from tasks.quality.checks.registry import CHECKS, severity_of
from tasks.quality.decide import AnySource, Decision, decide_rows, label_is_mapped
from tasks.quality.expectations import Validation, validate
from tasks.quality.report import (
    collect_examples,
    count_labels,
    count_lengths,
    verdict_page,
    write_quarantine,
)
from tasks.quality.row_table import (
    build_identities,
    build_verdict_table,
    describe_balance,
    read_rows,
)
from tasks.quality.sanitise import Sanitised, sanitise
from tasks.quality.suite import (
    TRAINING_LABELS,
    Expectation,
    declared_suite,
    expectation_key,
    fit_suite,
    row_count_problem,
)
from tasks.quality.verdict import Expected, Verdict, judge_source
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


def clean_source(
    snapshot: Snapshot,
    source: AnySource,
    quality: Quality,
    seed: int,
    control_tokens: Sequence[str] = (),
) -> CleanSource:
    """Return the clean splits of a source, its quarantine and its verdict.

    What the source's own section of quality says comes before the recipe's.

    No row is lost: every row read is in a split, in quarantine with its reasons, or beyond
    ``limit`` (counted in ``verdict.json``). A blocked source is written all the same, so that
    what blocks it can be looked at.

    Raises:
        DataError: An expectation of the user's own can't be computed.
    """
    quality = override(quality, getattr(source, "quality", None))
    key = _key(snapshot, source, quality, seed, control_tokens)
    folder = home("clean", f"{snapshot.name}-{key[:12]}")
    known = find(folder, CleanSource)
    if known is not None:
        return known.model_copy(update={"origin": snapshot.origin})
    table, redacted = redact(read_rows(snapshot.path), quality)
    rejected = pq.read_table(snapshot.path / "rejected.parquet")
    made = (
        sanitise(table, quality.target, control_tokens)
        if quality.sanitise
        else Sanitised(table, 0, {})
    )
    frame = build_identities(made.table)
    suite, added = declared_suite(quality)
    decision = decide_rows(made.table, frame, source, quality, seed, added, control_tokens)
    decision.reported.update(redacted)
    rows = _Rows(made.table, rejected, frame, decision)
    validation, chars = _validate_rows(snapshot, rows, suite)
    verdict = _build_verdict(snapshot, quality, rows, validation, chars)
    verdict = verdict.model_copy(update={"sanitised": made.rows, "tokens": made.tokens})
    with building(folder) as aside:
        _write(aside, rows, verdict)
        validation.write(aside)
        receipt = CleanSource(
            path=folder,
            digest=_digest(frame, decision),
            verdict=verdict.verdict,
            reason=verdict.reason,
            rows_in=verdict.rows_in,
            rows_out=verdict.rows_out,
            findings=verdict.findings,
            splits=verdict.splits,
            filters=_filters(verdict, quality),
            origin=snapshot.origin,
        )
        return commit(aside, receipt)


class _Rows(NamedTuple):
    """The rows of a snapshot and what was decided about them.

    Attributes:
        table: Chat rows (n).
        rejected: Rows that could not be read.
        frame: Identities of the chat rows (n).
        decision: What was decided about each (n).
    """

    table: Any
    rejected: Any
    frame: pd.DataFrame
    decision: Decision


def _key(
    snapshot: Snapshot,
    source: AnySource,
    quality: Quality,
    seed: int,
    control_tokens: Sequence[str],
) -> str:
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
            "control_tokens": list(control_tokens),
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


def _validate_rows(
    snapshot: Snapshot, rows: _Rows, suite: Sequence[Expectation]
) -> tuple[Validation, "pd.Series[int]"]:
    """Return what became of the suite on all rows read, and the characters of each row written."""
    decision = rows.decision
    flags = {n: f for n, f in decision.flags.items() if not n.startswith("expectation:")}
    flags |= decision.reported
    labels = decision.gives_labels and snapshot.role == "domain"
    columns = {*flags, "format"}
    fitting = fit_suite(suite, columns, labels=labels, classes=decision.classes)
    # A check that only the user's suite names found nothing here to look at.
    for column in {expectation_key(e)[1] for e in fitting} & CHECKS.keys() - columns:
        flags[str(column)] = np.zeros(len(rows.table), dtype=bool)
    whole = build_verdict_table(rows.table, rows.frame, flags, decision.uses(), len(rows.rejected))
    known = whole["label"][(whole["use"] == "train") & whole["label"].notna()].unique()
    validation = validate(snapshot.name, whole, fitting, {TRAINING_LABELS: sorted(known)})
    if decision.own is not None:
        validation = validation.joined(decision.own)
    return validation, whole["chars"][: len(rows.table)][decision.written()]


def _build_verdict(
    snapshot: Snapshot,
    quality: Quality,
    rows: _Rows,
    validation: Validation,
    chars: "pd.Series[int]",
) -> Verdict:
    table, rejected, _, decision = rows
    findings = {"format": rejected.num_rows} if "format" in quality.checks else {}
    findings |= {name: int(flags.sum()) for name, flags in decision.flags.items()}
    splits = {name: int(decision.members(name).sum()) for name in SPLITS}
    beyond = int(decision.beyond_limit.sum())
    counts = {
        "rows_in": len(table) + rejected.num_rows,
        "quarantined": len(table) + rejected.num_rows - sum(splits.values()) - beyond,
        "train": splits["train"],
    }
    added = decision.own.outcomes if decision.own else []
    shipped = validation.outcomes[: len(validation.outcomes) - len(added)]
    failed = [o for o in shipped if not o.success and o.severity == "critical"]
    word, reason = judge_source(quality, counts, findings, [*decision.unmet(), *failed])
    problem = row_count_problem(splits["train"], quality)
    noted = [problem] if problem and severity_of("row_count", quality) == "report" else []
    labels = count_labels(table, decision.splits, decision.written()) if decision.classes else {}
    found = decision.flags | decision.reported
    return Verdict(
        source=snapshot.name,
        role=snapshot.role,
        uri=snapshot.origin.uri,
        verdict=word,
        reason=reason,
        rows_in=counts["rows_in"],
        rows_out=sum(splits.values()),
        quarantined=counts["quarantined"],
        limit=beyond,
        findings=findings,
        splits=splits,
        labels=labels,
        lengths=count_lengths(np.asarray(chars, dtype=np.int64)),
        examples=collect_examples(table, rejected, found, quality.target),
        languages=decision.languages,
        warnings=describe_balance(labels, quality.min_class_rows, quality.max_class_share),
        expectations=[
            Expected(name=o.name, severity=o.severity, success=o.success, rows=o.unexpected)
            for o in validation.outcomes
            if o.own
        ],
        reported={name: int(flags.sum()) for name, flags in decision.reported.items()},
        notes=[*snapshot.formats, *noted],
    )


def _write(folder: Path, rows: _Rows, verdict: Verdict) -> None:
    for name in SPLITS:
        members = np.flatnonzero(rows.decision.members(name))
        chosen = rows.table.take(members)
        place = chosen.schema.get_field_index("split")
        names = pa.array([name] * len(members), pa.string())
        chosen = chosen.set_column(place, chosen.schema.field(place), names)
        pq.write_table(chosen, folder / f"{name}.parquet", compression="zstd")
    quarantine = folder / "quarantine.parquet"
    write_quarantine(quarantine, rows.table, rows.rejected, rows.decision.flags)
    write_text(folder / "verdict.json", json.dumps(verdict.model_dump(), indent=1))
    write_page(folder / "page.html", verdict_page(verdict))


def _digest(frame: pd.DataFrame, decision: Decision) -> str:
    rows = {}
    for name in SPLITS:
        chosen = frame[decision.members(name)]
        rows[name] = [
            [r, label if isinstance(label, str) else None]
            for r, label in zip(chosen["row_id"], chosen["label"], strict=True)
        ]
    return digest_of(rows)
