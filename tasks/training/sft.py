"""TRL's SFTTrainer on steps of the plan: answers and plain text, with the loss split by source."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from trl import SFTTrainer

from tasks.errors import TrainingError
from tasks.text.masks import IGNORED
from tasks.training.cross_entropy import nats_of, passing, plain_head
from tasks.training.loader import Micro, tokens_of
from tasks.training.trainer_step import Batch, PlanSteps


class PlanTrainer(PlanSteps, SFTTrainer):  # type: ignore[misc]
    """Takes rendered, masked rows in plan order and keeps the source of every loss.

    A step's loss is the mean over the supervised tokens of all its rows, each token counted by its
    source's loss weight, whatever the micro-batches and the number of processes; logits are
    computed at supervised positions only.

    Args:
        sources: Names, as micro-batches index them.
        weights: Source -> what its tokens count; 1 where it isn't named.
        kl: Weight of the KL divergence from the base model.
    """

    def __init__(
        self,
        *args: Any,
        sources: Sequence[str],
        weights: Mapping[str, float] | None = None,
        kl: "Anchor | None" = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.sources = tuple(sources)
        given = weights or {}
        self._weights = torch.tensor([float(given.get(name, 1.0)) for name in sources])
        self._anchor = kl
        sharded = self.is_fsdp_enabled
        # A sharded layer's weights are whole only inside its own forward pass.
        self._head = None if sharded else plain_head(self.accelerator.unwrap_model(self.model))
        self._sums = torch.zeros(4, len(sources), dtype=torch.float64)

    def prepare_step(self, batch: Batch) -> Batch:
        """Return the batch; a step in which no token carries loss can't be taken."""
        if not batch["supervised"]:
            raise TrainingError(
                "no token of the step carries loss.",
                where=f"step {self.state.global_step + 1}",
                fix="raise training.batch_rows, or look at the rows: all their labels are masked.",
            )
        self._sums.zero_()
        return batch

    def micro_loss(self, model: Any, micro: Micro, batch: Batch) -> torch.Tensor:
        """Return the micro-batch's weighted nats over the supervised tokens of the step."""
        labels = micro["labels"][:, 1:]
        kept = labels != IGNORED
        source = micro["source"][:, 1:][kept]
        if self._anchor is None and self._head is not None:
            nats = nats_of(
                hidden_at(model, self._head, micro, kept), self._head.weight, labels[kept]
            )
            drift = None
        else:
            logits, at = supervised_logits(model, micro)
            nats = token_nats(logits, micro, at)[kept[:, at]]
            drift = self._drift(model, micro, logits, at)
        self._weights = self._weights.to(nats.device)
        loss: torch.Tensor = (nats * self._weights[source]).sum() / batch["supervised"]
        ones = torch.ones(len(source))
        for row, values in enumerate((nats.detach().cpu(), ones)):
            self._sums[row].index_add_(0, source.cpu(), values.double())
        self._sums[2, 0] += tokens_of(micro)
        if drift is not None and self._anchor is not None:
            loss = loss + self._anchor.weight * drift / batch["supervised"]
            self._sums[3, 0] += float(drift.detach())
        return loss

    def _drift(
        self, model: Any, micro: Micro, logits: torch.Tensor, at: torch.Tensor
    ) -> torch.Tensor | None:
        """Return the divergence from the base summed over the supervised tokens, in nats."""
        if self._anchor is None:
            return None
        kept = micro["labels"][:, 1:][:, at] != IGNORED
        return (self._anchor.divergence(model, micro, logits, at) * kept).sum()

    def measured(self, batch: Batch) -> dict[str, float]:
        """Return tokens, and the mean loss in nats a supervised token, in all and by source."""
        sums = self.summed(self._sums.to(torch.float32).to(self.args.device)).cpu().tolist()
        count = max(sum(sums[1]), 1.0)
        record = {
            "loss": sum(sums[0]) / count,
            "tokens": sums[2][0],
            "supervised_tokens": sum(sums[1]),
        }
        if self._anchor is not None:
            record["kl_to_base"] = sums[3][0] / count
        for name, nats, tokens in zip(self.sources, sums[0], sums[1], strict=True):
            if tokens:
                record[f"loss/{name}"] = nats / tokens
        return record


class Anchor:
    """The base model, to be stayed near of: KL(base || model) is added to the loss.

    It helps where the mixture has little general data of its own: the base's whole distribution is
    held at the supervised tokens, which costs a second forward pass. Try a blend of the weights
    first, which costs nothing, and rehearsal where general behaviour must hold off the domain.

    Args:
        weight: Of the divergence in the loss.
        base: The frozen base; None where the adapter can be switched off instead.
    """

    def __init__(self, weight: float, base: Any = None) -> None:
        self.weight, self._base = weight, base

    def divergence(
        self, model: Any, micro: Micro, logits: torch.Tensor, at: torch.Tensor
    ) -> torch.Tensor:
        """Return KL(base || model) in nats at the positions ``at``, (b, k)."""
        with torch.no_grad():
            theirs = self._base_logits(model, micro, at).log_softmax(-1)
        ours = logits.log_softmax(-1)
        return (theirs.exp() * (theirs - ours)).sum(-1)

    def _base_logits(self, model: Any, micro: Micro, at: torch.Tensor) -> torch.Tensor:
        if self._base is not None:
            return logits_at(self._base.to(at.device), micro, at)
        inner = getattr(model, "module", model)
        with inner.disable_adapter():
            return logits_at(inner, micro, at)


def hidden_at(model: Any, head: Any, micro: Micro, kept: torch.Tensor) -> torch.Tensor:
    """Return the last hidden states that predict the supervised tokens, (n, width).

    Args:
        model: As wrapped.
        head: Its output layer.
        micro: The micro-batch.
        kept: Which tokens but the first of each row are supervised, (b, t - 1).
    """
    with passing(head):
        hidden: torch.Tensor = called(model, micro, 0)
    return hidden[:, :-1][kept]


def supervised_logits(model: Any, micro: Micro) -> tuple[torch.Tensor, torch.Tensor]:
    """Return float32 logits (b, k, vocabulary) and the k positions at which a row has loss."""
    at = (micro["labels"][:, 1:] != IGNORED).any(0).nonzero().flatten()
    return logits_at(model, micro, at), at


def logits_at(model: Any, micro: Micro, at: torch.Tensor) -> torch.Tensor:
    """Return the float32 logits at some positions, (b, k, vocabulary)."""
    return called(model, micro, at).float()


def called(model: Any, micro: Micro, keep: torch.Tensor | int) -> torch.Tensor:
    """Return the model's logits at some positions, or at all (0).

    Without an attention mask the documents of a row are kept apart by their position ids, which
    holds only where the model keeps no cache.
    """
    logits: torch.Tensor = model(
        input_ids=micro["input_ids"],
        attention_mask=micro.get("attention_mask"),
        position_ids=micro["position_ids"],
        use_cache=False,
        logits_to_keep=keep,
    ).logits
    return logits


def token_nats(logits: torch.Tensor, micro: Micro, at: torch.Tensor) -> torch.Tensor:
    """Return -log p of every supervised token, (b, k); zero where a row has none at a position."""
    kept = micro["labels"][:, 1:][:, at]
    nats = cross_entropy(
        logits.flatten(0, 1), kept.flatten(), ignore_index=IGNORED, reduction="none"
    )
    return nats.view(kept.shape)
