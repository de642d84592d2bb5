"""Ending an answer at a string."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import StoppingCriteria

from tasks.text.chat import Tokenizer


def first_stop(text: str, stops: Sequence[str]) -> int | None:
    """Return where the first of the stop strings begins in a text; None where there is none."""
    return min((place for s in stops if (place := text.find(s)) >= 0), default=None)


class StopAtText(StoppingCriteria):  # type: ignore[misc]
    """Ends a row once its answer holds a stop string.

    Only the last tokens are spelled at each step: as many as the longest string has bytes, since
    a token spells at least a byte of it, and a few for a character that is cut.

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
        done = [first_stop(text, self._stops) is not None for text in texts]
        return torch.tensor(done, dtype=torch.bool, device=input_ids.device)
