"""Cross-entropy at supervised tokens without the logits of all tokens in memory at once.

Scores over the vocabulary are most of a small model's work, and nearly all of its memory. They are
made for the supervised tokens alone, a chunk at a time, and what the backward pass needs of a chunk
(a vector as wide as the model, for each token) is made while its scores are there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tasks.training.memory import CHUNK


class _Nats(torch.autograd.Function):
    """-log softmax(h W')[target] of each token; float32 from the scores on."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        nats = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        slopes = torch.empty_like(hidden)
        for start in range(0, len(targets), CHUNK):
            part = slice(start, start + CHUNK)
            nats[part], residue = _chunk(hidden[part], weight, targets[part])
            slopes[part] = residue.to(weight.dtype) @ weight
        ctx.learns = weight.requires_grad
        ctx.save_for_backward(slopes, *((hidden, weight, targets) if ctx.learns else ()))
        return nats

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        slopes, *rest = ctx.saved_tensors
        each = grads[0].unsqueeze(1)
        grad_hidden = slopes * each.to(slopes.dtype)
        if not ctx.learns:
            return grad_hidden, None, None
        hidden, weight, targets = rest
        grad_weight = torch.zeros(weight.shape, dtype=torch.float32, device=weight.device)
        for start in range(0, len(targets), CHUNK):
            part = slice(start, start + CHUNK)
            _, residue = _chunk(hidden[part], weight, targets[part])
            grad_weight.addmm_((residue * each[part]).T, hidden[part].float())
        return grad_hidden, grad_weight.to(weight.dtype), None


def _chunk(hidden: Tensor, weight: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return nats, and the scores' gradient: softmax, less 1 at the target."""
    scores = (hidden @ weight.T).float()
    place = torch.arange(len(targets), device=hidden.device)
    most = scores.logsumexp(dim=1)
    nats = most - scores[place, targets]
    residue = scores.sub_(most.unsqueeze(1)).exp_()
    residue[place, targets] -= 1
    return nats, residue


def nats_of(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Return -log p of each target in nats, float32 (n,).

    Args:
        hidden: What predicts them, (n, width).
        weight: Of the output embeddings, (vocabulary, width).
        targets: Token ids, (n,).
    """
    found: Tensor = _Nats.apply(hidden.to(weight.dtype), weight, targets)  # type: ignore[no-untyped-call]
    return found


def plain_head(model: Any) -> Any:
    """Return a model's output layer where its logits are that layer's and nothing else, or None.

    Some models scale or cap their logits after the layer (Cohere, Granite, Gemma 2), or have an
    adapter on it. What no name here tells is found by trying both ways before the first step.
    """
    config = model.config.get_text_config()
    names = (
        "logit_scale",
        "logits_scaling",
        "final_logit_softcapping",
        "logits_soft_cap",
        "lm_head_multiplier",
    )
    head = model.get_output_embeddings()
    if any(getattr(config, name, None) for name in names):
        return None
    return head if type(head) is torch.nn.Linear and head.bias is None else None


@contextmanager
def passing(head: Any) -> Iterator[None]:
    """Have an output layer give what it is given, so that a model's logits are hidden states.

    The model is called as a whole all the same: what is wrapped around it (gradients summed over
    processes) takes part.
    """
    head.forward = _same
    try:
        yield
    finally:
        del head.forward


def _same(hidden: Tensor) -> Tensor:
    return hidden
