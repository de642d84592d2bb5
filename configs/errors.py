"""Errors a person can act on: what is wrong, where, and the fix.

TemperError
├── RecipeError          the recipe (or an override) is wrong; nothing was loaded yet
├── SetupError           something this machine lacks, with the command that mends it
└── (tasks.errors continues the tree for data, training and evaluation)
"""

from typing import ClassVar


class TemperError(Exception):
    """Base of every expected failure.

    Attributes:
        kind: Stable machine-readable name of the class of failure.
        message: What is wrong, one sentence.
        where: File, line, YAML path or row that is to blame; may be empty.
        fix: What to change, one sentence; may be empty.
    """

    kind: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, where: str = "", fix: str = "") -> None:
        self.message, self.where, self.fix = message, where, fix
        super().__init__(self.paragraph())

    def paragraph(self) -> str:
        """Return the failure as one readable paragraph."""
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.message}" + (f" Fix: {self.fix}" if self.fix else "")

    def as_dict(self) -> dict[str, str]:
        """Return the ``error`` object of the ``--json`` contract."""
        return {"kind": self.kind, "message": self.message, "where": self.where, "fix": self.fix}

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross process and result-store borders, where keyword arguments must survive.
        return (_rebuild, (type(self), self.message, self.where, self.fix))


def _rebuild(cls: type[TemperError], message: str, where: str, fix: str) -> TemperError:
    return cls(message, where=where, fix=fix)


class RecipeError(TemperError):
    """The recipe can't be used as written."""

    kind = "recipe"
    exit_code = 2


class SetupError(TemperError):
    """This machine lacks something the recipe needs."""

    kind = "setup"
    exit_code = 1
