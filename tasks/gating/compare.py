"""Two models side by side on everything both were asked."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from tasks.artifacts import SuiteScores
from tasks.errors import EvaluationError
from tasks.gating.pairing import Pair, pairs
from tasks.metrics.samples import point


class ComparedMetric(BaseModel):
    """One metric of both.

    Attributes:
        metric: suite/metric.
        better: Which way is better.
        difference: b minus a.
        low: Lower end of its two-sided 95 % interval.
        high: Upper end.
        n: Items.
        to_wrong: Items that a has right and b wrong; None for metrics without right and wrong.
        to_right: The other way round.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    better: str
    a: float
    b: float
    difference: float
    low: float
    high: float
    n: int
    to_wrong: int | None
    to_right: int | None


def compare(a: Sequence[SuiteScores], b: Sequence[SuiteScores]) -> list[ComparedMetric]:
    """Return a row for every metric of every suite that both have (see ``pairing.unmatched``).

    The intervals are one metric's own: with many rows, some exclude zero by chance.

    Raises:
        EvaluationError: They share no suite, or a shared one differs in version or items.
    """
    shared = pairs(a, b)
    if not shared:
        raise EvaluationError("the two share no suite.", where="compare",
                              fix="evaluate both with the same recipe.")  # fmt: skip
    return [_row(f"{suite}/{name}", name, both)
            for suite, both in shared.items() for name in both.first.metrics]  # fmt: skip


def _row(title: str, name: str, both: Pair) -> ComparedMetric:
    metric, first, second = both.values(name)
    found = both.difference(name, 0.95)
    right, wrong = found.gained, found.lost
    if metric.better == "lower":
        right, wrong = wrong, right
    return ComparedMetric(
        metric=title, better=metric.better, a=point(first), b=point(second),
        difference=found.value, low=found.low, high=found.high, n=found.n,
        to_wrong=wrong, to_right=right,
    )  # fmt: skip
