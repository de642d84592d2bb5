"""Duplicates across sources, and near-duplicates inside and across them, set aside.

Rows are ranked, and the first of those that say the same stays: domain sources before general
ones, sources of one role by name, within a source test before dev before train, then by row id.
So neither the recipe's order nor the files' decides.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from configs.quality import Quality, override
from tasks.artifacts import CleanSource, Filter, SplitName
from tasks.pages import write_page
from tasks.quality.checks.detectors import hide_secrets
from tasks.quality.expectations import Validation, load_validation, validate
from tasks.quality.report import (
    EXAMPLES,
    count_labels,
    count_lengths,
    cut_excerpt,
    load_verdict,
    verdict_page,
)
from tasks.quality.row_table import are_classes, measure_rows
from tasks.quality.suite import (
    IN_SET,
    ROW_COUNT,
    Expectation,
    declared_suite,
    expectation_key,
)
from tasks.quality.verdict import Example, Verdict, judge_source
from tasks.storage import building, commit, digest_of, find, home, stage_key, write_text
from tasks.text.normal import normal
from tasks.text.rows import QUARANTINE_SCHEMA, full_text

RANKED: tuple[SplitName, ...] = ("test", "dev", "train")
"""Splits by who keeps a row: what is judged on stays as it is."""
EXACT, NEAR = "duplicate_across", "near_duplicate"
ORDER = "domain first, then source name; test, dev, train; row_id"
Ints = npt.NDArray[np.int64]


class _Row(NamedTuple):
    """What is compared of a row: its text in normal form, and its label where labels are classes.

    ``source`` counts in rank, ``place`` is where the row is in its split's table.
    """

    source: int
    split: SplitName
    place: int
    row_id: str
    text: str
    label: str | None


def drop_duplicates(
    cleans: Sequence[CleanSource],
    quality: Quality,
    kept: Sequence[CleanSource] = (),
    own: Mapping[str, Quality] | None = None,
) -> tuple[CleanSource, ...]:
    """Return the sources without what an earlier source or row says already, in the order given.

    Exact duplicates across sources go where the check ``duplicate`` is on (those inside a source
    went before), near-duplicates where ``near_duplicates`` is. The rows that go are in
    ``quarantine.parquet``, with the source and row id of the one that stays.

    Args:
        cleans: Sources after quality.
        quality: The recipe's section.
        kept: Sources that were here before and keep all they have.
        own: Source -> its own section of quality, by which its verdict is revised.
    """
    by_source = {c.name: override(quality, (own or {}).get(c.name)) for c in (*kept, *cleans)}
    ranked = [*sorted(kept, key=_rank_of), *sorted(cleans, key=_rank_of)]
    folders = {
        c.name: _find_folder(ranked[: i + 1], len(kept), quality, by_source[c.name])
        for i, c in enumerate(ranked)
    }
    done = {c.name: find(folders[c.name], CleanSource) for c in cleans}
    if any(receipt is None for receipt in done.values()):
        gone = _Search(ranked, len(kept), quality).gone()
        for i, source in enumerate(ranked[len(kept) :], start=len(kept)):
            if done[source.name] is None:
                done[source.name] = _store(
                    folders[source.name], source, gone[i], by_source[source.name]
                )
    return tuple(
        r.model_copy(update={"origin": c.origin}) for c in cleans if (r := done[c.name]) is not None
    )


def _rank_of(source: CleanSource) -> tuple[bool, str]:
    return source.role != "domain", source.name


def _find_folder(upto: Sequence[CleanSource], kept: int, quality: Quality, judged: Quality) -> Path:
    key = stage_key(
        "distinct",
        {
            "sources": [[c.name, c.digest] for c in upto],
            "near": quality.near_duplicates,
            "exact": "duplicate" in quality.checks,
            "suite": _suite(judged),
            "kept": kept,
        },
        __name__,
    )
    return home("distinct", f"{upto[-1].name}-{key[:12]}")


Gone = dict[tuple[SplitName, int], tuple[str, str]]
"""Split and place of a row that goes -> why, and which source and row stays."""


class _Search:
    """The rows of all sources in rank, compared."""

    def __init__(self, ranked: Sequence[CleanSource], kept: int, quality: Quality) -> None:
        self._names = [c.name for c in ranked]
        self._kept, self._quality = kept, quality
        # Exact duplicates inside a source went before: one alone needs no look at its rows.
        compared = ranked if len(ranked) > 1 or quality.near_duplicates else ()
        self._rows = [row for i, c in enumerate(compared) for row in _rows(i, c)]

    def gone(self) -> list[Gone]:
        """Return for each source the rows that go."""
        gone: list[Gone] = [{} for _ in self._names]
        left = self._rows
        if "duplicate" in self._quality.checks:
            left = self._find_exact(gone)
        if self._quality.near_duplicates is not None:
            self._find_near(left, gone)
        return gone

    def _find_exact(self, gone: list[Gone]) -> list[_Row]:
        first: dict[bytes, _Row] = {}
        left = []
        for row in self._rows:
            stays = first.setdefault(
                hashlib.blake2b(row.text.encode("utf-8", "surrogatepass"), digest_size=16).digest(),
                row,
            )
            if stays.source == row.source or row.source < self._kept:
                left.append(row)
            else:
                gone[row.source][row.split, row.place] = (EXACT, self._named(stays))
        return left

    def _find_near(self, rows: list[_Row], gone: list[Gone]) -> None:
        from tasks.quality.near_duplicates import find_kept

        assert self._quality.near_duplicates is not None
        codes: dict[str, int] = {}
        kinds = np.array(
            [-1 if r.label is None else codes.setdefault(r.label, len(codes)) for r in rows],
            dtype=np.int64,
        )
        stays = find_kept([r.text for r in rows], kinds, self._quality.near_duplicates)
        for i in np.flatnonzero(stays != np.arange(len(rows))):
            row = rows[i]
            if row.source >= self._kept:
                gone[row.source][row.split, row.place] = (NEAR, self._named(rows[stays[i]]))

    def _named(self, row: _Row) -> str:
        return f"{self._names[row.source]}: {row.row_id}"


def _rows(rank: int, source: CleanSource) -> list[_Row]:
    tables = {
        name: pq.read_table(source.split(name), columns=["row_id", "messages", "label"])
        for name in RANKED
    }
    labels = pa.concat_tables(tables.values())["label"].to_pandas()
    classes = are_classes(labels, mapped=False)
    rows = []
    for name, table in tables.items():
        of_split = [
            _Row(
                rank,
                name,
                i,
                row["row_id"],
                _text(row["messages"]),
                row["label"] if classes else None,
            )
            for i, row in enumerate(
                row for b in table.to_batches(max_chunksize=10_000) for row in b.to_pylist()
            )
        ]
        rows += sorted(of_split, key=lambda r: (r.row_id, r.label or "", r.place))
    return rows


def _text(messages: Any) -> str:
    # A system message is wording that the rows of a source share.
    said = [m for m in messages if m["role"] != "system"]
    # Texts without a single word (only signs) are told apart by what they are.
    return " ".join(filter(None, (normal(m["content"]) for m in said))) or full_text(said).strip()


def _store(folder: Path, source: CleanSource, gone: Gone, quality: Quality) -> CleanSource:
    tables = {name: pq.read_table(source.split(name)) for name in RANKED}
    places = {
        name: np.array([(name, i) not in gone for i in range(len(table))], dtype=bool)
        for name, table in tables.items()
    }
    left = {name: table.filter(pa.array(places[name])) for name, table in tables.items()}
    aside = _collect_gone(tables, gone)
    validation = _validate_counts(source, left, aside, quality)
    verdict = _revise_verdict(source, left, aside, quality, validation)
    with building(folder) as place:
        for name, table in left.items():
            pq.write_table(table, place / f"{name}.parquet", compression="zstd")
        before = pq.read_table(source.path / "quarantine.parquet", schema=QUARANTINE_SCHEMA)
        pq.write_table(
            pa.concat_tables([before, aside]), place / "quarantine.parquet", compression="zstd"
        )
        write_text(place / "verdict.json", json.dumps(verdict.model_dump(), indent=1))
        load_validation(source.path).joined(validation).write(place)
        write_page(place / "page.html", verdict_page(verdict))
        return commit(
            place,
            source.model_copy(
                update={
                    "path": folder,
                    "digest": digest_of([source.digest, sorted(map(list, gone))]),
                    "verdict": verdict.verdict,
                    "reason": verdict.reason,
                    "rows_out": verdict.rows_out,
                    "findings": verdict.findings,
                    "splits": verdict.splits,
                    "filters": (*source.filters, _describe_filter(source, aside, quality)),
                }
            ),
        )


def _collect_gone(tables: dict[SplitName, Any], gone: Gone) -> Any:
    """Return the rows that go, as quarantine holds them, test rows first."""
    parts = []
    for name, table in tables.items():
        places = sorted(i for split, i in gone if split == name)
        why = [gone[name, i] for i in places]
        rows = table.take(pa.array(places, pa.int64()))
        parts.append(
            pa.Table.from_arrays(
                [
                    *rows.columns,
                    pa.array([[reason] for reason, _ in why], pa.list_(pa.string())),
                    pa.nulls(len(rows), pa.string()),
                    pa.array([p for _, p in why], pa.string()),
                ],
                schema=QUARANTINE_SCHEMA,
            )
        )
    return pa.concat_tables(parts)


def _suite(quality: Quality) -> list[Expectation]:
    """Return what of a source's suite the removal of rows can break."""
    suite, _ = declared_suite(quality)
    about = ((ROW_COUNT, None), (IN_SET, EXACT), (IN_SET, NEAR))
    return [e for e in suite if expectation_key(e) in about]


