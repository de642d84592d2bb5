"""A model that is asked everything at once elsewhere: what it will be asked, its answers replayed.

Some services take a file of prompts and leave a file of answers. So a suite is sat with answers
that mean nothing, to learn its prompts, and sat again with the true ones.
"""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tasks.errors import EvaluationError
from tasks.models.api import (
    NONE,
    Answer,
    Batch,
    Decoding,
    Encoded,
    Engine,
    Model,
    Prompt,
    Request,
    by_messages,
)
from tasks.storage import digest_of


class RecordedPrompts(NamedTuple):
    """What a suite asks of a model.

    Attributes:
        prompts: By digest; the same prompt is asked once.
        max_new_tokens: Tokens of an answer at the most.
    """

    prompts: dict[str, Prompt]
    max_new_tokens: int


class _Whole(Engine):
    """A model that sees messages, not tokens."""

    log_probs = False

    def encode(self, asked: Sequence[Request]) -> list[Encoded]:
        """Return each prompt with the digest of its messages."""
        return by_messages(asked)


class PromptRecorder(_Whole):
    """Answers everything alike and notes what it was asked."""

    def __init__(self, answer: str) -> None:
        self._answer = answer
        self.noted = RecordedPrompts({}, 0)

    @property
    def digest(self) -> str:
        """Of no model."""
        return digest_of(["noting", self._answer])

    def generate_batches(
        self, asked: Sequence[Encoded], decoding: Decoding, skip: Container[int] = NONE
    ) -> Iterator[Batch[Answer]]:
        """Yield the one answer."""
        self.noted = RecordedPrompts(
            {**self.noted.prompts, **{one.digest: one.payload for one in asked}},
            max(self.noted.max_new_tokens, decoding.max_new_tokens),
        )
        yield [(i, Answer(self._answer, False, 0.0, one.digest, 0)) for i, one in enumerate(asked)]


def record_prompts(run: Callable[[Model], object], where: str) -> RecordedPrompts:
    """Return all that a suite asks of a model.

    Args:
        run: Puts the suite to a model.
        where: The suite's place in the recipe.

    Raises:
        EvaluationError: It asks for log-probabilities, or what it asks depends on the answers.
    """
    first, second = PromptRecorder("one"), PromptRecorder("another")
    run(first)
    run(second)
    if first.noted.prompts.keys() != second.noted.prompts.keys():
        raise EvaluationError(
            "what the suite asks depends on the answers, and this model takes "
            "all its prompts at once.",
            where=where,
            fix="take the suite out for this model.",
        )
    return first.noted


class Replayed(_Whole):
    """Gives back answers that were had before, each cut where it was to stop.

    Args:
        digest: Identity of the model and of how the answers were drawn.
        said: Answer by the prompt's digest; a prompt without one is an item with an error.
        about: What a run's manifest says of the model.
    """

    def __init__(self, digest: str, said: Mapping[str, str], about: Mapping[str, Any]) -> None:
        self._digest, self._said, self._about = digest, said, dict(about)

    @property
    def digest(self) -> str:
        """Identity of the model and of how the answers were drawn."""
        return self._digest

    @property
    def about(self) -> dict[str, Any]:
        """What the manifest says of the model."""
        return self._about

    def generate_batches(
        self, asked: Sequence[Encoded], decoding: Decoding, skip: Container[int] = NONE
    ) -> Iterator[Batch[Answer]]:
        """Yield the answers."""
        yield [(i, self._answer(one, decoding)) for i, one in enumerate(asked) if i not in skip]

    def _answer(self, one: Encoded, decoding: Decoding) -> Answer:
        text = self._said.get(one.digest)
        if text is None:
            return Answer("", False, 0.0, one.digest, 0, "no answer came back")
        cuts = [at for stop in decoding.stop if (at := text.find(stop)) >= 0]
        return Answer(text[: min(cuts, default=len(text))], False, 0.0, one.digest, 0)
