"""Errors a person can act on: what is wrong, where, and the fix.

TemperError
├── RecipeError          the recipe (or an override) is wrong; nothing was loaded yet
├── SetupError           something this machine lacks, with the command that mends it
└── (tasks.errors continues the tree for data, training and evaluation)
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from configs.display import displayable
from configs.redaction import redact


class TemperError(Exception):
    """Base of every expected failure.

    Attributes:
        kind: Stable machine-readable name of the class of failure.
        message: What is wrong, one sentence.
        where: File, line, YAML path or row that is to blame; may be empty.
        fix: What to change, one sentence; may be empty.
        more: Other failures that were found with it; each is told in a paragraph of its own.
    """

    kind: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        where: str = "",
        fix: str = "",
        more: "Sequence[TemperError]" = (),
    ) -> None:
        # What is wrong often stands in the text itself: an address with a password, a file's name.
        self.message, self.where, self.fix = (
            displayable(redact(text)) for text in (message, where, fix)
        )
        self.more = tuple(more)
        super().__init__(self.paragraph())

    def paragraph(self) -> str:
        """Return the failure as one readable paragraph; others found with it follow as lines."""
        place = f"{self.where}: " if self.where else ""
        own = f"{place}{self.message}" + (f" Fix: {self.fix}" if self.fix else "")
        return "\n".join([own, *(other.paragraph() for other in self.more)])

    def as_dict(self) -> dict[str, Any]:
        """Return the ``error`` object of the ``--json`` contract."""
        own = {"kind": self.kind, "message": self.message, "where": self.where, "fix": self.fix}
        return own | ({"more": [other.as_dict() for other in self.more]} if self.more else {})

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross process and result-store borders, where keyword arguments must survive.
        return (_rebuild, (type(self), self.message, self.where, self.fix, self.more))


def _rebuild(
    cls: type[TemperError], message: str, where: str, fix: str, more: tuple[TemperError, ...]
) -> TemperError:
    return cls(message, where=where, fix=fix, more=more)


class RecipeError(TemperError):
    """The recipe can't be used as written."""

    kind = "recipe"
    exit_code = 2


class SetupError(TemperError):
    """This machine lacks something the recipe needs."""

    kind = "setup"
    exit_code = 1
