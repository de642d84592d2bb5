"""What the runners have in common that put cases of their own to a model."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from tasks.evaluation.items import PROMPT_KEPT, ItemRow
from tasks.models.api import (
    Answer,
    Choice,
    ChoiceScores,
    Decoding,
    Model,
    Prompt,
    Text,
    TextScore,
)
from tasks.progress import Progress
from tasks.storage import digest_of
from tasks.text.overlap import Item
from tasks.text.rows import Message, prompt_text

Case = TypeVar("Case")


class PromptKeeper:
    """A model that remembers what it was asked, by the prompts' digests, for people to read.

    Args:
        model: What answers.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._asked: dict[str, str] = {}

    @property
    def digest(self) -> str:
        """The model's."""
        return self._model.digest

    @property
    def log_probs(self) -> bool:
        """Whether the model gives log-probabilities."""
        return self._model.log_probs

    def answers(
        self, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> list[Answer]:
        """Return the answer to each prompt, in their order."""
        found = self._model.answers(prompts, decoding, progress)
        for prompt, answer in zip(prompts, found, strict=True):
            self._keep(answer.prompt_digest, prompt.messages)
        return found

    def choices(
        self, asked: Sequence[Choice], batch_tokens: int = 2048, progress: Progress | None = None
    ) -> list[ChoiceScores]:
        """Return how likely each option of each context is, in their order."""
        found = self._model.choices(asked, batch_tokens, progress)
        for choice, scores in zip(asked, found, strict=True):
            self._keep(scores.prompt_digest, choice.context)
        return found

    def negative_log_likelihood(
        self, texts: Sequence[Text], batch_tokens: int = 2048, progress: Progress | None = None
    ) -> list[TextScore]:
        """Return how well each text is predicted, in their order."""
        found = self._model.negative_log_likelihood(texts, batch_tokens, progress)
        for text, score in zip(texts, found, strict=True):
            self._keep(score.prompt_digest, text.messages)
        return found

    def add_prompts(self, rows: Sequence[ItemRow]) -> list[ItemRow]:
        """Return a suite's rows with the end of what was asked of each, where it is known."""
        return [row._replace(prompt=self._asked.get(row.prompt_digest)) for row in rows]

    def _keep(self, digest: str, context: str | Sequence[Message]) -> None:
        if isinstance(context, str):
            text = context
        elif len(context) == 1:
            text = context[0]["content"]
        else:
            text = "\n".join(f"{m['role']}: {m['content']}" for m in context)
        self._asked[digest] = text[-PROMPT_KEPT:]


class HasDecoding(Protocol):
    """A suite's section that says how answers are drawn."""

    @property
    def max_new_tokens(self) -> int:
        """Tokens of an answer at the most."""

    @property
    def batch_size(self) -> int:
        """Prompts answered at a time."""


Suite = TypeVar("Suite")
Writing = TypeVar("Writing", bound=HasDecoding)


@dataclass(frozen=True)
class CaseRunner(ABC, Generic[Suite, Case]):
    """A suite's cases, each with its item's id; see :class:`tasks.evaluation.items.SuiteRunner`."""

    suite: Suite
    cases: Sequence[tuple[str, Case]]

    @property
    def ids(self) -> list[str]:
        """The items' ids."""
        return [item for item, _ in self.cases]

    @property
    def content(self) -> str:
        """Digest of the items."""
        return digest_of(self.ids)

    @property
    def labels(self) -> tuple[str, ...] | None:
        """None: there is no fixed label list."""
        return None

    @property
    def needs(self) -> Literal["answers", "log_probs"]:
        """Answers."""
        return "answers"

    @abstractmethod
    def run(self, model: Model, progress: Progress | None = None) -> list[ItemRow]:
        """Put every item to the model and return its rows."""

    @abstractmethod
    def overlap(self) -> list[str | Item]:
        """Return what training rows may not hold."""


class AnswersRunner(CaseRunner[Writing, Case]):
    """Cases that a model answers one by one, greedily decoded."""

    @property
    def decoding(self) -> Decoding:
        """How answers are drawn."""
        return Decoding(self.suite.max_new_tokens, self.suite.batch_size)

    @abstractmethod
    def prompt(self, case: Case) -> Prompt:
        """Return what a case asks."""

    @abstractmethod
    def rows(self, item: str, case: Case, answer: Answer) -> list[ItemRow]:
        """Return the rows of a case that was put to the model."""

    def answers(self, model: Model, progress: Progress | None = None) -> list[Answer]:
        """Return the model's answers, in the order of the cases."""
        return model.answers([self.prompt(c) for _, c in self.cases], self.decoding, progress)

    def run(self, model: Model, progress: Progress | None = None) -> list[ItemRow]:
        """Put every case to the model and return the rows that ``rows`` makes of each."""
        answers = self.answers(model, progress)
        return [
            row
            for (item, case), answer in zip(self.cases, answers, strict=True)
            for row in self.rows(item, case, answer)
        ]

    def overlap(self) -> list[str | Item]:
        """Return what is asked, a line a turn."""
        return [prompt_text(self.prompt(case).messages) for _, case in self.cases]