def _validate_counts(
    source: CleanSource, left: dict[SplitName, Any], aside: Any, quality: Quality
) -> Validation:
    """Return what became of it on the rows of the source's files, those that go included."""
    reasons = np.array([reasons[0] for reasons in aside["reasons"].to_pylist()], dtype=object)
    uses = [np.full(len(table), name, dtype=object) for name, table in left.items()]
    stays = sum(len(table) for table in left.values())
    frame = pd.DataFrame(
        {
            "use": np.concatenate([*uses, np.full(len(aside), None, dtype=object)]),
            EXACT: np.concatenate([np.zeros(stays, dtype=bool), reasons == EXACT]).astype(bool),
            NEAR: np.concatenate([np.zeros(stays, dtype=bool), reasons == NEAR]).astype(bool),
        }
    )
    return validate(source.name, frame, _suite(quality))


def _revise_verdict(
    source: CleanSource,
    left: dict[SplitName, Any],
    aside: Any,
    quality: Quality,
    validation: Validation,
) -> Verdict:
    before = load_verdict(source)
    found = Counter(reasons[0] for reasons in aside["reasons"].to_pylist())
    findings = before.findings | {EXACT: found[EXACT], NEAR: found[NEAR]}
    splits = {name: len(left[name]) for name in ("train", "dev", "test")}
    word, reason = before.verdict, before.reason
    if word != "block":
        counts = {
            "rows_in": before.rows_in,
            "quarantined": before.quarantined + len(aside),
            "train": splits["train"],
        }
        failed = [o for o in validation.outcomes if not o.success and o.severity == "critical"]
        word, reason = judge_source(quality, counts, findings, failed)
    rows = pa.concat_tables(left.values())
    names = np.array(rows["split"].to_pylist(), dtype=object)
    everything = np.ones(len(rows), dtype=bool)
    return before.model_copy(
        update={
            "verdict": word,
            "reason": reason,
            "rows_out": len(rows),
            "splits": splits,
            "quarantined": before.quarantined + len(aside),
            "findings": findings,
            "labels": count_labels(rows, names, everything) if before.labels else {},
            "lengths": count_lengths(measure_rows(rows)[0]),
            "examples": before.examples | _collect_examples(aside),
        }
    )


def _collect_examples(aside: Any) -> dict[str, list[Example]]:
    shown: dict[str, list[Example]] = {}
    for row in aside.to_pylist():
        examples = shown.setdefault(row["reasons"][0], [])
        if len(examples) < EXAMPLES:
            said, _ = hide_secrets(full_text(row["messages"]))
            text = f"{cut_excerpt(said, 0)} (kept: {row['detail']})"
            examples.append(Example(origin=row["origin"] or "", text=text))
    return shown


def _describe_filter(source: CleanSource, aside: Any, quality: Quality) -> Filter:
    why = zip(aside["reasons"].to_pylist(), aside["detail"].to_pylist(), strict=True)
    partners = Counter(f"{reasons[0]}:{stays.partition(': ')[0]}" for reasons, stays in why)
    near = quality.near_duplicates
    return Filter(
        name="duplicates",
        rows_in=source.rows_out,
        rows_out=source.rows_out - len(aside),
        settings={
            "exact": "duplicate" in quality.checks,
            "order": ORDER,
            "near": near.model_dump(mode="json") if near else None,
            "kept_by": dict(sorted(partners.items())),
        },
    )
