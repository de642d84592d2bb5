"""Optimiser steps as runs of the mixture, in plan order, shared out over processes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Row = Mapping[str, Any]
"""A document: ``row_id``, ``input_ids`` and ``labels`` (lists of one length), ``source``."""


class Place(NamedTuple):
    """Which of the processes that share a step this one is."""

    rank: int = 0
    world: int = 1


class Steps:
    """The documents of each optimiser step.

    Step k is rows (or packs) ``k * size`` to ``(k + 1) * size - 1`` of the mixture, whatever the
    number of processes: that, and the state of the optimiser, is all there is to resuming.

    Args:
        rows: The mixture's rows or packs by position, as ``datasets.Dataset`` gives them.
        size: Rows or packs a step.
        sources: Names that a pack's ``source_ids`` stand for.
    """

    def __init__(self, rows: Any, size: int, sources: Sequence[str]) -> None:
        self._rows, self._size, self._sources = rows, size, tuple(sources)

    def __len__(self) -> int:
        """Return the number of steps; the last one may be short."""
        return -(-len(self._rows) // self._size)

    def __getitem__(self, step: int) -> list[Row]:
        """Return the documents of a step, in plan order (in a pack's order, of packs)."""
        first = step * self._size
        found = [self._rows[i] for i in range(first, min(first + self._size, len(self._rows)))]
        if found and "seq_lengths" in found[0]:
            return [doc for pack in found for doc in documents(pack, self._sources)]
        return found


def documents(pack: Row, sources: Sequence[str]) -> Iterator[Row]:
    """Yield a pack's documents; ``row_id`` is the plan position, which is all a pack keeps."""
    ends = np.cumsum(pack["seq_lengths"])
    for end, length, source, position in zip(
        ends.tolist(), pack["seq_lengths"], pack["source_ids"], pack["positions"], strict=True
    ):
        part = slice(end - length, end)
        yield {
            "row_id": str(position),
            "input_ids": pack["input_ids"][part],
            "labels": pack["labels"][part],
            "source": sources[source],
        }


def length_of(row: Row) -> int:
    """Return a row's tokens: of the longer answer, for a pair."""
    return max(len(row["input_ids"]), len(row.get("rejected_ids", ())))


def dealt(rows: Sequence[Row], place: Place) -> list[Row]:
    """Return the rows of a step that are this process's, longest first.

    Rows are dealt by length, to and fro, so that every process has about as many tokens.
    """
    ordered = sorted(rows, key=length_of, reverse=True)
    turns = (divmod(i, place.world) for i in range(len(ordered)))
    owners = [at if lap % 2 == 0 else place.world - 1 - at for lap, at in turns]
    return [row for row, owner in zip(ordered, owners, strict=True) if owner == place.rank]


class Loader:
    """The batches of a process from the step on that the trainer stands at.

    Trainer asks it for its length and then for its batches, once; it never shuffles.

    Args:
        steps: Of the whole mixture.
        collate: Makes a step's documents a batch.
        start: Returns the step to begin at when iteration begins.
    """

    def __init__(self, steps: Steps, collate: Any, start: Any) -> None:
        self.dataset, self._collate, self._start = steps, collate, start

    def __len__(self) -> int:
        """Return the steps of the whole mixture, those already done included."""
        return len(self.dataset)

    def __iter__(self) -> Iterator[Any]:
        """Yield a batch a step."""
        for step in range(self._start(), len(self)):
            yield self._collate(self.dataset[step])
