"""Engines that are shown token ids: what is asked, tokenised once."""

import time
from collections.abc import Callable, Container, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from tasks.models.api import (
    NONE,
    Answer,
    Batch,
    Choice,
    ChoiceScores,
    Decoding,
    Encoded,
    Engine,
    Prompt,
    Request,
    TextScore,
    ids_digest,
    no_room,
)
from tasks.models.local.loading import TorchModel, most_positions
from tasks.models.local.spans import Span, common, encode_options, fit
from tasks.text.chat import prompt_ids, render, rendered_prompt
from tasks.text.ending import end_of_turn
from tasks.text.masks import IGNORED
from tasks.text.rows import TEXT_ROLE, Message
from tasks.text.special import encode_texts, special_tokens
from tasks.text.template import Tokenizer


class Options(NamedTuple):
    """A context with its options, as spans; ``cut`` says whether the context was."""

    options: tuple[str, ...]
    spans: list[Span]
    cut: bool


class Tokenized(Engine):
    """An engine whose tokenizer is here.

    Args:
        tokenizer: The model's.
        digest: Identity of what decides the answers.
        about: What that is (digests, dtype, backend).
        positions: Tokens the model can see; None where its config doesn't say.
    """

    log_probs = True
    digest = ""

    def __init__(
        self,
        tokenizer: Tokenizer,
        digest: str = "",
        about: dict[str, Any] | None = None,
        positions: int | None = None,
    ) -> None:
        self._tokenizer, self._positions = tokenizer, positions
        self.digest, self._about = digest, about or {}

    @property
    def about(self) -> dict[str, Any]:
        """Digests, dtype, backend and versions."""
        return self._about

    @property
    def positions(self) -> int | None:
        """Tokens the model can see; None where its config doesn't say."""
        return self._positions

    def fitted(self, prompt: list[int], most_new: int) -> tuple[list[int], bool]:
        """Return a prompt cut on the left so that an answer still fits, and whether it was.

        Raises:
            EvaluationError: The answer alone may fill all the model can see.
        """
        room = len(prompt) if self._positions is None else self._positions - most_new
        if self._positions is not None and room < 1:
            raise no_room(most_new, self._positions, "max_new_tokens")
        return prompt[-room:], len(prompt) > room

    def encode(self, asked: Sequence[Request]) -> list[Encoded]:
        """Return each request as token ids."""
        return [self._encode(one) for one in asked]

    def _encode(self, asked: Request) -> Encoded:
        if isinstance(asked, Prompt):
            ids = answer_ids(self._tokenizer, asked)
            return Encoded(ids_digest(ids), ids)
        if isinstance(asked, Choice):
            fitted = [fit(s, self._positions) for s in option_spans(self._tokenizer, asked)]
            spans, cut = [span for span, _ in fitted], any(over for _, over in fitted)
            starts = [min(span.at) for span in spans]
            return Encoded(
                ids_digest(starts, *(span.ids for span in spans)),
                Options(asked.options, spans, cut),
            )
        most = min(asked.max_tokens, self._positions or asked.max_tokens)
        text = wanted(self._tokenizer, asked.messages, most)
        return Encoded(ids_digest(text.span.at, text.span.ids), text)


def chosen(asked: Encoded, scores: Sequence[tuple[float, bool]], seconds: float) -> ChoiceScores:
    """Return how likely options are.

    Args:
        asked: Of a choice.
        scores: Log-probability (nats) of each option, and whether all its tokens are likeliest.
        seconds: What it took.
    """
    options, spans, cut = asked.payload
    return ChoiceScores(
        [logprob for logprob, _ in scores],
        [len(o.encode()) for o in options],
        [len(span.at) for span in spans],
        [greedy for _, greedy in scores],
        asked.digest,
        min(spans[0].at),
        cut,
        seconds,
    )


def measured(asked: Encoded, nats: float, seconds: float) -> TextScore:
    """Return how well a text was predicted."""
    text: Wanted = asked.payload
    return TextScore(
        nats,
        text.bytes,
        len(text.span.at),
        asked.digest,
        len(text.span.ids),
        text.truncated,
        seconds,
    )


# Requests as token ids: prompts, contexts with options, and texts to be scored whole.


class Wanted(NamedTuple):
    """A text ready to be scored: its span, the bytes that the wanted tokens spell, cut or not."""

    span: Span
    bytes: int
    truncated: bool


def answer_ids(tokenizer: Tokenizer, prompt: Prompt) -> list[int]:
    """Return the tokens that the answer follows; plain text keeps the tokenizer's special ones."""
    if prompt.messages[0]["role"] == TEXT_ROLE:
        return encode_texts(tokenizer, [prompt.messages[0]["content"]])[0]
    return prompt_ids(tokenizer, prompt.messages, prompt.tools)


def option_spans(tokenizer: Tokenizer, asked: Choice) -> list[Span]:
    """Return a context with each of its options as a span, the option's tokens wanted.

    A conversation is rendered up to the assistant's turn; where the option's first token would
    swallow the end of the context, it counts from there.
    """
    if isinstance(asked.context, str):
        return encode_options(tokenizer, asked.context, asked.options)
    before = rendered_prompt(tokenizer, asked.context)
    texts = [before, *(before + option for option in asked.options)]
    alone, *whole = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return [Span(ids, range(min(common(alone, ids), len(ids) - 1), len(ids))) for ids in whole]


