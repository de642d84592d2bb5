"""Answers of a model, in batches of like length."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from tasks.inference.loading import TorchModel
from tasks.text.chat import Tokenizer

Progress = Callable[[int, int], None]


class Generation(NamedTuple):
    """An answer.

    Attributes:
        text: The answer, special tokens left out.
        token_ids: Its tokens; the end-of-turn token last where the model ended it.
        truncated: Whether it was cut at the most tokens allowed.
        latency_s: Seconds of its batch, shared evenly.
    """

    text: str
    token_ids: list[int]
    truncated: bool
    latency_s: float
