"""What one benchmark is: two ways to do the same work."""

from collections.abc import Callable
from typing import NamedTuple


class Benchmark(NamedTuple):
    """Two ways to do the same work.

    Attributes:
        units: Units of work one call does; both sides do as many.
        target: Ratio to reach.
    """

    metric: str
    units: int
    ours: Callable[[], object]
    peer: Callable[[], object]
    peer_name: str
    target: float


class Limit(NamedTuple):
    """Something that no peer does, held to a limit.

    Attributes:
        figures: Measures once and returns figures by name.
        judged: The figure that ``most`` limits.
    """

    metric: str
    figures: Callable[[], dict[str, float]]
    judged: str
    most: float
