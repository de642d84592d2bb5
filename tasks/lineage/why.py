"""What became of a row: taken, held out, or set aside, by which check and for which other row.

Every artifact under TEMPER_HOME is asked, so a row has several outcomes where several recipes read
its source. Equal outcomes are given once, with all the folders that say so.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from tasks.lineage.search import (
    ById,
    ByText,
    find_parts,
    find_same,
    list_artifacts,
    read_rows,
)
from tasks.quality.checks.registry import explain_check
from tasks.text.rows import full_text

Word = Literal["taken", "not_drawn", "held_out", "set_aside", "over_limit", "waiting"]
ORDER = get_args(Word)
SPLITS = ("train", "dev", "test")
QUARANTINE = "quarantine.parquet"
COLUMNS = ("row_id", "origin", "messages", "reasons", "detail")
EXCERPT = 160
ELSEWHERE = ("duplicate_across", "near_duplicate")
"""Checks whose detail names the source and the id of the row that stays."""
_SENTENCES = {
    "too_long": "The row has more tokens than training.sequence_length, and such rows are dropped.",
    "not_rendered": "The model's chat template can't write the row as it is.",
    "special_token": "The row's words hold a special token of the model's own tokenizer.",
    "nothing_supervised": "No token of the row carries loss, so nothing could be learned from it.",
}


class KeptRow(BaseModel):
    """The row that stays in place of a duplicate; without a text where it is in no file here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    row_id: str
    origin: str
    text: str


class Outcome(BaseModel):
    """One thing that became of a row.

    Attributes:
        outcome: ``taken`` into a mixture; ``not_drawn`` by a mixture that could have;
            ``held_out`` in a dev or test split; ``set_aside`` by checks; ``over_limit`` of its
            source; ``waiting`` where no mixture was made of it yet.
        row_id: Its id; empty where the row could not be read.
        origin: File and row that it was read from.
        text: The beginning of what it says.
        checks: Which set it aside.
        sentences: What each of them finds, or what the outcome means.
        detail: What exactly was found, where more is known.
        stays: For a duplicate, the row that is kept.
        mixture: Digest of the mixture that took it or might have.
        positions: Where it stands in the plan.
        epochs: The pass over its source that each position belongs to, from 0.
        folders: The artifacts that say so.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: Word
    source: str
    row_id: str
    origin: str = ""
    text: str = ""
    checks: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()
    detail: str = ""
    stays: KeptRow | None = None
    mixture: str = ""
    positions: tuple[int, ...] = ()
    epochs: tuple[int, ...] = ()
    folders: tuple[Path, ...] = ()


class Explanation(BaseModel):
    """The ``--json`` form of ``temper why``: all outcomes of the rows that were found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    found: bool
    row_ids: tuple[str, ...]
    outcomes: tuple[Outcome, ...]


class _Key(NamedTuple):
    """A row of a source."""

    source: str
    row_id: str


def explain_row(what: ById | ByText) -> Explanation:
    """Return what became of a row that is given by id or by text."""
    ids = _find_ids(what)
    outcomes = [*_find_unread(what), *_find_set_aside(ids), *_find_held_out(ids)]
    outcomes += [*_find_over_limit(ids), *_find_drawn(ids)]
    outcomes += list(_find_waiting(ids, outcomes))
    merged = sorted(_merge_equal(outcomes), key=lambda o: (o.source, ORDER.index(o.outcome)))
    known = sorted({o.row_id for o in merged if o.row_id})
    return Explanation(found=bool(merged), row_ids=tuple(known), outcomes=tuple(merged))


def describe_outcome(outcome: Outcome) -> list[str]:
    """Return an outcome as lines of text, what it is about first."""
    lines = [" · ".join(filter(None, [outcome.source, outcome.origin, outcome.row_id]))]
    if outcome.text:
        lines[0] += f": “{outcome.text}”"
    word = outcome.outcome.replace("_", " ")
    named = outcome.checks or ("",) * len(outcome.sentences)
    for check, sentence in zip(named, outcome.sentences, strict=True):
        lines.append(f"{word} ({check}): {sentence}" if check else f"{word}: {sentence}")
    if outcome.detail:
        lines.append(outcome.detail)
    if kept := outcome.stays:
        place = " · ".join(filter(None, [kept.source, kept.origin, kept.row_id]))
        lines.append(f"stays: {place}: “{kept.text}”" if kept.text else f"stays: {place}")
    return [*lines, *map(str, outcome.folders)]


