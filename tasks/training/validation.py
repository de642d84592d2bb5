"""Loss on held-out rows as training goes on: stopping when it gets no better, and the best step."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from transformers import TrainerCallback

from configs.training import Validation
from tasks.artifacts import HeldOut
from tasks.errors import TrainingError
from tasks.training.loader import MicroBatches, Row
from tasks.training.sft import PlanTrainer, supervised_logits, token_nats

PREFIX = "validation/"
"""Before a role, in the keys of its loss: nats a supervised token."""


class Validator(TrainerCallback):  # type: ignore[misc]
    """Measures the loss of each role's held-out rows, and ends training when asked to.

    Every process measures all rows, so that all of them decide alike. What was best so far is read
    from the metrics stream, which a resumed run has up to the step it goes on from. Where training
    may stop, a state is saved at each step that is the best so far, and kept until a better one is.

    Args:
        spec: How often, and on which role to stop.
        rows: The held-out rows.
        trainer: Whose model is measured; its step's record gets the losses.
    """

    def __init__(self, spec: Validation, rows: HeldOut, trainer: PlanTrainer) -> None:
        self._spec, self._trainer = spec, trainer
        table = pq.read_table(rows.path / "rows.parquet").to_pylist()
        self._rows = {role: [r for r in table if r["role"] == role] for role in sorted(rows.rows)}
        wanted = spec.stop_on
        if wanted is not None and not self._rows.get(wanted):
            raise TrainingError(
                f"there are no held-out rows of role {wanted} to stop on.",
                where="training.validation.stop_on",
                fix="give a source of that role a dev split, or leave stop_on out.",
            )
        self._history: list[tuple[int, float]] = []

    def resume(self, stream: Path) -> None:
        """Take in the validations of the steps before the one that is gone on from."""
        if stream.is_file() and self._spec.stop_on is not None:
            name = PREFIX + self._spec.stop_on
            records = [json.loads(line) for line in stream.read_text().splitlines()]
            self._history = [(int(r["step"]), r[name]) for r in records if name in r]
            self._stop_if_stale()

    @property
    def best_step(self) -> int | None:
        """The first step of the lowest loss; None where training is not stopped by it."""
        return best_step(self._history)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Validate where it is time, and say whether training is to stop."""
        if state.global_step % self._spec.every and state.global_step != state.max_steps:
            return
        found = {PREFIX + role: self._loss(rows) for role, rows in self._rows.items() if rows}
        self._trainer.step_record.update(found)
        if self._spec.stop_on is None:
            return
        self._history.append((state.global_step, found[PREFIX + self._spec.stop_on]))
        if self.best_step == state.global_step:
            # Trainer keeps that state when it removes older ones.
            state.best_global_step = state.global_step
            control.should_save = True
        if self._stop_if_stale():
            control.should_training_stop = True
            control.should_save = True

    def _stop_if_stale(self) -> bool:
        losses = [loss for _, loss in self._history]
        if not is_stale(losses, self._spec.patience, self._spec.min_delta):
            return False
        self._trainer.stopped = (
            f"{self._spec.stop_on} loss on held-out rows has not improved for "
            f"{self._spec.patience} validations"
        )
        return True

    def _loss(self, rows: Sequence[Row]) -> float:
        model = self._trainer.model
        model.eval()
        # As the model turned out to get it right, which is known when training begins.
        shape = self._trainer.data_collator.shape
        collate = MicroBatches(shape, sorted({r["source"] for r in rows}))
        batch, nats = collate(rows), 0.0
        with torch.no_grad():
            for micro in batch["micro"]:
                moved = {k: v.to(self._trainer.args.device) for k, v in micro.items()}
                logits, at = supervised_logits(model, moved)
                nats += float(token_nats(logits, moved, at).sum())
        model.train()
        supervised: int = batch["supervised"]
        return nats / max(supervised, 1)


def best_step(history: Sequence[tuple[int, float]]) -> int | None:
    """Return the first step of the lowest loss; one that is no number is never the lowest.

    Args:
        history: Steps with their losses, in turn.
    """
    numbers = [(loss, step) for step, loss in history if loss == loss]
    return min(numbers)[1] if numbers else None


def is_stale(history: Sequence[float], patience: int, min_delta: float) -> bool:
    """Return whether none of the last ``patience`` losses is ``min_delta`` below all before them.

    Args:
        history: Losses, in the order they were measured.
        patience: Validations to wait for a better one.
        min_delta: What counts as better, in nats a token; any at all when 0.
    """
    if len(history) <= patience:
        return False
    best = min(history[:-patience])
    return min(history[-patience:]) >= best - min_delta
