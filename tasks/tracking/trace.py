"""Where a row is: every artifact under TEMPER_HOME that holds it, for requests to erase it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from tasks.storage import MANIFEST, home
from tasks.tracking.rows import ById, ByText, count_ids

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

    A text is looked for in snapshots and clean sources; tokens, mixtures and what was made from
    them keep ids alone, so they are searched for the ids found. Rows that a source's ``limit``
    left out are in the snapshot only. A checkpoint is listed when it, or a checkpoint it was
    trained on from, was trained on a mixture with the row.
    """
    found = [*_snapshots(what), *_clean(what, "clean"), *_clean(what, "distinct")]
    ids = {i for holding in found for i in holding.row_ids} | what.ids
    # A row in other words has the id it had before.
    found += _clean(what, "rewritten", ById(*ids))
    mixtures = _mixtures(ids)
    found += [*_tokens(ids), *(h for held in mixtures.values() for h in held)]
    made, unknown = _made_from(mixtures)
    return Trace(row_ids=tuple(sorted(ids)), holdings=(*found, *made), unknown=tuple(unknown))


def _snapshots(what: ById | ByText) -> Iterator[Holding]:
    for folder, receipt in _artifacts("snapshots"):
        ids = [
            i for shard in sorted((folder / "rows").glob("*.parquet")) for i in what.matches(shard)
        ]
        yield from _holding("snapshot", folder, receipt, ("rows", len(ids), ids))
        raw = what.rejected(folder / "rejected.parquet", "raw")
        yield from _holding("snapshot", folder, receipt, ("rejected", raw, []))


def _clean(
    what: ById | ByText, stage: Literal["clean", "distinct", "rewritten"], rows: ById | None = None
) -> Iterator[Holding]:
    for folder, receipt in _artifacts(stage):
        for path in (p for s in SPLITS if (p := folder / f"{s}.parquet").is_file()):
            split = path.stem
            ids = (rows or what).matches(path)
            raw = what.rejected(path, "raw") if split == "quarantine" else 0
            yield from _holding(stage, folder, receipt, (split, len(ids) + raw, ids))


def _tokens(ids: set[str]) -> Iterator[Holding]:
    for folder, receipt in _artifacts("tokens"):
        counts = count_ids([folder / "rows.arrow"], ids)
        yield from _holding("tokens", folder, receipt, ("rows", counts.total(), [*counts]))


def _mixtures(ids: set[str]) -> dict[str, list[Holding]]:
    """Return the digest of every mixture there is -> where it holds the rows."""
    found: dict[str, list[Holding]] = {}
    for folder, receipt in _artifacts("mixtures"):
        counts = count_ids([folder / name for name in receipt["shards"]], ids)
        place = ("shards", counts.total(), [*counts])
        found.setdefault(receipt["digest"], []).extend(_holding("mixture", folder, receipt, place))
    return found


def _made_from(mixtures: Mapping[str, list[Holding]]) -> tuple[list[Holding], list[Path]]:
    held: list[Holding] = []
    unknown: list[Path] = []
    for stage, origin, (folder, receipt) in _descendants():
        if origin not in mixtures:
            unknown.append(folder)
        elif mixtures[origin]:
            own = mixtures[origin][0]
            found = (origin, own.count, [*own.row_ids])
            held += _holding(stage, folder, receipt, found)
    return held + _trained_on_from(held), unknown


def _trained_on_from(held: Sequence[Holding]) -> list[Holding]:
    """Return the checkpoints that go back to one that holds the row, by any number of steps."""
    known = {h.digest: h for h in held if h.stage == "checkpoint"}
    more: list[Holding] = []
    waiting = [found for found in _artifacts("checkpoints") if found[1]["digest"] not in known]
    while heirs := [f for f in waiting if f[1]["parent"] in known]:
        for folder, receipt in heirs:
            parent = known[receipt["parent"]]
            found = (parent.digest, parent.count, [*parent.row_ids])
            more += _holding("checkpoint", folder, receipt, found)
            known[receipt["digest"]] = more[-1]
        waiting = [f for f in waiting if f[1]["digest"] not in known]
    return more


def _descendants() -> Iterator[tuple[Stage, str, tuple[Path, dict[str, Any]]]]:
    """Yield what was made from a mixture: stage, the mixture's digest, and the artifact."""
    for found in _artifacts("packs"):
        yield "packs", found[1]["mixture_digest"], found
    for found in _artifacts("views"):
        yield "view", found[1]["digest"], found
    for folder, receipt in _artifacts("checkpoints"):
        job = json.loads((folder / "job.json").read_text())
        yield "checkpoint", job["mixture"]["digest"], (folder, receipt)
    for path in sorted(home("jobs").glob("*/job.json")):
        job = json.loads(path.read_text())
        about = {"digest": job["key"], "name": job["model"]["name"]}
        yield "job", job["mixture"]["digest"], (path.parent, about)


def _artifacts(kind: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    for manifest in sorted(home(kind).glob(f"[!.]*/{MANIFEST}")):
        yield manifest.parent, json.loads(manifest.read_text())["receipt"]


def _holding(
    stage: Stage, folder: Path, receipt: Mapping[str, Any], found: tuple[str, int, list[str]]
) -> Iterator[Holding]:
    place, count, ids = found
    if count:
        yield Holding(
            stage=stage,
            path=folder,
            digest=receipt["digest"],
            name=receipt.get("name", ""),
            place=place,
            count=count,
            row_ids=tuple(sorted(set(ids))),
        )
