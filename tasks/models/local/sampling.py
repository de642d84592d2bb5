"""One token after another: drawn by a key of its own, and ended at a string."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import LogitsProcessor, StoppingCriteria

from tasks.models.local.spans import ends_in_thought
from tasks.text.keyed import key_of, keyed_rank
from tasks.text.reasoning import find_stop
from tasks.text.template import Tokenizer
from tasks.text.thoughts import spell_answer

# Ending an answer at a string.


class StopAtText(StoppingCriteria):  # type: ignore[misc]
    """Ends a row once its answer holds a stop string, after its thoughts.

    Only the last tokens are spelled at each step: as many as the longest string has bytes, since
    a token spells at least a byte of it, and a few for a character that is cut. Where they hold
    one, the whole answer is, to see whether it stands in a thought.

    Args:
        tokenizer: The model's.
        stops: The strings.
        prompt: Tokens of the (padded) prompt in front of each answer.
    """

    _CUT = 4

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str], prompt: int) -> None:
        self._tokenizer, self._stops, self._prompt = tokenizer, stops, prompt
        self._reach = max(len(s.encode()) for s in stops) + self._CUT

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        """Return which rows have ended, bool (rows,)."""
        answers = input_ids[:, self._prompt :][:, -self._reach :]
        texts = self._tokenizer.batch_decode(answers, skip_special_tokens=True)
        done = [
            any(stop in text for stop in self._stops) and self._ends(row)
            for text, row in zip(texts, input_ids, strict=True)
        ]
        return torch.tensor(done, dtype=torch.bool, device=input_ids.device)

    def _ends(self, row: torch.Tensor) -> bool:
        text = spell_answer(self._tokenizer, row[self._prompt :].tolist(), ended=False)
        thinking = ends_in_thought(self._tokenizer, row[: self._prompt].tolist())
        return find_stop(text, self._stops, thinking=thinking) is not None


CANDIDATES = 1024
"""Likeliest tokens looked at first: sorting a vocabulary of 49 k for 32 rows costs ten times as
much, and more than the model's own step, and these nearly always hold the nucleus."""


def draw_keys(seed: int, prompts: Sequence[Sequence[int]]) -> list[int]:
    """Return a key for each prompt's draws; copies of a prompt get different ones.

    Keys depend on the prompt alone, so neither its place nor its batch changes its answer.
    """
    seen: dict[str, int] = {}
    keys = []
    for prompt in prompts:
        name = " ".join(map(str, prompt))
        copy = seen[name] = seen.get(name, 0) + 1
        keys.append(key_of(seed, "draw", name, copy))
    return keys


def draw(logits: torch.Tensor, top_p: float, uniforms: torch.Tensor) -> torch.Tensor:
    """Return one token a row from the likeliest tokens that hold ``top_p`` (Holtzman et al. 2020).

    Args:
        logits: (rows, vocabulary), float32, temperature applied.
        top_p: Probability that the nucleus holds; 1 takes the whole vocabulary.
        uniforms: (rows,), in [0, 1): where in the nucleus's cumulative distribution to draw.

    Returns:
        Token ids, (rows,).
    """
    probabilities, ids = _candidates(logits, top_p)
    through = probabilities.cumsum(dim=-1)
    inside = (through - probabilities < top_p) if top_p < 1 else torch.ones_like(ids).bool()
    mass = (probabilities * inside).sum(dim=-1)
    place = (through <= (uniforms * mass)[:, None]).sum(dim=-1)
    # Rounding may push a draw just below 1 over the edge.
    place = torch.minimum(place, inside.sum(dim=-1) - 1)
    return ids.gather(1, place[:, None])[:, 0]


def _candidates(logits: torch.Tensor, top_p: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return probabilities (float64) and ids of tokens that hold the nucleus, likeliest first."""
    size = logits.shape[-1]
    whole = logits.logsumexp(dim=-1, keepdim=True).double()
    if top_p >= 1:
        ids = torch.arange(size, device=logits.device).expand_as(logits)
        return (logits.double() - whole).exp(), ids
    values, ids = logits.topk(min(CANDIDATES, size), dim=-1)
    held = (values.double() - whole).exp()
    if len(ids[0]) == size or bool((held.sum(dim=-1) >= top_p).all()):
        return held, ids
    values, ids = logits.sort(dim=-1, descending=True)
    return (values.double() - whole).exp(), ids


class KeyedSampler(LogitsProcessor):  # type: ignore[misc]
    """Leaves one token a row possible at each step: the one drawn with the row's key."""

    def __init__(self, keys: Sequence[int], temperature: float, top_p: float) -> None:
        self._keys, self._temperature, self._top_p = keys, temperature, top_p
        self._step = 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return scores that are 0 for the token drawn and minus infinity for all others."""
        uniforms = [keyed_rank(key, str(self._step)) / 2**64 for key in self._keys]
        self._step += 1
        at = torch.tensor(uniforms, dtype=torch.float64, device=scores.device)
        chosen = draw(scores.float() / self._temperature, self._top_p, at)
        only = torch.full_like(scores, -torch.inf)
        return only.scatter_(1, chosen[:, None], 0.0)