def _find_ids(what: ById | ByText) -> set[str]:
    """Return the ids that a row goes by, wherever its text is kept."""
    ids = set(what.ids)
    if isinstance(what, ById):
        return ids
    for kind in ("snapshots", "clean", "distinct", "rewritten", "tokens"):
        for folder, _ in list_artifacts(kind):
            files = [*(folder / "rows").glob("*.parquet"), folder / QUARANTINE]
            files += [folder / f"{split}.parquet" for split in SPLITS]
            for path in files:
                if path.is_file():
                    ids.update(what.matches(path))
    # What could not be read has no id.
    return ids - {""}


def _find_unread(what: ById | ByText) -> Iterator[Outcome]:
    for folder, receipt in list_artifacts("snapshots"):
        numbers = what.find_rejected(folder / "rejected.parquet")
        if not numbers:
            continue
        for row in pq.read_table(folder / "rejected.parquet").take(numbers).to_pylist():
            yield Outcome(
                outcome="set_aside",
                source=receipt["origin"]["name"],
                row_id="",
                origin=row["origin"] or "",
                text=_excerpt(row["raw"]),
                checks=("format",),
                sentences=(explain_check("format"),),
                detail=row["reason"] or "",
                folders=(folder,),
            )


def _find_set_aside(ids: set[str]) -> Iterator[Outcome]:
    known: set[tuple[object, ...]] = set()
    for kind in ("clean", "distinct", "tokens"):
        for folder, receipt in list_artifacts(kind):
            rows = _read_rows(folder / QUARANTINE, ids)
            for row in rows:
                checks, detail = tuple(row["reasons"] or ()), row.get("detail") or ""
                about = (receipt["origin"]["name"], row["row_id"], row["origin"], checks, detail)
                # What quality set aside is in the quarantine of the next stage, too.
                if kind == "distinct" and about in known:
                    continue
                known.add(about)
                yield Outcome(
                    outcome="set_aside",
                    source=receipt["origin"]["name"],
                    row_id=row["row_id"],
                    origin=row["origin"] or "",
                    text=_excerpt(full_text(row["messages"] or [])),
                    checks=checks,
                    sentences=tuple(_explain_check(check) for check in checks),
                    detail="" if set(checks) & set(ELSEWHERE) else detail,
                    stays=_find_kept(folder, receipt["origin"]["name"], row, checks),
                    folders=(folder,),
                )


def _explain_check(check: str) -> str:
    """Return what a check finds, in one sentence."""
    if check.startswith("overlap:"):
        suite = check.removeprefix("overlap:")
        return f"The row contains an item of suite '{suite}', which is to be judged on it unseen."
    return _SENTENCES.get(check) or explain_check(check)


def _find_kept(
    folder: Path, source: str, row: dict[str, Any], checks: Sequence[str]
) -> KeptRow | None:
    """Return the row that stays in place of one that was set aside as a duplicate."""
    if set(checks) & set(ELSEWHERE):
        return _find_named(*(row["detail"] or "").rpartition(": ")[::2])
    if "duplicate" not in checks:
        return None
    files = [folder / f"{name}.parquet" for name in (*SPLITS, "quarantine")]
    for place, snapshot in list_artifacts("snapshots"):
        # What a limit leaves out is in no other file.
        files += (
            sorted((place / "rows").glob("*.parquet"))
            if snapshot["origin"]["name"] == source
            else []
        )
    for path in files:
        for found in find_same(path, row["messages"]):
            if "duplicate" not in (found.get("reasons") or ()):
                return _make_kept(source, found)
    return None


