"""Engines that are shown token ids: what is asked, tokenised once."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from tasks.inference.spans import Span, fit
from tasks.inference.texts import Wanted, answer_ids, option_spans, wanted
from tasks.models.api import (
    Asked,
    Choice,
    Chosen,
    Encoded,
    Engine,
    Measured,
    Prompt,
    ids_digest,
    no_room,
)
from tasks.text.chat import Tokenizer


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
            starts = [min(span.at) for span in spans]
            return Encoded(
                ids_digest(starts, *(span.ids for span in spans)),
                Options(asked.options, spans, cut),
            )
        most = min(asked.max_tokens, self._positions or asked.max_tokens)
        text = wanted(self._tokenizer, asked.messages, most)
        return Encoded(ids_digest(text.span.at, text.span.ids), text)


def chosen(asked: Encoded, scores: Sequence[tuple[float, bool]], seconds: float) -> Chosen:
    """Return how likely options are.

    Args:
        asked: Of a choice.
        scores: Log-probability (nats) of each option, and whether all its tokens are likeliest.
        seconds: What it took.
    """
    options, spans, cut = asked.payload
    return Chosen(
        [logprob for logprob, _ in scores],
        [len(o.encode()) for o in options],
        [len(span.at) for span in spans],
        [greedy for _, greedy in scores],
        asked.digest,
        min(spans[0].at),
        cut,
        seconds,
    )


def measured(asked: Encoded, nats: float, seconds: float) -> Measured:
    """Return how well a text was predicted."""
    text: Wanted = asked.payload
    return Measured(
        nats,
        text.bytes,
        len(text.span.at),
        asked.digest,
        len(text.span.ids),
        text.truncated,
        seconds,
    )
