"""What stands behind the seam: engines that give their results a batch at a time."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Container, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from tasks.errors import EvaluationError
from tasks.inference.seam import Answer, Choice, Chosen, Decoding, Measured, Prompt, Text
from tasks.progress import Progress
from tasks.storage import digest_of

Asked = Prompt | Choice | Text
R = TypeVar("R", Answer, Chosen, Measured)
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
    def encode(self, asked: Sequence[Asked]) -> list[Encoded]:
        """Return each request as the model will be shown it."""

    @abstractmethod
    def answering(
        self, asked: Sequence[Encoded], decoding: Decoding, skip: Container[int] = NONE
    ) -> Iterator[Batch[Answer]]:
        """Yield the answers to prompts."""

    def choosing(
        self, asked: Sequence[Encoded], batch_tokens: int, skip: Container[int] = NONE
    ) -> Iterator[Batch[Chosen]]:
        """Yield how likely the options are."""
        raise no_log_probs()

    def measuring(
        self, asked: Sequence[Encoded], batch_tokens: int, skip: Container[int] = NONE
    ) -> Iterator[Batch[Measured]]:
        """Yield how well texts are predicted."""
        raise no_log_probs()

    def answers(
        self, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> list[Answer]:
        """Return the answer to each prompt, in their order."""
        asked = self.encode(prompts)
        return gathered(self.answering(asked, decoding), len(asked), progress)

    def choices(
        self, asked: Sequence[Choice], batch_tokens: int = 2048, progress: Progress | None = None
    ) -> list[Chosen]:
        """Return how likely each option of each context is, in their order."""
        encoded = self.encode(asked)
        return gathered(self.choosing(encoded, batch_tokens), len(encoded), progress)

    def nats(
        self, texts: Sequence[Text], batch_tokens: int = 2048, progress: Progress | None = None
    ) -> list[Measured]:
        """Return how well each text is predicted, in their order."""
        encoded = self.encode(texts)
        return gathered(self.measuring(encoded, batch_tokens), len(encoded), progress)


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


def by_messages(asked: Sequence[Asked]) -> list[Encoded]:
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
