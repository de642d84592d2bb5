"""Parts of a suite (subjects, categories, classes) on two models: where to look, never a verdict.

With 57 subjects, three differ "significantly" at 5 % by chance alone. So the p-values of all slices
of a comparison are adjusted together, which bounds the share of false alarms among what is marked
(Benjamini and Hochberg 1995), and no gate rests on a slice.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy import special, stats

from configs.metrics import Metric
from tasks.gates.pairing import Pair
from tasks.metrics.arrays import Bools, Floats, Ints
from tasks.metrics.classes import class_items
from tasks.metrics.intervals import mcnemar, mean_error
from tasks.metrics.values import Numbers, holds_lists

FEWEST = 5
"""Items of a slice; fewer say nothing."""
Names = tuple[str | None, ...]


class Slice(BaseModel):
    """One part of a suite on both models.

    Attributes:
        metric: suite/metric.
        part: Subject or category (``stratum``), or gold answer (``class``).
        difference: Second minus first.
        p: Two-sided: McNemar's mid-p for right and wrong, Student's for other values and for
            dependent items.
        adjusted: The same, adjusted for all slices of the comparison.
        worse: Whether the second is worse on it, in the metric's own direction.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    part: Literal["stratum", "class"]
    name: str
    n: int
    first: float
    second: float
    difference: float
    p: float
    adjusted: float
    worse: bool


class _Values(NamedTuple):
    """A metric's values on both models, item by item, and what the items belong to."""

    metric: Metric
    first: Floats
    second: Floats
    proportion: bool
    clusters: Ints | None
    parts: dict[Literal["stratum", "class"], Names]


def slices(pairs: Mapping[str, Pair], gated: Sequence[str] = ()) -> list[Slice]:
    """Return the slices of every suite, the worst changes first.

    Args:
        pairs: By suite.
        gated: suite/metric of gates; a suite's other metrics are left out but for its first that
            is a mean over items (accuracy, mostly), since many metrics of the same answers would
            only dilute each other.
    """
    found = [
        s
        for suite, both in pairs.items()
        for name in _chosen(suite, both, gated)
        for s in _of_metric(f"{suite}/{name}", _values(both, name))
    ]
    if not found:
        return []
    adjusted = stats.false_discovery_control([s.p for s in found])
    done = [
        s.model_copy(update={"adjusted": float(q)}) for s, q in zip(found, adjusted, strict=True)
    ]
    return sorted(done, key=lambda s: (not s.worse, s.p, s.metric, s.name))


def _chosen(suite: str, both: Pair, gated: Sequence[str]) -> list[str]:
    means = [name for name in both.first.metrics if isinstance(both.values(name)[1].data, Numbers)]
    return [name for i, name in enumerate(means) if i == 0 or f"{suite}/{name}" in gated]


def _values(both: Pair, name: str) -> _Values:
    metric, first, second = both.values(name)
    assert isinstance(first.data, Numbers)
    assert isinstance(second.data, Numbers)
    place = {item: i for i, item in enumerate(second.ids)}
    order = np.array([place[i] for i in first.ids], dtype=np.int64)
    return _Values(
        metric,
        first.data.values,
        second.data.values[order],
        first.data.proportion,
        first.clusters,
        _parts(both, name, first.ids),
    )


def _parts(both: Pair, name: str, ids: tuple[str, ...]) -> dict[Literal["stratum", "class"], Names]:
    """Return what each item belongs to; names that many items have only once are no classes."""
    values = both.values(name)[1]
    rows = {
        r["item_id"]: r
        for r in both.first_items.select(
            [
                c
                for c in ("item_id", "stratum", "cluster", "gold", "form")
                if c in both.first_items.column_names
            ]
        ).to_pylist()
    }
    found: dict[Literal["stratum", "class"], Names] = {}
    if values.strata is not None:
        found["stratum"] = tuple(rows[i].get("stratum") or rows[i]["cluster"] for i in ids)
    classes = class_items(both.first, both.first_items)
    labelled = (
        set() if classes is None or holds_lists(classes) else set(classes["item_id"].to_pylist())
    )
    if labelled.issuperset(ids):
        found["class"] = tuple(rows[i]["gold"] for i in ids)
        if found.get("stratum") == found["class"]:
            del found["stratum"]
    return found


def _of_metric(title: str, values: _Values) -> list[Slice]:
    return [
        _slice(title, part, name, values, at)
        for part, names in values.parts.items()
        for name in sorted({n for n in names if n is not None})
        if (at := np.array([n == name for n in names])).sum() >= FEWEST
    ]


def _slice(
    title: str, part: Literal["stratum", "class"], name: str, values: _Values, at: Bools
) -> Slice:
    first, second = values.first[at], values.second[at]
    change = float(second.mean() - first.mean())
    p = _p(values, at)
    sign = 1 if values.metric.better == "higher" else -1
    return Slice(
        metric=title,
        part=part,
        name=name,
        n=int(at.sum()),
        first=float(first.mean()),
        second=float(second.mean()),
        difference=change,
        p=p,
        adjusted=p,
        worse=sign * change < 0,
    )


def _p(values: _Values, at: Bools) -> float:
    gained = values.second[at] - values.first[at]
    clusters = values.clusters
    if clusters is None and values.proportion:
        return mcnemar(int((gained > 0).sum()), int((gained < 0).sum()))
    own = None if clusters is None else np.unique(clusters[at], return_inverse=True)[1]
    if not gained.any() or (own is not None and own.max() == 0):
        return 1.0
    error = mean_error(gained, None, own)
    if error.se == 0:
        return 0.0
    return float(2 * special.stdtr(error.df, -math.fabs(gained.mean() / error.se)))
