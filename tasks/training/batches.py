"""Documents of one optimiser step as micro-batches under a token budget, in one of two layouts.

``sorted``: documents of like length side by side, padded on the left; best where attention costs
what the padded rectangle costs, as on a CPU. ``packed``: documents end to end in one row, kept
apart by their position ids; nothing is padded, and a variable-length kernel (or a block mask) never
attends across them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from tasks.text.chat import IGNORED
from tasks.training.steps import Place, Row, dealt, length_of

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

    def __init__(self, shape: Shape, sources: Sequence[str], place: Place = Place()) -> None:  # noqa: B008
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
