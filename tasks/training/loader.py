"""Optimiser steps as runs of the mixture, in plan order, shared out over processes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from tasks.text.masks import IGNORED

Row = Mapping[str, Any]
"""A document: ``row_id``, ``input_ids`` and ``labels`` (lists of one length), ``source``."""


class Rank(NamedTuple):
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


def dealt(rows: Sequence[Row], place: Rank) -> list[Row]:
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


# Documents of one optimiser step as micro-batches under a token budget, in one of two layouts.

Micro = dict[str, torch.Tensor]
Layout = Literal["sorted", "packed"]


class Shape(NamedTuple):
    """How documents become tensors.

    Attributes:
        pad_id: Token that fills up rows.
        budget: Most tokens of a micro-batch, padding included; a longer document goes alone.
        layout: See the module.
    """

    pad_id: int
    budget: int
    layout: Layout = "sorted"


class MicroBatches:
    """Collates the documents of an optimiser step.

    Returns ``{"micro": [...], "rows": ids, "supervised": n}``. A micro-batch has ``input_ids``,
    ``position_ids``, ``labels`` and ``source`` (index into the sources), each (b, t), and
    ``attention_mask`` (b, t) in the sorted layout. ``supervised`` counts the tokens of the whole
    step that carry loss, on every process; ``rows`` are those of this process. The optimiser sees
    the documents of the step, no others, whatever the layout and the number of processes.
    """

    def __init__(self, shape: Shape, sources: Sequence[str], place: Rank = Rank()) -> None:  # noqa: B008
        self.shape, self._place = shape, place
        self._index = {name: i for i, name in enumerate(sources)}

    def __call__(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Return the batch of a step."""
        own = dealt(rows, self._place)
        make = self._in_row if self.shape.layout == "packed" else self._pad_left
        # A process without a document takes part all the same: gradients are summed by all.
        groups = self.groups(own) or [[_masked(rows[0])]]
        return {
            "micro": [make(group) for group in groups],
            "rows": [row["row_id"] for row in own],
            "supervised": sum(supervised(row["labels"]) for row in rows),
        }

    def groups(self, rows: Sequence[Row]) -> list[list[Row]]:
        """Return the rows cut into micro-batches, longest first, each within the budget."""
        ordered = sorted(rows, key=length_of, reverse=True)
        cost = _total if self.shape.layout == "packed" else _rectangle
        return grouped(ordered, self.shape.budget, cost)

    def _pad_left(self, rows: Sequence[Row]) -> Micro:
        width = max(len(r["input_ids"]) for r in rows)
        shape = (len(rows), width)
        ids = torch.full(shape, self.shape.pad_id, dtype=torch.long)
        labels = torch.full(shape, IGNORED, dtype=torch.long)
        mask, source = (torch.zeros(shape, dtype=torch.long) for _ in range(2))
        for i, row in enumerate(rows):
            start = width - len(row["input_ids"])
            ids[i, start:] = torch.as_tensor(row["input_ids"])
            labels[i, start:] = torch.as_tensor(row["labels"])
            mask[i, start:] = 1
            source[i] = self._index[row["source"]]
        # The first token of a row has nothing before it to be predicted from.
        labels[torch.arange(len(rows)), width - mask.sum(1)] = IGNORED
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "labels": labels,
            "source": source,
            "position_ids": (mask.cumsum(1) - 1).clamp(min=0),
        }

    def _in_row(self, rows: Sequence[Row]) -> Micro:
        lengths = [len(r["input_ids"]) for r in rows]
        labels = [torch.tensor(r["labels"]) for r in rows]
        for own in labels:
            own[0] = IGNORED
        ids = [torch.as_tensor(r["input_ids"]) for r in rows]
        source = [
            torch.full((n,), self._index[r["source"]]) for n, r in zip(lengths, rows, strict=True)
        ]
        places = [torch.arange(n) for n in lengths]
        named = {"input_ids": ids, "labels": labels, "source": source, "position_ids": places}
        return {name: torch.cat(parts).long()[None] for name, parts in named.items()}


def grouped(ordered: Sequence[Row], budget: int, cost: Any) -> list[list[Row]]:
    """Return runs of the rows, each of as many as cost no more than the budget, or of one.

    Args:
        ordered: Longest first.
        budget: Tokens.
        cost: Tokens that a list of rows takes.
    """
    groups: list[list[Row]] = []
    for row in ordered:
        if groups and cost([*groups[-1], row]) <= budget:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def supervised(labels: Sequence[int]) -> int:
    """Return how many tokens carry loss; a first one, with nothing before it, never does."""
    return int(np.count_nonzero(np.asarray(labels)[1:] != IGNORED))


def _rectangle(rows: Sequence[Row]) -> int:
    return len(rows) * length_of(rows[0])


def _total(rows: Sequence[Row]) -> int:
    return sum(length_of(row) for row in rows)


def _masked(row: Row) -> Row:
    return {**row, "labels": [IGNORED] * len(row["labels"])}


def tokens_of(micro: Mapping[str, torch.Tensor]) -> int:
    """Return the tokens of a micro-batch without its padding."""
    mask = micro.get("attention_mask")
    return int(micro["input_ids"].numel() if mask is None else mask.sum())