def _find_named(source: str, row_id: str) -> KeptRow:
    """Return a row of a source by its id, wherever it is written as it was read."""
    for kind in ("distinct", "clean"):
        for folder, receipt in list_artifacts(kind):
            if receipt["origin"]["name"] == source:
                for found in _read_splits(folder, {row_id}, SPLITS):
                    return _make_kept(source, found)
    return KeptRow(source=source, row_id=row_id, origin="", text="")


def _make_kept(source: str, row: dict[str, Any]) -> KeptRow:
    text = _excerpt(full_text(row["messages"]))
    return KeptRow(source=source, row_id=row["row_id"], origin=row["origin"] or "", text=text)


def _find_held_out(ids: set[str]) -> Iterator[Outcome]:
    for folder, receipt in _list_divided():
        for split in ("dev", "test"):
            for row in _read_splits(folder, ids, [split]):
                yield Outcome(
                    outcome="held_out",
                    source=receipt["origin"]["name"],
                    row_id=row["row_id"],
                    origin=row["origin"] or "",
                    text=_excerpt(full_text(row["messages"])),
                    sentences=(f"It is in the {split} split: judged on, never trained on.",),
                    folders=(folder,),
                )


def _find_over_limit(ids: set[str]) -> Iterator[Outcome]:
    """Yield rows of snapshots that are in no file of a source that has a limit."""
    for folder, receipt in list_artifacts("clean"):
        verdict = folder / "verdict.json"
        if not verdict.is_file() or not json.loads(verdict.read_text())["limit"]:
            continue
        there = {r["row_id"] for r in _read_splits(folder, ids, [*SPLITS, "quarantine"])}
        for place, snapshot in list_artifacts("snapshots"):
            read = snapshot["rows"] + snapshot["rejected"]
            if (snapshot["origin"]["name"], read) != (
                receipt["origin"]["name"],
                receipt["rows_in"],
            ):
                continue
            for row in _read_snapshot(place, ids - there):
                yield Outcome(
                    outcome="over_limit",
                    source=receipt["origin"]["name"],
                    row_id=row["row_id"],
                    origin=row["origin"] or "",
                    text=_excerpt(full_text(row["messages"])),
                    sentences=(
                        "The source has more clean training rows than its limit; others were "
                        "chosen.",
                    ),
                    folders=(folder,),
                )


def _find_drawn(ids: set[str]) -> Iterator[Outcome]:
    """Yield what mixtures took, and what they had in their sources and did not take."""
    parts: dict[tuple[str, str], set[str]] = defaultdict(set)
    for folder, receipt in list_artifacts("tokens"):
        parts[receipt["origin"]["name"], receipt["digest"]] |= find_parts(
            folder / "rows.arrow", ids
        )
    wanted = ids.union(*parts.values())
    origins = _read_origins(ids)
    for folder, receipt in list_artifacts("mixtures"):
        places: dict[_Key, list[tuple[int, int]]] = defaultdict(list)
        lines = json.loads((folder / "mixture.lock.json").read_text())["sources"]
        empty = {line["name"] for line in lines if not line["rows"]}
        for line in lines:
            for part in parts.get((line["name"], line["digest"]), ()):
                places[_Key(line["name"], _whole_id(part, ids))] = []
        for shard in receipt["shards"]:
            columns = ("row_id", "source", "position", "epoch")
            for row in read_rows(folder / shard, wanted, columns):
                key = _Key(row["source"], _whole_id(row["row_id"], ids))
                places[key].append((row["position"], row["epoch"]))
        for key, drawn in places.items():
            origin, text = origins.get(key, ("", ""))
            yield Outcome(
                outcome="taken" if drawn else "not_drawn",
                source=key.source,
                row_id=key.row_id,
                origin=origin,
                text=text,
                sentences=(_explain_draws(receipt["digest"], drawn, key.source in empty),),
                mixture=receipt["digest"],
                positions=tuple(position for position, _ in drawn),
                epochs=tuple(epoch for _, epoch in drawn),
                folders=(folder,),
            )


