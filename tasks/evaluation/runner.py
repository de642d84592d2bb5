"""What the runners have in common that put cases of their own to a model."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from tasks.evaluation.items import ItemRow
from tasks.models.api import Answer, Decoding, Model, Prompt
from tasks.progress import Progress
from tasks.storage import digest_of
from tasks.text.overlap import Item
from tasks.text.rows import prompt_text

Case = TypeVar("Case")


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
