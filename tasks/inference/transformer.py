"""Weights of this machine behind the seam."""

import time
from collections.abc import Callable, Container, Iterator, Sequence
from functools import cached_property
from typing import Any

from tasks.inference.loading import TorchModel, most_positions
from tasks.inference.spans import Span
from tasks.inference.texts import Wanted
from tasks.inference.tokenized import Tokenized, chosen, measured
from tasks.models.api import NONE, Answer, Batch, Chosen, Decoding, Encoded, Measured
from tasks.text.chat import Tokenizer


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

    def answering(
        self, asked: Sequence[Encoded], decoding: Decoding, skip: Container[int] = NONE
    ) -> Iterator[Batch[Answer]]:
        """Yield answers in batches of like length, longest prompts first."""
        if all(i in skip for i in range(len(asked))):
            return
        from tasks.inference.generation import generating

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

    def choosing(
        self, asked: Sequence[Encoded], batch_tokens: int, skip: Container[int] = NONE
    ) -> Iterator[Batch[Chosen]]:
        """Yield how likely options are; what contexts share is computed once."""
        for batch, each in self._scored([e.payload.spans for e in asked], batch_tokens, skip):
            yield [(i, chosen(asked[i], scores, each)) for i, scores in batch]

    def measuring(
        self, asked: Sequence[Encoded], batch_tokens: int, skip: Container[int] = NONE
    ) -> Iterator[Batch[Measured]]:
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
    return Transformer(lambda: model, tokenizer, positions=most_positions(model))
