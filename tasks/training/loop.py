"""TRL's SFTTrainer, fed in plan order, with the loss split by source."""

import json
import os
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import Sampler, SequentialSampler
from transformers import TrainerCallback
from trl import SFTTrainer

from tasks.errors import TrainingError
from tasks.text.chat import IGNORED
from tasks.training.batches import Micro


class PlanTrainer(SFTTrainer):  # type: ignore[misc]
    """Takes rendered, masked rows in plan order and keeps the source of every loss.

    A step's loss is the mean over the supervised tokens of all its rows, whatever the
    micro-batches; logits are computed at supervised positions only.
    """

    def __init__(self, *args: Any, sources: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sources = tuple(sources)
        self.step_record: dict[str, float] = {}

    def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Sampler[int]:
        # Trainer shuffles unless told not to, and the plan is the order.
        return SequentialSampler(self.train_dataset)

    def training_step(self, model: Any, inputs: dict[str, list[Micro]], *_: Any, **__: Any) -> Any:
        """Return the step's mean loss after accumulating gradients over its micro-batches."""
        model.train()
        started = time.perf_counter()
        micros = [self._prepare_inputs(m) for m in inputs["micro"]]
        counts = [_supervised(m) for m in micros]
        total = torch.stack(counts).sum()
        sums = torch.zeros(2, len(self.sources))
        for micro, _count in zip(micros, counts, strict=True):
            with self.compute_loss_context_manager():
                nats = token_nats(model, micro)
            self.accelerator.backward(nats.sum() / total)
            sums += _by_source(nats.detach(), micro, len(self.sources)).cpu()
        loss = (sums[0].sum() / total).detach()
        self._record(float(loss), sums, micros, time.perf_counter() - started)
        return loss

    def _record(self, loss: float, sums: torch.Tensor, micros: list[Micro], spent: float) -> None:
        if loss != loss:
            raise TrainingError("the loss is not a number.", where=f"step {self.state.global_step}",
                                fix="lower training.learning_rate.")  # fmt: skip
        tokens = sum(int(m["attention_mask"].sum()) for m in micros)
        self.step_record = {"loss": loss, "tokens_per_second": tokens / spent,
                            "tokens": tokens, "supervised_tokens": int(sums[1].sum())}  # fmt: skip
        for name, nats, count in zip(self.sources, *sums.tolist(), strict=True):
            if count:
                self.step_record[f"loss/{name}"] = nats / count


def token_nats(model: Any, micro: Micro) -> torch.Tensor:
    """Return -log p of every supervised token, (b, k); zero where a row has none at a position.

    ``k`` counts the positions at which any row of the micro-batch is supervised.
    """
    labels = micro["labels"][:, 1:]
    at = (labels != IGNORED).any(0).nonzero().flatten()
    mask = micro["attention_mask"]
    logits = model(
        input_ids=micro["input_ids"], attention_mask=mask, use_cache=False,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0), logits_to_keep=at,
    ).logits.float()  # fmt: skip
    kept = labels[:, at]
    nats = cross_entropy(logits.flatten(0, 1), kept.flatten(), ignore_index=IGNORED,
                         reduction="none")  # fmt: skip
    return nats.view(kept.shape)


def _supervised(micro: Micro) -> torch.Tensor:
    return (micro["labels"][:, 1:] != IGNORED).sum()


def _by_source(nats: torch.Tensor, micro: Micro, sources: int) -> torch.Tensor:
    counts = (micro["labels"][:, 1:] != IGNORED).sum(1).float()
    sums = torch.zeros(2, sources, device=nats.device)
    sums[0].index_add_(0, micro["source"], nats.sum(1))
    sums[1].index_add_(0, micro["source"], counts)
    return sums


class Stream(TrainerCallback):  # type: ignore[misc]
    """Appends one JSON line a step to ``losses.jsonl``, flushed, for whoever watches."""

    def __init__(self, path: str | os.PathLike[str], trainer: PlanTrainer) -> None:
        self._path, self._trainer = path, trainer

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Write the record of the step just finished, with what Trainer logged of it."""
        if not logs or "grad_norm" not in logs:
            return
        record = {"step": state.global_step, **self._trainer.step_record,
                  "learning_rate": logs["learning_rate"],
                  "grad_norm": float(logs["grad_norm"])}  # fmt: skip
        with open(self._path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")
            stream.flush()
