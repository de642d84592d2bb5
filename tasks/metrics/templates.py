"""The worst of several prompt templates, bounded whichever it is.

Which template is worst is seen on the same items, so an interval of that one alone is off however
many are asked. What holds is a bound over all of them: the worst template fell by no more than some
template did (an intersection-union test, Berger 1982).
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from tasks.metrics.arrays import codes, reals
from tasks.metrics.intervals import Interval
from tasks.metrics.paired import Difference, difference, interval
from tasks.metrics.values import ItemValues, Numbers

WORST = "worst_accuracy"


def template_marks(table: pa.Table) -> list[ItemValues]:
    """Return right (1) or wrong (0) of every item under each template, the templates in order.

    Items that weren't answered under some template are left out of all.
    """
    forms = sorted(
        (f for f in pc.unique(table["form"]).to_pylist() if f.startswith("under ")),
        key=lambda form: int(form.removeprefix("under ")),
    )
    parts = [table.filter(pc.equal(table["form"], form)) for form in forms]
    answered = [set(p.filter(pc.is_valid(p["score"]))["item_id"].to_pylist()) for p in parts]
    whole = set.intersection(*answered) if answered else set()
    kept = [p.filter(pc.is_in(p["item_id"], pa.array(sorted(whole), pa.string()))) for p in parts]
    return [_marks(rows) for rows in kept if rows.num_rows]


def worst_difference(
    first: Sequence[ItemValues], second: Sequence[ItemValues], confidence: float
) -> Difference:
    """Return how far the worst template's accuracy moved, with an interval that holds.

    Were the second model's worst template any one of them, it can't have fallen below the first's
    worst by more than that template fell: the lower end is the lowest over the templates. Likewise
    above, by the template that was worst at first.
    """
    found = [difference(a, b, confidence) for a, b in zip(first, second, strict=True)]
    before, after = (min(_accuracy(x) for x in side) for side in (first, second))
    lowest = min(found, key=lambda d: d.low)
    return lowest._replace(
        value=after - before,
        low=min(lowest.low, after - before),
        high=max(max(d.high for d in found), after - before),
        gained=None,
        lost=None,
    )


def worst_interval(marks: Sequence[ItemValues], confidence: float) -> Interval:
    """Return the interval of the worst template's accuracy, whichever it is.

    Below by every template's own end; above by ends that hold for all of them at once (Bonferroni).
    """
    strict = 1 - (1 - confidence) / len(marks)
    return Interval(
        min(interval(m, confidence).low for m in marks),
        min(interval(m, strict).high for m in marks),
    )


def _marks(rows: pa.Table) -> ItemValues:
    return ItemValues(
        tuple(rows["item_id"].to_pylist()),
        Numbers(reals(rows, "score", only=(0.0, 1.0)), proportion=True),
        clusters=codes(rows["cluster"].to_pylist(), alone=True),
    )


def _accuracy(marks: ItemValues) -> float:
    assert isinstance(marks.data, Numbers)
    return float(marks.data.values.mean())
