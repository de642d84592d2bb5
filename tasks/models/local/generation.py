"""Answers of a model, in batches of like length."""

import time
from collections.abc import Container, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from transformers import GenerationConfig, LogitsProcessor, StoppingCriteria

from tasks.models.api import Decoding
from tasks.models.local.loading import TorchModel
from tasks.models.local.prefix_cache import for_rows, keys_and_values, shared_prefix
from tasks.progress import Progress
from tasks.text.keyed import key_of, keyed_rank
from tasks.text.reasoning import strip_reasoning
from tasks.text.template import Tokenizer
from tasks.text.thoughts import spell_answer

# Ending an answer at a string.


def first_stop(text: str, stops: Sequence[str]) -> int | None:
    """Return where the first of the stop strings begins in a text; None where there is none."""
    return min((place for s in stops if (place := text.find(s)) >= 0), default=None)


def first_stop_said(text: str, stops: Sequence[str]) -> int | None:
    """Return where the first stop string begins in an answer, its thought left out of account."""
    thought = len(text) - len(strip_reasoning(text))
    place = first_stop(text[thought:], stops)
    return None if place is None else thought + place


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
        done = [
            first_stop(text, self._stops) is not None and self._is_said(row)
            for text, row in zip(texts, input_ids[:, self._prompt :], strict=True)
        ]
        return torch.tensor(done, dtype=torch.bool, device=input_ids.device)

    def _is_said(self, tokens: torch.Tensor) -> bool:
        """Return whether an answer holds a stop string after its thought."""
        text = spell_answer(self._tokenizer, tokens.tolist(), ended=False)
        return first_stop_said(text, self._stops) is not None


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


MIN_SHARED = 8
"""Tokens at the beginning of all prompts from which on they are computed once."""


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


def generate(
    model: TorchModel,
    tokenizer: Tokenizer,
    prompts: Sequence[list[int]],
    decoding: Decoding,
    progress: Progress | None = None,
) -> list[Generation]:
    """Return the model's answer to each prompt, in their order.

    Args:
        model: From ``load_weights``.
        tokenizer: Its tokenizer.
        prompts: Token ids, as from ``prompt_ids``.
        decoding: How to draw.
        progress: Called with prompts answered and their number.
    """
    answers: dict[int, Generation] = {}
    for batch in generating(model, tokenizer, prompts, decoding):
        answers |= batch
        if progress is not None:
            progress(len(answers), len(prompts))
    return [answers[i] for i in range(len(prompts))]


def generating(
    model: TorchModel,
    tokenizer: Tokenizer,
    prompts: Sequence[list[int]],
    decoding: Decoding,
    skip: Container[int] = frozenset(),
) -> Iterator[list[tuple[int, Generation]]]:
    """Yield the answers of one batch after another, with their places among the prompts.

    Batches are made of all prompts; one whose places are all in ``skip`` is left out.
    """
    order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i))
    keys = draw_keys(decoding.seed, prompts)
    answerer = _Answerer(model, tokenizer, decoding, shared_prefix(prompts, MIN_SHARED))
    for start in range(0, len(order), decoding.batch_size):
        batch = order[start : start + decoding.batch_size]
        if all(i in skip for i in batch):
            continue
        made = answerer.answer([prompts[i] for i in batch], [keys[i] for i in batch])
        yield list(zip(batch, made, strict=True))


def stop_ids(model: TorchModel, tokenizer: Tokenizer) -> list[int]:
    """Return the tokens that end an answer: the tokenizer's and the generation config's."""
    configured = model.generation_config.eos_token_id
    listed = configured if isinstance(configured, list) else [configured]
    return sorted({i for i in [tokenizer.eos_token_id, *listed] if i is not None})


class _Answerer:
    """Answers batches of prompts that begin with the same tokens."""

    def __init__(
        self, model: TorchModel, tokenizer: Tokenizer, decoding: Decoding, prefix: list[int]
    ) -> None:
        self._model, self._tokenizer, self._prefix = model, tokenizer, prefix
        with torch.inference_mode():
            self._known = keys_and_values(model, prefix)
        self._stops = stop_ids(model, tokenizer)
        self._pad = tokenizer.pad_token_id
        if self._pad is None:
            self._pad = self._stops[0] if self._stops else 0
        self._decoding, self._config = decoding, _config(decoding, self._stops, self._pad)

    @torch.inference_mode()
    def answer(self, prompts: list[list[int]], keys: list[int]) -> list[Generation]:
        start = time.perf_counter()
        ids, mask = self._inputs(prompts)
        out = self._model.generate(
            input_ids=ids,
            attention_mask=mask,
            generation_config=self._config,
            past_key_values=for_rows(self._known, len(prompts)) if self._known else None,
            logits_processor=self._sampler(keys),
            stopping_criteria=self._stopping(ids.shape[1]),
        )
        each = (time.perf_counter() - start) / len(prompts)
        return [self._ended(row, each) for row in out[:, ids.shape[1] :].tolist()]

    def _inputs(self, prompts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids and attention mask, (rows, tokens): shared tokens, padding, own tokens."""
        shared = len(self._prefix)
        longest = max(map(len, prompts))
        gaps = [longest - len(p) for p in prompts]
        ids = [
            [*self._prefix, *[self._pad] * gap, *p[shared:]]
            for p, gap in zip(prompts, gaps, strict=True)
        ]
        mask = [[1] * shared + [0] * gap + [1] * (longest - shared - gap) for gap in gaps]
        device = self._model.device
        return torch.tensor(ids, device=device), torch.tensor(mask, device=device)

    def _sampler(self, keys: list[int]) -> list[KeyedSampler]:
        if self._decoding.temperature == 0:
            return []
        return [KeyedSampler(keys, self._decoding.temperature, self._decoding.top_p)]

    def _stopping(self, prompt: int) -> list[StopAtText]:
        stop = self._decoding.stop
        return [StopAtText(self._tokenizer, stop, prompt)] if stop else []

    def _ended(self, tokens: list[int], seconds: float) -> Generation:
        end = next((i + 1 for i, token in enumerate(tokens) if token in self._stops), None)
        kept = tokens[:end]
        text = spell_answer(self._tokenizer, kept, ended=end is not None)
        cut = first_stop_said(text, self._decoding.stop)
        if end is None and cut is not None:
            # The library fills a row that has ended up with padding.
            while kept and kept[-1] == self._pad:
                kept.pop()
        return Generation(text[:cut], kept, end is None and cut is None, seconds)


def _config(decoding: Decoding, stops: list[int], pad: int) -> Any:
    """Return the whole of the library's settings: none is left to the model's own defaults."""
    # It always takes the likeliest token; where tokens are drawn, the sampler leaves it only one.
    return GenerationConfig(
        max_new_tokens=decoding.max_new_tokens,
        eos_token_id=stops or None,
        pad_token_id=pad,
        do_sample=False,
        repetition_penalty=1.0,
        num_beams=1,
    )
