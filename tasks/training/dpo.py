"""TRL's DPOTrainer on steps of the plan: pairs of answers."""

from collections.abc import Sequence
from typing import Any

import torch
from trl import DPOTrainer

from tasks.text.masks import IGNORED
from tasks.training.loader import Micro, Rank, Row, Shape, dealt, grouped, length_of
from tasks.training.trainer_step import Batch, PlanSteps

KEPT = ("rewards/chosen", "rewards/rejected", "rewards/accuracies", "rewards/margins")
"""What TRL measures of a micro-batch that is kept: means over its pairs."""


class PairBatches:
    """Collates the pairs of an optimiser step into micro-batches as DPOTrainer takes them.

    A micro-batch has ``input_ids``, ``attention_mask`` and ``completion_mask``, each (2 b, t): the
    chosen answers, then the rejected ones, padded on the right. ``weight`` is its number of pairs,
    0 for one that only keeps a process company: TRL gathers over processes in every micro-batch,
    so all of them take equally many.
    """

    def __init__(self, shape: Shape, place: Rank = Rank()) -> None:  # noqa: B008
        self._shape, self._place = shape, place

    def __call__(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Return ``{"micro": [...], "rows": ids, "pairs": n}``; ``pairs`` are of all processes."""
        parts = [dealt(rows, Rank(rank, self._place.world)) for rank in range(self._place.world)]
        count = max(len(grouped(part, self._shape.budget, _rectangles)) for part in parts)
        own = parts[self._place.rank]
        groups = _evenly(own, count)
        micro = [self._micro(group or rows[:1], len(group)) for group in groups]
        return {"micro": micro, "rows": [r["row_id"] for r in own], "pairs": len(rows)}

    def _micro(self, rows: Sequence[Row], weight: int) -> Micro:
        sides = [(r["input_ids"], r["labels"]) for r in rows]
        sides += [(r["rejected_ids"], r["rejected_labels"]) for r in rows]
        shape = (len(sides), max(len(ids) for ids, _ in sides))
        ids = torch.full(shape, self._shape.pad_id, dtype=torch.long)
        mask, answer = (torch.zeros(shape, dtype=torch.long) for _ in range(2))
        for i, (tokens, labels) in enumerate(sides):
            ids[i, : len(tokens)] = torch.as_tensor(tokens)
            mask[i, : len(tokens)] = 1
            answer[i, : len(tokens)] = torch.as_tensor(labels).ne(IGNORED)
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "completion_mask": answer,
            "weight": torch.tensor(weight),
        }


def _rectangles(rows: Sequence[Row]) -> int:
    return 2 * len(rows) * length_of(rows[0])


def _evenly(rows: list[Row], parts: int) -> list[list[Row]]:
    """Return the rows as that many runs, the longer ones first; some are empty if need be."""
    ends = [round(len(rows) * (i + 1) / parts) for i in range(parts)]
    return [rows[a:b] for a, b in zip([0, *ends], ends, strict=False)]


class PairTrainer(PlanSteps, DPOTrainer):  # type: ignore[misc]
    """Takes pairs in plan order; a step's loss is the mean over all its pairs.

    The reference model is the base: the adapter switched off, or a frozen copy where all
    parameters are trained.
    """

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset  # the rows are rendered and tokenised

    def prepare_step(self, batch: Batch) -> Batch:
        """Return the batch with TRL's measurements of the step before forgotten."""
        self._metrics["train"].clear()
        self._tokens = torch.zeros(2)
        self._weights: list[int] = []
        return batch

    def micro_loss(self, model: Any, micro: Micro, batch: Batch) -> torch.Tensor:
        """Return the micro-batch's part of the mean over the step's pairs."""
        weight = int(micro["weight"])
        inputs = {name: value for name, value in micro.items() if name != "weight"}
        loss: torch.Tensor = self.compute_loss(model, inputs)
        self._weights.append(weight)
        if weight:
            self._tokens[0] += int(inputs["attention_mask"].sum())
            self._tokens[1] += int(inputs["completion_mask"].sum())
        part: torch.Tensor = loss * weight / batch["pairs"]
        return part

    def measured(self, batch: Batch) -> dict[str, float]:
        """Return tokens of the answers, and rewards as TRL measures them, over the step's pairs."""
        tokens = self.summed(self._tokens.to(self.args.device)).tolist()
        found = self._metrics["train"]
        pairs = max(sum(self._weights), 1)
        means = {
            name: sum(v * w for v, w in zip(found[name], self._weights, strict=True)) / pairs
            for name in KEPT
        }
        return {"tokens": tokens[0], "supervised_tokens": tokens[1], **means}
