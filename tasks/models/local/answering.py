"""Batches of prompts answered by a model, each in the layout that the model allows."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from transformers import GenerationConfig

from tasks.models.api import Decoding
from tasks.models.local.forward import reset_rope
from tasks.models.local.loading import TorchModel
from tasks.models.local.prefix_cache import for_rows, keys_and_values
from tasks.models.local.sampling import KeyedSampler, StopAtText
from tasks.models.local.spans import ends_in_thought
from tasks.text.reasoning import find_stop
from tasks.text.template import Tokenizer
from tasks.text.thoughts import spell_answer


class Generation(NamedTuple):
    """An answer.

    Attributes:
        text: The answer, special tokens and what begins with a stop string left out.
        token_ids: Its tokens; the end-of-turn token last where the model ended it.
        truncated: Whether it was cut at the most tokens allowed.
        latency_s: Seconds of its batch, shared evenly.
    """

    text: str
    token_ids: list[int]
    truncated: bool
    latency_s: float


def greedy_config(max_new_tokens: int, stops: list[int], pad: int) -> Any:
    """Return the whole of the library's settings for taking the likeliest token each time.

    Args:
        max_new_tokens: Tokens of an answer at the most.
        stops: Tokens that end an answer.
        pad: Fills the rows of a batch up.
    """
    return GenerationConfig(
        max_new_tokens=max_new_tokens,
        eos_token_id=stops or None,
        pad_token_id=pad,
        do_sample=False,
        repetition_penalty=1.0,
        num_beams=1,
    )


@contextmanager
def without_defaults(model: TorchModel) -> Iterator[None]:
    """Leave nothing of the model's own generation config to the library inside.

    It fills whatever settings are left open from there: tokens that are never written, penalties,
    an answer's least length. Then an answer would not be what the model finds likeliest.
    """
    own = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = own


def run_generate(
    model: TorchModel, ids: torch.Tensor, mask: torch.Tensor, config: Any, **more: Any
) -> Any:
    """Return what the library's ``generate`` gives, settled by ``config`` alone."""
    reset_rope(model)
    with without_defaults(model), torch.inference_mode():
        return model.generate(input_ids=ids, attention_mask=mask, generation_config=config, **more)


def lay_out(
    prompts: list[list[int]], shared: int, pad: int, device: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids and attention mask, (rows, tokens): shared tokens, padding, own tokens.

    Args:
        prompts: Token ids, which begin with the same ``shared`` tokens.
        shared: How many those are.
        pad: The id that fills up.
        device: Where to.
    """
    longest = max(map(len, prompts))
    gaps = [longest - len(p) for p in prompts]
    ids = [[*p[:shared], *[pad] * gap, *p[shared:]] for p, gap in zip(prompts, gaps, strict=True)]
    mask = [[1] * shared + [0] * gap + [1] * (longest - shared - gap) for gap in gaps]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


class Answerer:
    """Answers batches of prompts that begin with the same tokens.

    Args:
        model: From ``load_weights``.
        tokenizer: Its tokenizer.
        decoding: How to draw.
        stops: Tokens that end an answer.
        prefix: What all prompts begin with; empty: nothing is computed ahead.
    """

    def __init__(
        self,
        model: TorchModel,
        tokenizer: Tokenizer,
        decoding: Decoding,
        stops: list[int],
        prefix: list[int],
    ) -> None:
        self._model, self._tokenizer, self._stops = model, tokenizer, stops
        self._shared = len(prefix)
        with torch.inference_mode():
            self._known = keys_and_values(model, prefix)
        self._pad = tokenizer.pad_token_id
        if self._pad is None:
            self._pad = stops[0] if stops else 0
        self._decoding = decoding
        # It always takes the likeliest token; where tokens are drawn, the sampler leaves only one.
        self._config = greedy_config(decoding.max_new_tokens, stops, self._pad)

    def answer(self, prompts: list[list[int]], keys: list[int]) -> list[Generation]:
        """Return the answers to prompts, with the keys that theirs are drawn by."""
        start = time.perf_counter()
        ids, mask = lay_out(prompts, self._shared, self._pad, self._model.device)
        more: dict[str, Any] = {}
        if self._known:
            more["past_key_values"] = for_rows(self._known, len(prompts))
        if self._decoding.temperature > 0:
            sampler = KeyedSampler(keys, self._decoding.temperature, self._decoding.top_p)
            more["logits_processor"] = [sampler]
        if stop := self._decoding.stop:
            more["stopping_criteria"] = [StopAtText(self._tokenizer, stop, ids.shape[1])]
        out = run_generate(self._model, ids, mask, self._config, **more)
        each = (time.perf_counter() - start) / len(prompts)
        answers = out[:, ids.shape[1] :].tolist()
        return [
            self._ended(prompt, row, each) for prompt, row in zip(prompts, answers, strict=True)
        ]

    def _ended(self, prompt: list[int], tokens: list[int], seconds: float) -> Generation:
        end = next((i + 1 for i, token in enumerate(tokens) if token in self._stops), None)
        kept = tokens[:end]
        if getattr(self._tokenizer, "chat_template", None):
            text = spell_answer(self._tokenizer, kept, ended=end is not None)
        else:
            text = self._tokenizer.decode(kept, skip_special_tokens=True)
        stops = self._decoding.stop
        thinking = bool(stops) and ends_in_thought(self._tokenizer, prompt)
        cut = find_stop(text, stops, thinking=thinking)
        if end is None and cut is not None:
            # The library fills a row that has ended up with padding.
            while kept and kept[-1] == self._pad:
                kept.pop()
        return Generation(text[:cut], kept, end is None and cut is None, seconds)
