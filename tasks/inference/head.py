"""From hidden states to log-probabilities, at the places and for the tokens that are asked."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from tasks.inference.loading import TorchModel

CHUNK = 512
"""Places whose logits over the vocabulary are held at a time."""


class Token(NamedTuple):
    """A token's log-probability (nats) at its place, and whether none there is likelier."""

    logprob: float
    best: bool


def token_logprobs(
    model: TorchModel, hidden: torch.Tensor, rows: Sequence[int], tokens: Sequence[int]
) -> list[Token]:
    """Return log-probabilities (nats) of tokens, normalised over the vocabulary in float32.

    Args:
        model: The model; its output embeddings are applied.
        hidden: Last hidden states, (places, width).
        rows: For each token asked about, which place predicts it.
        tokens: Token ids, as many as ``rows``.

    In bfloat16 a logit is a multiple of 1/16 around 10, which makes ties of near things: the
    logits of the tokens asked about are computed anew in float32.
    """
    row = torch.tensor(rows, device=hidden.device)
    token = torch.tensor(tokens, device=hidden.device)
    found = torch.empty(len(tokens), dtype=torch.float32, device=hidden.device)
    best = torch.empty(len(tokens), dtype=torch.bool, device=hidden.device)
    for start in range(0, len(hidden), CHUNK):
        inside = (row >= start) & (row < start + CHUNK)
        place, asked = row[inside] - start, token[inside]
        part = hidden[start : start + CHUNK]
        logits = model.get_output_embeddings()(part).float()
        logits[place, asked] = _exact(model, part[place], asked)
        logits = _scaled(model, logits)
        found[inside] = logits[place, asked] - logits.logsumexp(dim=-1)[place]
        best[inside] = logits[place, asked] >= logits.max(dim=-1).values[place]
    return [Token(*pair) for pair in zip(found.tolist(), best.tolist(), strict=True)]


def _exact(model: TorchModel, hidden: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    head = model.get_output_embeddings()
    logits: torch.Tensor = (hidden.float() * head.weight[tokens].float()).sum(dim=-1)
    bias = getattr(head, "bias", None)
    return logits if bias is None else logits + bias[tokens].float()


def _scaled(model: TorchModel, logits: torch.Tensor) -> torch.Tensor:
    """Apply what some models do to their logits after the head (Cohere, Granite, Gemma)."""
    config = model.config.get_text_config()
    if getattr(config, "logit_scale", None):
        logits = logits * config.logit_scale
    if getattr(config, "logits_scaling", None):
        logits = logits / config.logits_scaling
    cap = getattr(config, "final_logit_softcapping", None)
    return cap * torch.tanh(logits / cap) if cap else logits
