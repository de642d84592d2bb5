"""Templates that ask the same in other words."""

import string
from typing import NamedTuple

CLASSIFICATION: tuple[str, ...] = (
    "{prompt}",
    "{prompt}\n\nAnswer with the label alone.",
    "Text: {prompt}\nLabel:",
    "Read the following and say which label fits it.\n\n{prompt}",
    "INPUT: {prompt}\nOUTPUT:",
    '"{prompt}"\n\nWhich label is this?',
    "### Message\n{prompt}\n\n### Label",
    "Please classify:\n{prompt}",
)
"""Eight, the item's own words first."""


class Listed(NamedTuple):
    """A way to ask a question with its answers listed.

    Attributes:
        text: With ``{question}`` and ``{choices}``.
        mark: How an answer is marked: ``{n}`` is its letter or number.
        numbers: Whether answers are numbered.
        between: What stands between answers.
    """

    text: str
    mark: str = "{n}. "
    numbers: bool = False
    between: str = "\n"

    def names(self, count: int) -> tuple[str, ...]:
        """Return what the answers are called."""
        named = [str(i + 1) for i in range(count)] if self.numbers else string.ascii_uppercase
        return tuple(named[:count])

    def asked(self, question: str, choices: tuple[str, ...]) -> str:
        """Return the question with its answers."""
        marks = (self.mark.replace("{n}", name) for name in self.names(len(choices)))
        listed = self.between.join(m + c for m, c in zip(marks, choices, strict=True))
        # The question may hold the other field's name: what is filled in is not read again.
        before, after = self.text.split("{question}", 1)
        return before.replace("{choices}", listed) + question + after.replace("{choices}", listed)


MULTIPLE_CHOICE: tuple[Listed, ...] = (
    Listed("{question}\n{choices}\nAnswer:"),
    Listed("Question: {question}\nChoices:\n{choices}\nAnswer:", "({n}) "),
    Listed("{question}\n\n{choices}\n\nThe right answer is", "{n}) "),
    Listed("Question: {question}\n{choices}\nCorrect option:", "{n}: "),
    Listed("{question}\n{choices}\nAnswer:", "{n}. ", True),
    Listed("Choose the right answer.\n{question}\n{choices}\nAnswer:", "[{n}] "),
    Listed("Q: {question}\nOptions: {choices}\nA:", "{n}. ", False, "; "),
    Listed("Here are possible answers:\n{choices}\n\nQuestion: {question}\nAnswer:", "{n}. "),
)
"""Eight, the form of MMLU first."""