def _explain_draws(digest: str, drawn: Sequence[tuple[int, int]], empty: bool) -> str:
    if empty:
        return f"Mixture {digest[:12]} draws nothing from its source."
    if not drawn:
        return f"Mixture {digest[:12]} could draw it, and its quota was filled with other rows."
    times = "once" if len(drawn) == 1 else f"{len(drawn):,} times"
    epochs = len({epoch for _, epoch in drawn})
    where = ", ".join(f"{position:,}" for position, _ in drawn)
    passes = f", in {epochs:,} passes over its source" if epochs > 1 else ""
    return f"Mixture {digest[:12]} has it {times}, at position {where}{passes}."


def _whole_id(part: str, ids: set[str]) -> str:
    """Return the id of the row that a training row is a part of."""
    return part if part in ids else re.sub(r"\.[0-9]+$", "", part)


def _find_waiting(ids: set[str], outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """Yield rows of which nothing was made yet, by what is known of them so far."""
    known: dict[_Key, set[str]] = defaultdict(set)
    for outcome in outcomes:
        told = [outcome.outcome, *outcome.checks]
        known[_Key(outcome.source, outcome.row_id)].update(told)
    final = {"taken", "not_drawn", *_SENTENCES}
    for folder, receipt in _list_divided():
        for row in _read_splits(folder, ids, ["train"]):
            words = known[_Key(receipt["origin"]["name"], row["row_id"])]
            if not words & final and not any(word.startswith("overlap:") for word in words):
                sentence = "It passed quality; no mixture was made of it yet."
                yield _wait(folder, receipt["origin"]["name"], row, sentence)
                words.add("waiting")
    for folder, receipt in list_artifacts("snapshots"):
        for row in _read_snapshot(folder, ids):
            if not known[_Key(receipt["origin"]["name"], row["row_id"])]:
                sentence = "It was read; its quality was not checked yet."
                yield _wait(folder, receipt["origin"]["name"], row, sentence)


def _wait(folder: Path, source: str, row: dict[str, Any], sentence: str) -> Outcome:
    return Outcome(
        outcome="waiting",
        source=source,
        row_id=row["row_id"],
        origin=row["origin"] or "",
        text=_excerpt(full_text(row["messages"])),
        sentences=(sentence,),
        folders=(folder,),
    )


def _merge_equal(outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """Yield each outcome once, with every folder that says so."""
    folders: dict[Outcome, list[Path]] = defaultdict(list)
    for outcome in outcomes:
        folders[outcome.model_copy(update={"folders": ()})] += outcome.folders
    for outcome, places in folders.items():
        yield outcome.model_copy(update={"folders": tuple(sorted(set(places)))})


def _list_divided() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield sources as they were divided last: without the duplicates of other sources."""
    compared = list(list_artifacts("distinct"))
    yield from compared
    names = {receipt["origin"]["name"] for _, receipt in compared}
    yield from (
        found for found in list_artifacts("clean") if found[1]["origin"]["name"] not in names
    )


def _read_origins(ids: set[str]) -> dict[_Key, tuple[str, str]]:
    """Return where training rows were read from, and the beginning of what they say."""
    origins = {}
    for folder, receipt in _list_divided():
        for row in _read_splits(folder, ids, ["train"]):
            text = _excerpt(full_text(row["messages"]))
            origins[_Key(receipt["origin"]["name"], row["row_id"])] = (row["origin"] or "", text)
    return origins


def _read_splits(folder: Path, ids: set[str], splits: Iterable[str]) -> list[dict[str, Any]]:
    return [row for split in splits for row in _read_rows(folder / f"{split}.parquet", ids)]


def _read_snapshot(folder: Path, ids: set[str]) -> list[dict[str, Any]]:
    shards = sorted((folder / "rows").glob("*.parquet"))
    return [row for shard in shards for row in _read_rows(shard, ids)]


def _read_rows(path: Path, ids: set[str]) -> list[dict[str, Any]]:
    return read_rows(path, ids, COLUMNS) if path.is_file() else []


def _excerpt(text: str) -> str:
    line = " ".join(text.split())
    return line[:EXCERPT] + ("…" if len(line) > EXCERPT else "")