def wanted(tokenizer: Tokenizer, messages: Sequence[Message], limit: int) -> Wanted:
    """Return a text's first ``limit`` tokens as a span, and the bytes they spell.

    Plain text begins after the beginning-of-sequence token, as in lm-evaluation-harness's rolling
    log-likelihood, so that its first token counts too. Of a conversation the answers count (the
    last one where the template writes earlier ones otherwise), without the tokens that end a turn,
    since those spell no byte.
    """
    if messages[0]["role"] == TEXT_ROLE:
        return _plain(tokenizer, messages[0]["content"], limit)
    rendered = render(tokenizer, messages)
    special = {*special_tokens(tokenizer).values(), *end_of_turn(tokenizer).ids}
    at = [
        i
        for i, label in enumerate(rendered.labels[:limit])
        if i and label != IGNORED and label not in special
    ]
    cut = len(rendered.input_ids) > limit
    kept = [rendered.input_ids[i] for i in at]
    spelled = tokenizer.decode(kept)
    return Wanted(Span(rendered.input_ids[:limit], at), len(spelled.encode()), cut)


def _plain(tokenizer: Tokenizer, text: str, limit: int) -> Wanted:
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids: list[int] = encoded["input_ids"]
    cut = len(ids) > limit
    end = encoded["offset_mapping"][limit - 1][1] if cut else len(text)
    first = tokenizer.bos_token_id
    first = tokenizer.eos_token_id if first is None else first
    kept = ids[:limit]
    return Wanted(Span([first, *kept], range(1, len(kept) + 1)), len(text[:end].encode()), cut)


# Weights of this machine behind the seam.


class Transformer(Tokenized):
    """A causal language model of transformers with its tokenizer.

    Args:
        load: Returns the model; called when the first batch is computed, so that results found
            whole load nothing.
        given: As of :class:`Tokenized`.
    """

    def __init__(self, load: Callable[[], TorchModel], tokenizer: Tokenizer, **given: Any) -> None:
        super().__init__(tokenizer, **given)
        self._load = load

    @cached_property
    def model(self) -> TorchModel:
        """The model, loaded now if it wasn't."""
        return self._load()

    def generate_batches(
        self, asked: Sequence[Encoded], decoding: Decoding, skip: Container[int] = NONE
    ) -> Iterator[Batch[Answer]]:
        """Yield answers in batches of like length, longest prompts first."""
        if all(i in skip for i in range(len(asked))):
            return
        from tasks.models.local.generation import generating

        fitted = [self.fitted(e.payload, decoding.max_new_tokens) for e in asked]
        prompts = [ids for ids, _ in fitted]
        for batch in generating(self.model, self._tokenizer, prompts, decoding, skip):
            yield [
                (
                    i,
                    Answer(
                        made.text,
                        made.truncated or fitted[i][1],
                        made.latency_s,
                        asked[i].digest,
                        len(asked[i].payload),
                    ),
                )
                for i, made in batch
            ]

    def score_choice_batches(
        self, asked: Sequence[Encoded], batch_tokens: int, skip: Container[int] = NONE
    ) -> Iterator[Batch[ChoiceScores]]:
        """Yield how likely options are; what contexts share is computed once."""
        for batch, each in self._scored([e.payload.spans for e in asked], batch_tokens, skip):
            yield [(i, chosen(asked[i], scores, each)) for i, scores in batch]

    def score_text_batches(
        self, asked: Sequence[Encoded], batch_tokens: int, skip: Container[int] = NONE
    ) -> Iterator[Batch[TextScore]]:
        """Yield how well texts are predicted; one with nothing to score has no bytes."""
        texts: list[Wanted] = [e.payload for e in asked]
        empty = [i for i, text in enumerate(texts) if not text.span.at and i not in skip]
        if empty:
            yield [(i, measured(asked[i], 0.0, 0.0)) for i in empty]
        for batch, each in self._scored([[t.span] for t in texts], batch_tokens, skip):
            yield [(i, measured(asked[i], -scores[0].logprob, each)) for i, scores in batch]

    def _scored(
        self, groups: Sequence[Sequence[Span]], batch_tokens: int, skip: Container[int]
    ) -> Iterator[tuple[list[tuple[int, Any]], float]]:
        """Yield batches of scores with the seconds each item took."""
        if all(i in skip for i in range(len(groups))):
            return
        from tasks.models.local.scoring import scoring

        model, start = self.model, time.perf_counter()
        for batch in scoring(model, groups, batch_tokens, skip):
            yield batch, (time.perf_counter() - start) / len(batch)
            start = time.perf_counter()


def in_memory(model: TorchModel, tokenizer: Tokenizer) -> Transformer:
    """Return a model that is already loaded, without an identity: its results are not for keeping.

    Args:
        model: Of transformers, in evaluation mode.
        tokenizer: Its tokenizer.
    """
    return Transformer(lambda: model, tokenizer, positions=most_positions(model))
