"""The exception tree; every leaf reads as one paragraph with its fix.

TemperError
├── RecipeError                 configs.errors: exit code 2
├── SetupError                  configs.errors: something this machine lacks
├── DataError                   rows that can't be used; exit code 2
│   ├── SourceError             a source can't be found, read or mapped
│   │   └── SourceUnreachable   a store or the hub didn't answer; try again
│   ├── RenderingError          a row that the chat template can't show as it is
│   ├── QualityBlocked          a verdict blocks the run
│   └── InsufficientData        a quota needs more rows than there are
├── TrainingError               the trainer failed or its output is not whole
│   └── Unreachable             a backend does not answer; its job goes on
├── EvaluationError             a suite can't be run or two runs can't be compared
└── StorageError                an artifact is missing or damaged

Unusable is none of them: it is the reason kept beside a row that a source sets aside.
"""

from configs.errors import RecipeError, SetupError, TemperError


class DataError(TemperError):
    """Rows that can't be used as they are."""

    kind = "data"
    exit_code = 2


class SourceError(DataError):
    """A source can't be found, read, or mapped to rows."""

    kind = "source"


class SourceUnreachable(SourceError):
    """A store or the hub didn't answer; the same request may work a little later."""


class Unusable(ValueError):
    """One row can't be converted; the text is the reason kept beside it."""


class RenderingError(DataError):
    """A row that a chat template refuses, leaves part of out, or writes unlike its prompt."""


class QualityBlocked(DataError):
    """A quality verdict blocks the run."""

    kind = "quality"


class InsufficientData(DataError):
    """A quota needs more than a source has."""

    kind = "shortage"


class TrainingError(TemperError):
    """Training failed, or what it left is not whole."""

    kind = "training"


class Unreachable(TrainingError):
    """A backend does not answer; the job goes on without us and is found again."""

    kind = "unreachable"


class EvaluationError(TemperError):
    """A suite can't be run, or two runs can't be compared."""

    kind = "evaluation"


class StorageError(TemperError):
    """An artifact is missing or damaged."""

    kind = "storage"


__all__ = [
    "DataError",
    "EvaluationError",
    "InsufficientData",
    "QualityBlocked",
    "RecipeError",
    "SetupError",
    "SourceError",
    "SourceUnreachable",
    "StorageError",
    "TemperError",
    "TrainingError",
    "Unreachable",
    "Unusable",
]
