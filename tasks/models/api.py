"""What a suite asks of a model, and what it gets: nothing here knows tokenizers or torch.

A suite is given a :class:`Model` and may ask three things of it: an answer to a prompt, the
log-probability of each option after a context, and the nats of a text. Which model it is (weights
of this machine, an endpoint) stays behind :mod:`tasks.models.api`.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

from tasks.errors import EvaluationError
from tasks.progress import Progress
from tasks.storage import digest_of
from tasks.text.reasoning import strip_reasoning
from tasks.text.rows import Message


class Prompt(NamedTuple):
    """What is answered: a conversation, or one message of role ``text`` that is continued as is.

    Attributes:
        messages: The turns; the assistant's is next.
        tools: JSON text of a list of ``{name, description, parameters}``.
    """

    messages: Sequence[Message]
    tools: str | None = None


class Choice(NamedTuple):
    """A context with the options that may follow it.

    Attributes:
        context: Plain text, or a conversation after which the assistant's turn begins.
        options: What follows, with the space it begins with where there is one.
    """

    context: str | Sequence[Message]
    options: tuple[str, ...]


class Text(NamedTuple):
    """A text to be scored whole, or a conversation whose answers are.

    Attributes:
        messages: One message of role ``text``, or a conversation.
        max_tokens: Tokens kept; the rest is left out.
    """

    messages: Sequence[Message]
    max_tokens: int


class Answer(NamedTuple):
    """An answer, or why there is none.

    Attributes:
        text: What the model wrote, special tokens and the stop string left out.
        truncated: Whether it was cut at the most tokens allowed.
        latency_s: Seconds it took, its share of its batch.
        prompt_digest: Digest of what the model was shown (token ids where they are known).
        prompt_tokens: Tokens of the prompt; 0 where the model doesn't say.
        error: Why there is no answer after all attempts; ``text`` is then empty.
    """

    text: str
    truncated: bool
    latency_s: float
    prompt_digest: str
    prompt_tokens: int
    error: str | None = None

    @property
    def said(self) -> str:
        """``text`` without what the model thought first: what a suite judges."""
        return strip_reasoning(self.text)


class ChoiceScores(NamedTuple):
    """How likely each option is after its context.

    Attributes:
        logprobs: Summed log-probability (nats) of each option's tokens.
        bytes: UTF-8 length of each option as given.
        tokens: Tokens of each option.
        greedy: Whether each token of an option is the likeliest one at its place.
        prompt_digest: Digest of context and options as token ids.
        prompt_tokens: Tokens of the context.
        truncated: Whether the context was cut on the left to fit the model.
        latency_s: Seconds it took, its share of its batch.
    """

    logprobs: list[float]
    bytes: list[int]
    tokens: list[int]
    greedy: list[bool]
    prompt_digest: str
    prompt_tokens: int
    truncated: bool
    latency_s: float


class TextScore(NamedTuple):
    """How well a text was predicted.

    Attributes:
        nats: Negative log-probability of the wanted tokens, summed.
        bytes: UTF-8 length of what they spell; 0 where nothing was left to score.
        tokens: Wanted tokens.
        prompt_digest: Digest of the text as token ids.
        prompt_tokens: Tokens of the text, as far as it was kept.
        truncated: Whether it was cut.
        latency_s: Seconds it took, its share of its batch.
    """

    nats: float
    bytes: int
    tokens: int
    prompt_digest: str
    prompt_tokens: int
    truncated: bool
    latency_s: float


@dataclass(frozen=True)
class Decoding:
    """How answers are drawn.

    Attributes:
        max_new_tokens: Tokens of an answer at the most.
        batch_size: Prompts answered at a time.
        temperature: 0 takes the likeliest token each time.
        top_p: Draw from the likeliest tokens that hold this much probability.
        seed: Of the draws; the same prompt with the same seed gives the same answer (in float32
            whatever else is in its batch).
        stop: An answer ends before the first of these strings.
    """

    max_new_tokens: int
    batch_size: int = 32
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()


class Model(Protocol):
    """Any model that can be evaluated."""

    @property
    def digest(self) -> str:
        """Identity of everything that decides its answers; never a path."""

    @property
    def log_probs(self) -> bool:
        """Whether it gives log-probabilities: ``choices`` and ``negative_log_likelihood``."""

    def answers(
        self, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> list[Answer]:
        """Return the answer to each prompt, in their order."""

    def choices(
        self, asked: Sequence[Choice], batch_tokens: int = 2048, progress: Progress | None = None
    ) -> list[ChoiceScores]:
        """Return how likely each option of each context is, in their order."""

    def negative_log_likelihood(
        self, texts: Sequence[Text], batch_tokens: int = 2048, progress: Progress | None = None
    ) -> list[TextScore]:
        """Return how well each text is predicted, in their order."""


# What stands behind the seam: engines that give their results a batch at a time.

Request = Prompt | Choice | Text
R = TypeVar("R", Answer, ChoiceScores, TextScore)
Batch = list[tuple[int, R]]
"""Results of one batch with their places among what was asked."""

NONE: frozenset[int] = frozenset()


class Encoded(NamedTuple):
    """Something asked, as the model will be shown it.

    Attributes:
        digest: Of that: the same digest is the same request.
        payload: What the engine makes of it.
    """

    digest: str
    payload: Any


class Engine(ABC):
    """A model that works through what it is asked in batches.

    How items are batched depends on all that is asked; batches whose places are all in ``skip``
    are left out, so that work that was stopped goes on with the very batches that are missing.
    """

    @property
    @abstractmethod
    def digest(self) -> str:
        """Identity of everything that decides its answers."""

    @property
    @abstractmethod
    def log_probs(self) -> bool:
        """Whether it gives log-probabilities."""

    @property
    def about(self) -> dict[str, Any]:
        """What a run's manifest says of the model: digests, dtype, backend, versions."""
        return {"model": self.digest}

    @property
    def positions(self) -> int | None:
        """Tokens the model can see, prompt and answer together; None where that isn't known."""
        return None

    @abstractmethod
    def encode(self, asked: Sequence[Request]) -> list[Encoded]:
        """Return each request as the model will be shown it."""

    @abstractmethod
    def generate_batches(
        self, asked: Sequence[Encoded], decoding: Decoding, skip: Container[int] = NONE
    ) -> Iterator[Batch[Answer]]:
        """Yield the answers to prompts."""

    def score_choice_batches(
        self, asked: Sequence[Encoded], batch_tokens: int, skip: Container[int] = NONE
    ) -> Iterator[Batch[ChoiceScores]]:
        """Yield how likely the options are."""
        raise no_log_probs()

    def score_text_batches(
        self, asked: Sequence[Encoded], batch_tokens: int, skip: Container[int] = NONE
    ) -> Iterator[Batch[TextScore]]:
        """Yield how well texts are predicted."""
        raise no_log_probs()

    def answers(
        self, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> list[Answer]:
        """Return the answer to each prompt, in their order."""
        asked = self.encode(prompts)
        return gathered(self.generate_batches(asked, decoding), len(asked), progress)

    def choices(
        self, asked: Sequence[Choice], batch_tokens: int = 2048, progress: Progress | None = None
    ) -> list[ChoiceScores]:
        """Return how likely each option of each context is, in their order."""
        encoded = self.encode(asked)
        return gathered(self.score_choice_batches(encoded, batch_tokens), len(encoded), progress)

    def negative_log_likelihood(
        self, texts: Sequence[Text], batch_tokens: int = 2048, progress: Progress | None = None
    ) -> list[TextScore]:
        """Return how well each text is predicted, in their order."""
        encoded = self.encode(texts)
        return gathered(self.score_text_batches(encoded, batch_tokens), len(encoded), progress)


def gathered(parts: Iterator[Batch[R]], total: int, progress: Progress | None) -> list[R]:
    """Return the results of all batches by place, telling how many there are after each."""
    found: dict[int, R] = {}
    for part in parts:
        found |= part
        if progress is not None:
            progress(len(found), total)
    return [found[i] for i in range(total)]


def ids_digest(*sequences: Sequence[int]) -> str:
    """Return the digest of token ids, of which several sequences may be shown together."""
    text = "/".join(" ".join(map(str, ids)) for ids in sequences)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def by_messages(asked: Sequence[Request]) -> list[Encoded]:
    """Return each prompt with the digest of its messages and tools, where tokens aren't seen."""
    if any(not isinstance(one, Prompt) for one in asked):
        raise no_log_probs()
    return [
        Encoded(digest_of([[dict(m) for m in p.messages], p.tools])[:32], p)
        for p in asked
        if isinstance(p, Prompt)
    ]


def no_log_probs() -> EvaluationError:
    """Return what a model that gives no log-probabilities raises when asked for them."""
    return EvaluationError(
        "the model gives answers only, no log-probabilities.",
        where="model",
        fix="evaluate the weights themselves, or take the suites that need them out.",
    )


def no_room(most_new: int, positions: int, where: str) -> EvaluationError:
    """Return what is raised where an answer alone may fill all that a model can see.

    Args:
        most_new: Tokens of an answer at the most.
        positions: Tokens the model can see.
        where: The setting.
    """
    return EvaluationError(
        f"an answer of up to {most_new:,} new tokens leaves no room for a prompt: the model sees "
        f"{positions:,} tokens.",
        where=where,
        fix=f"lower max_new_tokens, far enough below {positions:,} that the prompts fit too.",
    )
