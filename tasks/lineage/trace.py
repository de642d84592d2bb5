"""Where a row is: every artifact under TEMPER_HOME that holds it, for requests to erase it."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from tasks.lineage.search import ById, ByText, count_ids, list_artifacts
from tasks.storage import home

Stage = Literal[
    "snapshot",
    "clean",
    "distinct",
    "rewritten",
    "tokens",
    "mixture",
    "packs",
    "view",
    "checkpoint",
    "job",
]
SPLITS = ("train", "dev", "test", "quarantine")
QUARANTINE = "quarantine.parquet"


class Holding(BaseModel):
    """One artifact that holds the row.

    Attributes:
        stage: What kind of artifact; a ``checkpoint`` was trained on the row, a ``job`` is a
            training job's folder, which keeps a copy of its mixture.
        name: Source, or the model's name; empty where there is none.
        place: Where in it: ``rows``, ``rejected``, a split, ``quarantine`` or ``shards``; for
            what was made from a mixture or another checkpoint, that one's digest.
        count: Rows found there; a mixture may repeat a row.
        row_ids: Their ids, sorted; rejected rows have none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: Stage
    path: Path
    digest: str
    name: str
    place: str
    count: int
    row_ids: tuple[str, ...]


class Trace(BaseModel):
    """Everything that holds a row.

    Attributes:
        row_ids: All ids it goes by.
        unknown: Artifacts of which nothing can be said, since their mixture is gone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    row_ids: tuple[str, ...]
    holdings: tuple[Holding, ...]
    unknown: tuple[Path, ...]


def trace(what: ById | ByText) -> Trace:
    """Return what holds a row, given by id or by text.

    A text is looked for where rows are kept as they are: in snapshots, clean sources and what
    tokenising set aside. Tokens, mixtures and what was made from them keep ids alone, so they are
    searched for the ids found. Rows that a source's ``limit``
    left out are in the snapshot only. A checkpoint is listed when it, or a checkpoint it was
    trained on from, was trained on a mixture with the row.
    """
    found = [
        *_trace_snapshots(what),
        *_trace_clean(what, "clean", what),
        *_trace_clean(what, "distinct", what),
    ]
    ids = {i for holding in found for i in holding.row_ids} | what.ids
    for folder, _ in list_artifacts("tokens"):
        if (folder / QUARANTINE).is_file():
            ids.update(what.matches(folder / QUARANTINE))
    # A row in other words has the id it had before.
    found += _trace_clean(ById(*ids), "rewritten", what)
    mixtures = _trace_mixtures(ids)
    found += [*_trace_tokens(ids), *(h for held in mixtures.values() for h in held)]
    made, unknown = _trace_descendants(mixtures)
    return Trace(row_ids=tuple(sorted(ids)), holdings=(*found, *made), unknown=tuple(unknown))


def _trace_snapshots(what: ById | ByText) -> Iterator[Holding]:
    for folder, receipt in list_artifacts("snapshots"):
        shards = sorted((folder / "rows").glob("*.parquet"))
        ids = [i for shard in shards for i in what.matches(shard)]
        yield from _hold("snapshot", folder, receipt, "rows", ids, len(ids))
        raw = len(what.find_rejected(folder / "rejected.parquet"))
        yield from _hold("snapshot", folder, receipt, "rejected", [], raw)


def _trace_clean(
    rows: ById | ByText,
    stage: Literal["clean", "distinct", "rewritten"],
    rejected: ById | ByText,
) -> Iterator[Holding]:
    """Yield where sources after quality hold rows, and rejected rows, which have no id."""
    for folder, receipt in list_artifacts(stage):
        for path in (p for s in SPLITS if (p := folder / f"{s}.parquet").is_file()):
            ids = rows.matches(path)
            raw = len(rejected.find_rejected(path)) if path.stem == "quarantine" else 0
            yield from _hold(stage, folder, receipt, path.stem, ids, len(ids) + raw)


def _trace_tokens(ids: set[str]) -> Iterator[Holding]:
    for folder, receipt in list_artifacts("tokens"):
        for path, place in ((folder / "rows.arrow", "rows"), (folder / QUARANTINE, "quarantine")):
            if path.is_file():
                counts = count_ids([path], ids)
                yield from _hold("tokens", folder, receipt, place, [*counts], counts.total())


def _trace_mixtures(ids: set[str]) -> dict[str, list[Holding]]:
    """Return the digest of every mixture there is -> where it holds the rows."""
    found: dict[str, list[Holding]] = {}
    for folder, receipt in list_artifacts("mixtures"):
        counts = count_ids([folder / name for name in receipt["shards"]], ids)
        held = _hold("mixture", folder, receipt, "shards", [*counts], counts.total())
        found.setdefault(receipt["digest"], []).extend(held)
    return found


def _trace_descendants(
    mixtures: Mapping[str, list[Holding]],
) -> tuple[list[Holding], list[Path]]:
    """Return what was made from mixtures that hold the row, and what nothing can be said of."""
    held: list[Holding] = []
    unknown: list[Path] = []
    for stage, origin, folder, receipt in _list_descendants():
        if origin not in mixtures:
            unknown.append(folder)
        elif mixtures[origin]:
            own = mixtures[origin][0]
            held += _hold(stage, folder, receipt, origin, own.row_ids, own.count)
    return held + _trace_heirs(held), unknown


def _trace_heirs(held: Sequence[Holding]) -> list[Holding]:
    """Return the checkpoints that go back to one that holds the row, by any number of steps."""
    known = {h.digest: h for h in held if h.stage == "checkpoint"}
    more: list[Holding] = []
    waiting = [found for found in list_artifacts("checkpoints") if found[1]["digest"] not in known]
    while heirs := [f for f in waiting if f[1]["parent"] in known]:
        for folder, receipt in heirs:
            parent = known[receipt["parent"]]
            more += _hold(
                "checkpoint", folder, receipt, parent.digest, parent.row_ids, parent.count
            )
            known[receipt["digest"]] = more[-1]
        waiting = [f for f in waiting if f[1]["digest"] not in known]
    return more


def _list_descendants() -> Iterator[tuple[Stage, str, Path, dict[str, Any]]]:
    """Yield what was made from a mixture: stage, the mixture's digest, folder and receipt."""
    for folder, receipt in list_artifacts("packs"):
        yield "packs", receipt["mixture_digest"], folder, receipt
    for folder, receipt in list_artifacts("views"):
        yield "view", receipt["digest"], folder, receipt
    for folder, receipt in list_artifacts("checkpoints"):
        job = json.loads((folder / "job.json").read_text())
        yield "checkpoint", job["mixture"]["digest"], folder, receipt
    for path in sorted(home("jobs").glob("*/job.json")):
        job = json.loads(path.read_text())
        about = {"digest": job["key"], "name": job["model"]["name"]}
        yield "job", job["mixture"]["digest"], path.parent, about


def _hold(
    stage: Stage,
    folder: Path,
    receipt: Mapping[str, Any],
    place: str,
    ids: Iterable[str],
    count: int,
) -> Iterator[Holding]:
    if count:
        yield Holding(
            stage=stage,
            path=folder,
            digest=receipt["digest"],
            name=receipt.get("origin", receipt).get("name", ""),
            place=place,
            count=count,
            row_ids=tuple(sorted(set(ids))),
        )
