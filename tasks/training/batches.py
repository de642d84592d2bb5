"""Rows of one optimiser step as length-sorted, left-padded micro-batches."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from tasks.text.chat import IGNORED

Row = Mapping[str, Any]
Micro = dict[str, torch.Tensor]


class MicroBatches:
    """Collates the rows of an optimiser step into micro-batches under a token budget.

    Rows of like length go together, so little is spent on padding; padding stands on the left,
    so that the answers of a micro-batch share their positions and logits are needed there only.
    The optimiser still sees the rows of the plan's step, no others.
    """

    def __init__(self, pad_id: int, budget: int, sources: Sequence[str]) -> None:
        self._pad, self._budget = pad_id, budget
        self._index = {name: i for i, name in enumerate(sources)}

    def __call__(self, rows: Sequence[Row]) -> dict[str, list[Micro]]:
        """Return ``{"micro": [...]}``: input_ids, attention_mask, labels (b, t) and source (b)."""
        return {"micro": [self._pad_left(group) for group in self.groups(rows)]}

    def groups(self, rows: Sequence[Row]) -> list[list[Row]]:
        """Return the rows cut into micro-batches, longest first, each within the budget."""
        ordered = sorted(rows, key=lambda r: len(r["input_ids"]), reverse=True)
        groups: list[list[Row]] = []
        for row in ordered:
            widest = len(groups[-1][0]["input_ids"]) if groups else 0
            if groups and (len(groups[-1]) + 1) * widest <= self._budget:
                groups[-1].append(row)
            else:
                groups.append([row])
        return groups

    def _pad_left(self, rows: Sequence[Row]) -> Micro:
        width = max(len(r["input_ids"]) for r in rows)
        shape = (len(rows), width)
        ids = torch.full(shape, self._pad, dtype=torch.long)
        labels = torch.full(shape, IGNORED, dtype=torch.long)
        mask = torch.zeros(shape, dtype=torch.long)
        for i, row in enumerate(rows):
            start = width - len(row["input_ids"])
            ids[i, start:] = torch.as_tensor(row["input_ids"])
            labels[i, start:] = torch.as_tensor(row["labels"])
            mask[i, start:] = 1
        # The first token of a row has nothing before it to be predicted from.
        labels[torch.arange(len(rows)), width - mask.sum(1)] = IGNORED
        source = torch.tensor([self._index[r["source"]] for r in rows])
        return {"input_ids": ids, "attention_mask": mask, "labels": labels, "source": source}
