"""A model made of functions: for tests of a suite, and for trials without weights."""

from collections.abc import Callable, Container, Iterator, Sequence

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
    Text,
    TextScore,
    no_log_probs,
)
from tasks.storage import digest_of

Score = Callable[[str, str], float]
"""Log-probability (nats) of an option after a context; a conversation's texts are joined by
lines."""


class Scripted(Engine):
    """Answers by ``answer`` and scores by ``score``, one item a batch.

    Args:
        answer: From a prompt to the text answered; a ``None`` is an item that can't be answered.
        score: Log-probability of an option; without it the model gives none.
    """

    def __init__(
        self, answer: Callable[[Prompt], str | None] = lambda _: "", score: Score | None = None
    ) -> None:
        self._answer, self._score = answer, score
        self.asked = 0

    @property
    def digest(self) -> str:
        """The same for every scripted model: results of one are not for keeping."""
        return digest_of("scripted")

    @property
    def log_probs(self) -> bool:
        """Whether there is a ``score``."""
        return self._score is not None

    def encode(self, asked: Sequence[Request]) -> list[Encoded]:
        """Return each request with the digest of its words."""
        return [Encoded(digest_of([type(a).__name__, *a])[:32], a) for a in asked]

    def generate_batches(
        self, asked: Sequence[Encoded], decoding: Decoding, skip: Container[int] = NONE
    ) -> Iterator[Batch[Answer]]:
        """Yield what ``answer`` says, cut at the first stop string."""
        for place, (digest, prompt) in enumerate(asked):
            if place not in skip:
                self.asked += 1
                said = self._answer(prompt)
                cut = min(
                    [(said or "").find(s) for s in decoding.stop if s in (said or "")], default=None
                )
                error = "it was not answered" if said is None else None
                yield [
                    (
                        place,
                        Answer(
                            (said or "")[:cut], False, 0.0, digest, _words(prompt.messages), error
                        ),
                    )
                ]

    def score_choice_batches(
        self, asked: Sequence[Encoded], batch_tokens: int, skip: Container[int] = NONE
    ) -> Iterator[Batch[ChoiceScores]]:
        """Yield what ``score`` says of each option."""
        for place, (digest, choice) in enumerate(asked):
            if place not in skip:
                self.asked += 1
                context = _context(choice)
                found = [self._scored(context, option) for option in choice.options]
                yield [
                    (
                        place,
                        ChoiceScores(
                            found,
                            [len(o.encode()) for o in choice.options],
                            [len(o.split()) for o in choice.options],
                            [x == max(found) for x in found],
                            digest,
                            len(context.split()),
                            False,
                            0.0,
                        ),
                    )
                ]

    def score_text_batches(
        self, asked: Sequence[Encoded], batch_tokens: int, skip: Container[int] = NONE
    ) -> Iterator[Batch[TextScore]]:
        """Yield what ``score`` says of each text after nothing."""
        for place, (digest, text) in enumerate(asked):
            if place not in skip:
                self.asked += 1
                yield [(place, self._measured(text, digest))]

    def _scored(self, context: str, option: str) -> float:
        if self._score is None:
            raise no_log_probs()
        return self._score(context, option)

    def _measured(self, text: Text, digest: str) -> TextScore:
        words = "\n".join(m["content"] for m in text.messages)
        tokens = len(words.split())
        return TextScore(
            -self._scored("", words), len(words.encode()), tokens, digest, tokens, False, 0.0
        )


def _words(messages: Sequence[object]) -> int:
    return sum(len(str(m).split()) for m in messages)


def _context(choice: Choice) -> str:
    if isinstance(choice.context, str):
        return choice.context
    return "\n".join(m["content"] for m in choice.context)
