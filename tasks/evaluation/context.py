"""What the suites of a run share."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tasks.artifacts import CleanSource, SplitName


@dataclass(frozen=True)
class EvalContext:
    """Which rows, which choice of them, which dtype.

    Attributes:
        split: ``test`` to judge, ``dev`` to choose.
        seed: The recipe's.
        dtype: ``auto``, ``bfloat16`` or ``float32``.
        sources: The sources that suites name, after quality.
    """

    split: SplitName = "test"
    seed: int = 17
    dtype: str = "auto"
    sources: Mapping[str, CleanSource] = field(default_factory=dict)
