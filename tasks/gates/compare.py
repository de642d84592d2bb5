"""Two models side by side on everything both were asked."""

from collections.abc import Sequence

import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from tasks.errors import EvaluationError
from tasks.gates.pairing import Pair, pairs, unmatched
from tasks.gates.slices import Slice, slices
from tasks.metrics.intervals import mcnemar
from tasks.metrics.paired import point
from tasks.metrics.values import Numbers
from tasks.scores import SuiteScores

# Items that two models answer differently, to be read by a person.

SHOWN = 400
"""Characters of an output that are kept."""


class FlippedAnswer(BaseModel):
    """What one model said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prediction: str | None
    output: str | None
    score: float | None


class Flip(BaseModel):
    """An item that one model has right and the other wrong.

    Attributes:
        lost: Whether the first has it right; otherwise the second.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    suite: str
    item_id: str
    form: str
    gold: str | None
    lost: bool
    first: FlippedAnswer
    second: FlippedAnswer


def flips(suite: str, both: Pair, most: int) -> list[Flip]:
    """Return up to ``most`` items lost and as many gained, in the order of item ids.

    An item's ``score`` of 1 is right, of 0 wrong; other scores are no flips.
    """
    columns = ["item_id", "form", "gold", "gold_index", "prediction", "raw_output", "score"]
    before, after = (
        {(r["form"], r["item_id"]): r for r in pq.read_table(s.items, columns=columns).to_pylist()}
        for s in (both.first, both.second)
    )
    found = []
    for lost, scores in ((True, (1.0, 0.0)), (False, (0.0, 1.0))):
        keys = sorted(k for k in before if (before[k]["score"], after[k]["score"]) == scores)
        found += [_flip(suite, lost, before[k], after[k]) for k in keys[:most]]
    return found


def _flip(suite: str, lost: bool, before: dict[str, object], after: dict[str, object]) -> Flip:
    gold = before["gold"] if before["gold"] is not None else before["gold_index"]
    return Flip(
        suite=suite,
        item_id=str(before["item_id"]),
        form=str(before["form"]),
        lost=lost,
        gold=None if gold is None else str(gold),
        first=_answer(before),
        second=_answer(after),
    )


def _answer(row: dict[str, object]) -> FlippedAnswer:
    output = row["raw_output"]
    return FlippedAnswer.model_validate(
        {
            "prediction": row["prediction"],
            "score": row["score"],
            "output": None if output is None else str(output)[:SHOWN],
        }
    )


Scores = Sequence[SuiteScores]


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
        p: McNemar's two-sided mid-p value of these flips; None where items depend on each other
            or aren't marked, and for F1.
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
    p: float | None = None


class Comparison(BaseModel):
    """Two models on all suites that both have.

    Attributes:
        metrics: Every metric.
        slices: Subjects, categories and classes, the worst changes first.
        flips: Items that one has right and the other wrong; of each suite a few, both ways.
        unmatched: Suites that only one of the two has.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metrics: tuple[ComparedMetric, ...]
    slices: tuple[Slice, ...]
    flips: tuple[Flip, ...]
    unmatched: tuple[str, ...]


def comparison(a: Scores, b: Scores, examples: int = 3) -> Comparison:
    """Return everything there is to say about two models' answers.

    Args:
        a: The first's scores.
        b: The second's.
        examples: Items shown of each suite and each direction.

    Raises:
        EvaluationError: They share no suite, or a shared one differs in version or items.
    """
    rows = compare(a, b)
    shared = pairs([s for s in a if not s.aggregate], b)
    return Comparison(
        metrics=tuple(rows),
        slices=tuple(slices(shared)),
        flips=tuple(f for suite, both in shared.items() for f in flips(suite, both, examples)),
        unmatched=tuple(unmatched(a, b)),
    )


def compare(a: Scores, b: Scores) -> list[ComparedMetric]:
    """Return a row for every metric of every suite that both have (see ``pairing.unmatched``).

    A metric without an interval that holds has all that its range allows for one.

    The intervals are one metric's own: with many rows, some exclude zero by chance.

    Raises:
        EvaluationError: They share no suite, or a shared one differs in version or items.
    """
    shared = pairs(a, b)
    if not shared:
        raise EvaluationError(
            "the two share no suite.", where="compare", fix="evaluate both with the same recipe."
        )
    return [
        (_number if both.first.aggregate else _row)(f"{suite}/{name}", name, both)
        for suite, both in shared.items()
        for name in [*both.first.metrics, *both.first.paired_metrics]
    ]


def _number(title: str, name: str, both: Pair) -> ComparedMetric:
    """Return the row of a metric that came without items: between the ends of its range."""
    a, b = both.first.metrics[name], both.second.metrics[name]
    return ComparedMetric(
        metric=title,
        better=both.first.about[name].better,
        a=a.value,
        b=b.value,
        difference=b.value - a.value,
        low=b.low - a.high,
        high=b.high - a.low,
        n=0,
        to_wrong=None,
        to_right=None,
    )


def _row(title: str, name: str, both: Pair) -> ComparedMetric:
    metric, first, second = both.values(name)
    found = both.difference(name, 0.95)
    if not metric.interval:
        low, high = metric.span or (0.0, 1.0)
        found = found._replace(low=low - high, high=high - low, gained=None, lost=None)
    right, wrong = found.gained, found.lost
    plain = first.clusters is None and isinstance(first.data, Numbers)
    if metric.better == "lower":
        right, wrong = wrong, right
    return ComparedMetric(
        metric=title,
        better=metric.better,
        a=point(first),
        b=point(second),
        difference=found.value,
        low=found.low,
        high=found.high,
        n=found.n,
        to_wrong=wrong,
        to_right=right,
        p=mcnemar(right, wrong) if plain and right is not None and wrong is not None else None,
    )
