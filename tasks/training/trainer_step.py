"""What every method's trainer does alike: steps of the plan, micro-batches, and a record of each.

The mixin stands before one of TRL's trainers, which gives optimiser, schedule, saving and the loss
of its method.
"""

import hashlib
import time
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import torch

from tasks.errors import TrainingError
from tasks.training.loader import Loader, Micro, Rank, Steps

Batch = Mapping[str, Any]


COUNTED = frozenset({"input_ids", "prompt_ids", "completion_ids"})
"""Tensors of a micro-batch whose elements are the tokens that are computed."""


class PlanSteps:
    """Takes a step's micro-batches one after the other and sums their gradients.

    A method says what a micro-batch costs in ``micro_loss``: its part of the step's loss, such that
    the parts of all micro-batches on all processes sum to it.
    """

    # What TRL's trainers have, and this mixin uses.
    model: Any
    args: Any
    state: Any
    accelerator: Any
    compute_loss_context_manager: Any

    def begin(self, steps: Steps, collate: Any, seed: int) -> None:
        """Take in the mixture; to be called before ``train``."""
        self._steps, self._collate, self._seed = steps, collate, seed
        self.step_record: dict[str, float] = {}
        self.step_rows: list[str] = []
        self.failed_tokens = self.most_tokens = 0
        self.stopped = ""

    @property
    def place(self) -> Rank:
        """Which of the processes this one is."""
        return Rank(self.accelerator.process_index, self.accelerator.num_processes)

    def get_train_dataloader(self) -> Any:
        """Return the batches from the step on that training stands at; none once it stopped."""
        return Loader(self._steps, self._collate, self._next_step)

    def _next_step(self) -> int:
        # A job that was killed after it stopped early goes on to what comes after training.
        return len(self._steps) if self.stopped else int(self.state.global_step)

    def prepare_step(self, batch: Batch) -> Batch:
        """Return the batch as ``micro_loss`` wants it; a method may make its micro-batches here."""
        return batch

    def micro_loss(self, model: Any, micro: Micro, batch: Batch) -> torch.Tensor:
        """Return what a micro-batch adds to the step's loss."""
        raise NotImplementedError

    def measured(self, batch: Batch) -> dict[str, float]:
        """Return what the method measured of the step, of all processes together."""
        raise NotImplementedError

    def training_step(self, model: Any, inputs: Batch, *_: Any, **__: Any) -> torch.Tensor:
        """Return the step's loss after summing the gradients of its micro-batches."""
        model.train()
        started = time.perf_counter()
        # Dropout and sampling depend on seed, step and process, not on what went before.
        seed_step(self._seed, self.state.global_step, self.place.rank)
        batch = self.prepare_step(inputs)
        loss = torch.zeros((), device=self.args.device)
        for i, micro in enumerate(batch["micro"]):
            last = i == len(batch["micro"]) - 1
            loss += self._backward(model, micro, batch, last)
        loss = self.summed(loss)
        self.step_record = {**self._checked(loss), **self.measured(batch)}
        spent = time.perf_counter() - started
        for name in ("tokens", "supervised_tokens"):
            if name in self.step_record:
                self.step_record[f"{name}_per_second"] = self.step_record[name] / spent
        self.step_rows = list(batch["rows"])
        return loss

    def _backward(self, model: Any, micro: Micro, batch: Batch, last: bool) -> torch.Tensor:
        self.failed_tokens = sum(v.numel() for k, v in micro.items() if k in COUNTED)
        moved = {k: v.to(self.args.device) for k, v in micro.items()}
        # Gradients of the micro-batches before the last stay on their process.
        alone = nullcontext() if last else self.accelerator.no_sync(model)
        with alone:
            with self.compute_loss_context_manager():
                part = self.micro_loss(model, moved, batch)
            # The wrapper averages gradients over processes; ours are parts of a sum.
            self.accelerator.backward(part * self.place.world)
        self.most_tokens = max(self.most_tokens, self.failed_tokens)
        return part.detach()

    def summed(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sum of the values over processes."""
        if self.place.world == 1:
            return values
        found: torch.Tensor = self.accelerator.reduce(values, reduction="sum")
        return found

    def _checked(self, loss: torch.Tensor) -> dict[str, float]:
        value = float(loss)
        if value != value or value in (float("inf"), float("-inf")):
            raise TrainingError(
                f"the loss is {'not a number' if value != value else 'infinite'}.",
                where=f"step {self.state.global_step + 1}",
                fix="lower training.learning_rate or max_grad_norm, or train in float32.",
            )
        return {"loss": value}


# Random numbers that depend on where training stands, not on how it got there.


def step_seed(seed: int, step: int, rank: int) -> int:
    """Return the seed of a step on a process: 63 bits of SHA-256."""
    text = f"{seed}/{step}/{rank}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little") >> 1


def seed_step(seed: int, step: int, rank: int) -> None:
    """Seed torch's generators for a step, so that a resumed run draws what an unbroken one does."""
    import torch

    torch.manual_seed(step_seed(seed, step, rank))
