"""A mixture's packs as Parquet shards, with what long rows lost by source."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.training import Overflow
from tasks.artifacts import MixtureReceipt, OverlongLoss, PackedMixture
from tasks.mixture.packing import PACK_SCHEMA, WINDOW, pack_table
from tasks.mixture.shards import name_shard, open_shards, write_shard
from tasks.progress import report
from tasks.storage import building, commit, find, home, stage_key
from tasks.text.masks import IGNORED

PACKS_PER_SHARD = 1024
Losses = Mapping[str, OverlongLoss]
"""Source -> what its overlong rows lost."""
GROUP_PACKS = 32
"""Packs of a row group; a pack holds many times a row's tokens."""


def pack(
    mixture: MixtureReceipt, capacity: int, overflow: Overflow = "drop", window: int = WINDOW
) -> PackedMixture:
    """Return the packs of a mixture, made now or found whole from before.

    Every row is in one pack, or counted in ``lost``. Pack k keeps the plan positions it was made
    of, and packs of a window stand before those of the next.

    Args:
        mixture: Its shards are read a window at a time.
        capacity: Tokens a pack holds.
        overflow: Longer rows are left out (``drop``), cut (``split``) or refused (``error``).
        window: Plan positions that are packed together.

    Raises:
        DataError: A row is longer than ``capacity`` and ``overflow`` is ``error``.
    """
    choice = {"capacity": capacity, "overflow": overflow, "window": window}
    folder = home("packs", stage_key("packs", {"mixture": mixture.digest, **choice}, __name__)[:32])
    if (done := find(folder, PackedMixture)) is not None:
        return done
    with building(folder) as aside:
        out = _PackWriter(aside, mixture.digest)
        lost: dict[str, OverlongLoss] = {}
        for rows in _read_windows(mixture, window):
            out.add(pack_table(rows, capacity, overflow, window))
            lost = _add_losses(lost, measure_losses(rows, capacity, overflow))
        dropped = sum(loss.rows for loss in lost.values()) if overflow == "drop" else 0
        return commit(
            aside,
            PackedMixture(
                path=folder,
                digest=out.close(),
                mixture_digest=mixture.digest,
                **choice,
                sources=mixture.sources,
                shards=tuple(out.names),
                **out.counts,
                rows=mixture.rows - dropped,
                lost=lost,
            ),
        )


def measure_losses(rows: pa.Table, capacity: int, overflow: Overflow) -> dict[str, OverlongLoss]:
    """Return source -> what its rows longer than ``capacity`` lose under the policy.

    A cut row loses no token, but the first of each later part has nothing before it to be
    predicted from.
    """
    long = rows.filter(pc.greater(pc.list_value_length(rows["input_ids"]), capacity))
    lost: dict[str, OverlongLoss] = {}
    for row in long.select(["source", "labels"]).to_pylist():
        labels = np.asarray(row["labels"])
        gone = labels if overflow == "drop" else labels[capacity::capacity]
        tokens = len(gone) if overflow == "drop" else 0
        own = OverlongLoss(rows=1, tokens=tokens, supervised_tokens=int((gone != IGNORED).sum()))
        lost = _add_losses(lost, {row["source"]: own})
    return lost


def _read_windows(mixture: MixtureReceipt, window: int) -> Iterator[pa.Table]:
    rows = open_shards(mixture, ["position", "source", "input_ids", "labels"])
    for start in range(0, len(rows), window):
        report("packing", start, len(rows))
        part = rows.read(start, min(start + window, len(rows)))
        # The dictionary of a file may hold the names in any order.
        ids = pc.index_in(part["source"].cast(pa.string()), value_set=pa.array(mixture.sources))
        yield part.append_column("source_id", ids)
    report("packing", len(rows), len(rows))


def _add_losses(one: Losses, two: Losses) -> dict[str, OverlongLoss]:
    none = OverlongLoss(rows=0, tokens=0, supervised_tokens=0)
    total = {}
    for name in sorted({*one, *two}):
        a, b = one.get(name, none), two.get(name, none)
        total[name] = OverlongLoss(
            rows=a.rows + b.rows,
            tokens=a.tokens + b.tokens,
            supervised_tokens=a.supervised_tokens + b.supervised_tokens,
        )
    return total


class _PackWriter:
    """Writes packs into shards of equal size, counting and digesting them."""

    def __init__(self, folder: Path, mixture_digest: str) -> None:
        self.names: list[str] = []
        self.counts = {"packs": 0, "tokens": 0, "supervised_tokens": 0}
        self._folder = folder
        self._waiting = PACK_SCHEMA.empty_table()
        self._state = hashlib.sha256(mixture_digest.encode())

    def add(self, packs: pa.Table) -> None:
        """Take in the packs of a window."""
        self.counts["packs"] += packs.num_rows
        for name in ("seq_lengths", "positions"):
            # Which tokens these are is the mixture's digest's part.
            for chunk in packs[name].chunks:
                self._state.update(np.asarray(pc.list_value_length(chunk)).astype("<i8").tobytes())
                self._state.update(np.asarray(chunk.flatten()).astype("<i8").tobytes())
        labels = _flatten(packs["labels"])
        self.counts["tokens"] += len(labels)
        self.counts["supervised_tokens"] += pc.sum(pc.not_equal(labels, IGNORED)).as_py() or 0
        self._waiting = pa.concat_tables([self._waiting, packs])
        while self._waiting.num_rows >= PACKS_PER_SHARD:
            self._write(PACKS_PER_SHARD)

    def close(self) -> str:
        """Write what is left and return the digest of the packs."""
        if self._waiting.num_rows:
            self._write(self._waiting.num_rows)
        return self._state.hexdigest()

    def _write(self, packs: int) -> None:
        self.names.append(name_shard(len(self.names)))
        write_shard(self._waiting.slice(0, packs), self._folder / self.names[-1], GROUP_PACKS)
        self._waiting = self._waiting.slice(packs)


def _flatten(column: pa.ChunkedArray) -> Any:
    return pa.chunked_array([chunk.flatten() for chunk in column.chunks], pa.int32())
