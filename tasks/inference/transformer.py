"""Weights of this machine behind the seam."""

import time
from collections.abc import Callable, Container, Iterator, Sequence
from functools import cached_property
from typing import Any

from tasks.inference.engine import NONE, Asked, Batch, Encoded, Engine, ids_digest
from tasks.inference.loading import TorchModel, most_positions
from tasks.inference.seam import Answer, Choice, Chosen, Decoding, Measured, Prompt
from tasks.inference.spans import Span, fit
from tasks.inference.texts import Wanted, answer_ids, option_spans, wanted
from tasks.text.chat import Tokenizer


class Transformer(Engine):
    """A causal language model of transformers with its tokenizer.

    Args:
        tokenizer: Its tokenizer.
        load: Returns the model; called when the first batch is computed, so that results found
            whole load nothing.
        about: What decides the answers (digests, dtype, backend).
        digest: The digest of that.
        positions: Tokens the model can see; None where its config doesn't say.
    """

    log_probs = True
    digest = ""

    def __init__(
        self, tokenizer: Tokenizer, load: Callable[[], TorchModel], digest: str = "",
        about: dict[str, Any] | None = None, positions: int | None = None,
    ) -> None:  # fmt: skip
        self._tokenizer, self._load, self._positions = tokenizer, load, positions
        self.digest, self._about = digest, about or {}

    @property
    def about(self) -> dict[str, Any]:
        """Digests, dtype, backend and versions."""
        return self._about

    @cached_property
    def model(self) -> TorchModel:
        """The model, loaded now if it wasn't."""
        return self._load()

    def encode(self, asked: Sequence[Asked]) -> list[Encoded]:
        """Return each request as token ids."""
        return [self._encode(one) for one in asked]

    def _encode(self, asked: Asked) -> Encoded:
        if isinstance(asked, Prompt):
            ids = answer_ids(self._tokenizer, asked)
            return Encoded(ids_digest(ids), ids)
        if isinstance(asked, Choice):
            fitted = [fit(s, self._positions) for s in option_spans(self._tokenizer, asked)]
            spans, cut = [span for span, _ in fitted], any(over for _, over in fitted)
            digest = ids_digest([min(spans[0].at)], *(span.ids for span in spans))
            return Encoded(digest, (asked.options, spans, cut))
        text = wanted(self._tokenizer, asked.messages, asked.max_tokens)
        return Encoded(ids_digest(text.span.at, text.span.ids), text)

    def answering(
        self, asked: Sequence[Encoded], decoding: Decoding, skip: Container[int] = NONE
    ) -> Iterator[Batch[Answer]]:
        """Yield answers in batches of like length, longest prompts first."""
        if all(i in skip for i in range(len(asked))):
            return
        from tasks.inference.generation import generating

        prompts = [e.payload for e in asked]
        for batch in generating(self.model, self._tokenizer, prompts, decoding, skip):
            yield [(i, Answer(made.text, made.truncated, made.latency_s, asked[i].digest,
                              len(prompts[i]))) for i, made in batch]  # fmt: skip

    def choosing(
        self, asked: Sequence[Encoded], batch_tokens: int, skip: Container[int] = NONE
    ) -> Iterator[Batch[Chosen]]:
        """Yield how likely options are; what contexts share is computed once."""
        for batch, each in self._scored([e.payload[1] for e in asked], batch_tokens, skip):
            yield [(i, _chosen(asked[i], scores, each)) for i, scores in batch]

    def measuring(
        self, asked: Sequence[Encoded], batch_tokens: int, skip: Container[int] = NONE
    ) -> Iterator[Batch[Measured]]:
        """Yield how well texts are predicted; one with nothing to score has no bytes."""
        texts: list[Wanted] = [e.payload for e in asked]
        empty = [i for i, text in enumerate(texts) if not text.span.at and i not in skip]
        if empty:
            yield [(i, _measured(asked[i], 0.0, 0.0)) for i in empty]
        for batch, each in self._scored([[t.span] for t in texts], batch_tokens, skip):
            yield [(i, _measured(asked[i], -scores[0].logprob, each)) for i, scores in batch]

    def _scored(
        self, groups: Sequence[Sequence[Span]], batch_tokens: int, skip: Container[int]
    ) -> Iterator[tuple[list[tuple[int, Any]], float]]:
        """Yield batches of scores with the seconds each item took."""
        if all(i in skip for i in range(len(groups))):
            return
        from tasks.inference.scoring import scoring

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
    return Transformer(tokenizer, lambda: model, positions=most_positions(model))


def _chosen(asked: Encoded, scores: Sequence[Any], seconds: float) -> Chosen:
    options, spans, cut = asked.payload
    return Chosen(
        [s.logprob for s in scores], [len(o.encode()) for o in options],
        [len(span.at) for span in spans], [s.greedy for s in scores], asked.digest,
        min(spans[0].at), cut, seconds,
    )  # fmt: skip


def _measured(asked: Encoded, nats: float, seconds: float) -> Measured:
    text: Wanted = asked.payload
    return Measured(nats, text.bytes, len(text.span.at), asked.digest, len(text.span.ids),
                    text.truncated, seconds)  # fmt: skip
