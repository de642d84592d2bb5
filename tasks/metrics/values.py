"""What a metric needs of every item, read from a suite's per-item table."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import special

from configs.metrics import DIVERGENCE, Metric, Reading
from tasks.errors import EvaluationError
from tasks.metrics.arrays import Floats, Ints, codes, integers, matrix, reals
from tasks.metrics.calibration import brier, calibration
from tasks.metrics.f1 import INVALID, Average, LabelledItems
from tasks.metrics.label_sets import cut, label_sets, level_labels
from tasks.metrics.pooled import Pooled, quotient
from tasks.metrics.text_scores import bleu


@dataclass(frozen=True)
class Numbers:
    """A value an item; the metric is their mean.

    Attributes:
        values: float64, shape (items,).
        proportion: Whether each is 0 or 1.
        span: Ends of what a value can be, where they are finite and known.
        corrected: Whether they are what each item adds to a rate with its detector's error taken
            out (:mod:`tasks.metrics.correction`).
        clipped: Share of items whose value lay beyond the span and counts as its end.
    """

    values: Floats
    proportion: bool = False
    span: tuple[float, float] | None = None
    corrected: bool = False
    clipped: float = 0.0


@dataclass(frozen=True)
class Ratio:
    """Two sums, the metric being numerator over denominator; both float64, shape (items,).

    ``span`` are the ends of what one item's quotient can be, where they are known; ``clipped`` is
    the share of items that lay beyond them.
    """

    numerator: Floats
    denominator: Floats
    span: tuple[float, float] | None = None
    clipped: float = 0.0


@dataclass(frozen=True)
class ItemValues:
    """A metric's items.

    Attributes:
        ids: Item ids, unique, in table order.
        data: What the metric is computed from.
        strata: Stratum of each item (0-based codes), or None: one stratum.
        clusters: Cluster of dependent items (0-based codes), or None: all independent.
    """

    ids: tuple[str, ...]
    data: Numbers | Ratio | LabelledItems | Pooled
    strata: Ints | None = None
    clusters: Ints | None = None

    def __len__(self) -> int:
        return len(self.ids)


Data = Numbers | Ratio | LabelledItems | Pooled
Read = Callable[[pa.Table, Metric], Data]
"""From a metric's items, and what the suite says of it, to what it is computed from."""


def item_values(table: pa.Table, metric_name: str, metric: Metric) -> ItemValues:
    """Return what a metric needs of every item.

    Items of the metric's own forms count, and no others: a suite's table may hold the letters and
    the cloze form of each question. A metric without forms is over the items that have a score of
    its name. ``stratum`` is a part of the design (a subject), ``cluster`` joins dependent items (a
    dialogue, a passage); one that is equal to the reference of each item is a class: what is asked,
    and no reason for its items to fail together.

    Args:
        table: A suite's items.
        metric_name: The metric.
        metric: What the suite says of it.

    Raises:
        EvaluationError: No item has such a score, there are no items of its forms, an id twice, or
            a value that is missing or not finite.
    """
    rows, data = _read(table, metric_name, metric)
    ids = tuple(rows["item_id"].to_pylist())
    if len(set(ids)) < len(ids):
        raise EvaluationError(
            f"an item id occurs twice among the {rows['form'][0]} items.",
            where=metric_name,
            fix="evaluate the suite anew.",
        )
    groups = rows["cluster"].to_pylist()
    strata = rows["stratum"].to_pylist() if "stratum" in rows.column_names else [None]
    if any(s is not None for s in strata):
        return ItemValues(ids, data, codes(strata, alone=False), codes(groups, alone=True))
    if groups == rows["gold"].to_pylist():
        return ItemValues(ids, data, strata=codes(groups, alone=False))
    return ItemValues(ids, data, clusters=codes(groups, alone=True))


def aligned(first: ItemValues, second: ItemValues) -> ItemValues:
    """Return ``second`` in the order of ``first``'s items.

    Raises:
        EvaluationError: An item is in one and not in the other.
    """
    if first.ids == second.ids:
        return second
    gone = sorted(set(first.ids) - set(second.ids))
    new = sorted(set(second.ids) - set(first.ids))
    if gone or new:
        raise EvaluationError(
            f"the two don't have the same items: {len(gone)} only in the first{_some(gone)}, "
            f"{len(new)} only in the second{_some(new)}.",
            where="pairing",
            fix="evaluate both on the same suite.",
        )
    place = {item: i for i, item in enumerate(second.ids)}
    order = np.array([place[item] for item in first.ids], dtype=np.int64)
    arrays = {
        f.name: getattr(second.data, f.name)[order]
        for f in fields(second.data)
        if isinstance(getattr(second.data, f.name), np.ndarray)
    }
    return ItemValues(first.ids, replace(second.data, **arrays), first.strata, first.clusters)


def _some(ids: list[str]) -> str:
    return f" ({', '.join(ids[:3])}{', ...' if len(ids) > 3 else ''})" if ids else ""


def _read(table: pa.Table, name: str, metric: Metric) -> tuple[pa.Table, Data]:
    """Return a metric's items and what it is computed from, with what the suite says of it."""
    if metric.read is None:
        scores = pa.nulls(len(table), pa.float64())
        if "scores" in table.column_names:
            scores = pc.map_lookup(table["scores"], pa.scalar(name), "first")
        if scores.null_count == len(scores):
            raise EvaluationError(
                f"there is no metric '{name}'.",
                where="metrics",
                fix="use a score that the suite's items have, or evaluate the suite anew.",
            )
        rows, proportion = table.filter(pc.is_valid(scores)), metric.estimator == "proportion"
        named = rows.select(["item_id", "suite"]).append_column(
            name, scores.filter(pc.is_valid(scores))
        )
        data: Data = Numbers(reals(named, name, only=(0.0, 1.0) if proportion else ()), proportion)
    else:
        rows = of_form(table, metric.forms, name)
        data = READERS[metric.read](rows, metric)
    if isinstance(data, Ratio):
        return rows, clipped_ratio(data, metric.span)
    if not isinstance(data, Numbers) or data.proportion:
        return rows, data
    if metric.estimator == "corrected":
        return rows, replace(data, corrected=True)
    return rows, clipped(data, metric.span)


def clipped(data: Numbers, span: tuple[float, float] | None) -> Numbers:
    """Return the values with those beyond the ends of a span set to them, and the share of such."""
    if span is None:
        return data
    values = np.clip(data.values, *span)
    return replace(data, values=values, span=span, clipped=float((values != data.values).mean()))


def clipped_ratio(data: Ratio, span: tuple[float, float] | None) -> Ratio:
    """Return the two sums with no item's quotient beyond the span, and the share that was."""
    if span is None:
        return data
    top = np.clip(data.numerator, span[0] * data.denominator, span[1] * data.denominator)
    return replace(data, numerator=top, span=span, clipped=float((top != data.numerator).mean()))


def of_form(table: pa.Table, forms: tuple[str, ...], metric_name: str) -> pa.Table:
    """Return a metric's items.

    Raises:
        EvaluationError: There are none.
    """
    rows = table.filter(pc.is_in(table["form"], pa.array(forms, pa.string())))
    if not rows.num_rows:
        raise EvaluationError(
            f"the table has no items of form {' or '.join(forms)}.",
            where=metric_name,
            fix="evaluate the suite with that form, or leave the metric out.",
        )
    return rows


def divergence(table: pa.Table, other: pa.Table, form: str) -> tuple[ItemValues, ItemValues]:
    """Return KL(first || second) over the options of each item of a form, in nats.

    Args:
        table: The first model's items.
        other: The second's.
        form: Letters, or texts, which are taken per byte.

    Returns:
        Nothing for each item of the first, and its divergence for the second.

    Raises:
        EvaluationError: There are no items of that form, or not the same ones.
    """
    tables = [of_form(t, (form,), "kl_from_base") for t in (table, other)]
    of = _per_byte if form == "cloze" else _choices
    gold = Metric("higher", "mean", forms=(form,), read="gold_logprob")
    first, second = (item_values(t, "kl_from_base", gold) for t in tables)
    place = {item: i for i, item in enumerate(second.ids)}
    if set(place) != set(first.ids):
        aligned(first, second)
    logs = [of(tables[0]), of(tables[1])[[place[item] for item in first.ids]]]
    logs = [x - special.logsumexp(x, axis=1, keepdims=True) for x in logs]
    there = np.isfinite(logs[0])
    apart = np.where(there, np.exp(logs[0]) * np.where(there, logs[0] - logs[1], 0.0), 0.0)
    found = clipped(Numbers(np.maximum(apart.sum(axis=1), 0.0)), DIVERGENCE)
    same = replace(first, data=Numbers(np.zeros(len(first)), span=DIVERGENCE))
    return same, replace(first, data=found)


# What reads a metric from the columns of its items.


def _choices(rows: pa.Table) -> Floats:
    return matrix(rows, "choice_logprobs")


def _per_byte(rows: pa.Table) -> Floats:
    sizes = matrix(rows, "choice_bytes", pad=1.0)
    return _choices(rows) / np.maximum(sizes, 1.0)


def advantages(scores: Floats) -> Floats:
    """Return each option's score less the mean over the item's options, each option's mean removed.

    A letter that a model likes whatever is asked adds nothing.
    """
    there = np.isfinite(scores)
    own = np.where(there, scores, 0.0)
    own = np.where(
        there, own - own.sum(axis=1, keepdims=True) / there.sum(axis=1, keepdims=True), 0
    )
    sizes = there.sum(axis=1)
    for size in np.unique(sizes):
        at = sizes == size
        own[at] -= own[at].mean(axis=0)
    return np.asarray(np.where(there, own, 0.0))


def _gold(scores: Floats, rows: pa.Table) -> Floats:
    return np.take_along_axis(scores, integers(rows, "gold_index")[:, None], axis=1)[:, 0]


def _gold_value(of: Callable[[pa.Table], Floats]) -> Read:
    return lambda rows, _: Numbers(_gold(of(rows), rows))


def _margin(of: Callable[[pa.Table], Floats]) -> Read:
    def read(rows: pa.Table, _: Metric) -> Numbers:
        scores = of(rows)
        others = scores.copy()
        np.put_along_axis(others, integers(rows, "gold_index")[:, None], -np.inf, axis=1)
        return Numbers(_gold(scores, rows) - others.max(axis=1))

    return read


def _likeliest_per_byte(rows: pa.Table, _: Metric) -> Numbers:
    best = _per_byte(rows).argmax(axis=1)
    return Numbers((best == integers(rows, "gold_index")).astype(np.float64), proportion=True)


def _invalid(rows: pa.Table, _: Metric) -> Numbers:
    missing = np.asarray(pc.is_null(rows["prediction"]).to_numpy(), dtype=np.float64)
    return Numbers(missing, proportion=True)


def _bits(rows: pa.Table, _: Metric) -> Ratio:
    sizes = reals(rows, "bytes")
    if (sizes <= 0).any():
        raise EvaluationError(
            "a text has no bytes.", where="bits_per_byte", fix="leave empty texts out."
        )
    return Ratio(reals(rows, "nats") / math.log(2), sizes)


def named_scores(rows: pa.Table) -> list[Mapping[str, float]]:
    """Return the named scores of each item."""
    return [dict(scores or []) for scores in rows["scores"].to_pylist()]


def holds_lists(rows: pa.Table) -> bool:
    """Return whether the items have a list of labels each: they then count those meant."""
    if "scores" not in rows.column_names:
        return False
    return bool(
        pc.any(pc.is_valid(pc.map_lookup(rows["scores"], pa.scalar("meant"), "first"))).as_py()
    )


def _quotient(top: str, bottom: tuple[str, ...], times: int = 1) -> Read:
    """Return the reader of one sum over others, of items with a list of labels each."""

    def read(rows: pa.Table, metric: Metric) -> Pooled:
        name = top if metric.level is None else f"{top}_e{metric.level}"
        scores = named_scores(rows)
        return quotient(
            [times * s[name] for s in scores], [sum(s[x] for x in bottom) for s in scores]
        )

    return read


def _averaged_f1(average: Literal["macro", "weighted"]) -> Read:
    def read(rows: pa.Table, metric: Metric) -> LabelledItems | Pooled:
        if holds_lists(rows):
            return label_sets(rows, average, metric.level)
        return one_label(rows, metric.level, average)

    return read


def _micro_f1(rows: pa.Table, metric: Metric) -> Data:
    if holds_lists(rows):
        return _quotient("right", ("said", "meant"), 2)(rows, metric)
    return one_label(rows, metric.level, "micro")


def one_label(rows: pa.Table, level: int | None, average: Average) -> LabelledItems:
    """Return reference and prediction of items with one label each, at a level of their paths.

    Raises:
        EvaluationError: A reference isn't in the table's label list.
    """
    references = rows["gold"].to_pylist()
    stored = (rows.schema.metadata or {}).get(b"labels")
    known: list[str] = json.loads(stored) if stored else sorted(set(references))
    labels = level_labels(known, level)
    index = {label: code for code, label in enumerate(labels)}
    cuts = [None if x is None else cut(x, level) for x in references]
    strange = sorted({str(x) for x in cuts if x not in index})
    if strange:
        raise EvaluationError(
            f"gold label '{strange[0]}' is not in the suite's label list.",
            where="labels",
            fix="add it to the suite's labels:, or correct the rows.",
        )
    predictions = [
        INVALID if label is None else index.get(cut(label, level), INVALID)
        for label in rows["prediction"].to_pylist()
    ]
    return LabelledItems(
        np.array([index[x] for x in cuts if x is not None], np.int64),
        np.array(predictions, np.int64),
        tuple(labels),
        average,
    )


READERS: dict[Reading, Read] = {
    "score": lambda rows, _: Numbers(reals(rows, "score", only=(0.0, 1.0)), proportion=True),
    "gold_logprob": _gold_value(_choices),
    "gold_margin": _margin(_choices),
    "advantage": _gold_value(lambda rows: advantages(_choices(rows))),
    "advantage_per_byte": _gold_value(lambda rows: advantages(_per_byte(rows))),
    "letter_mass": lambda rows, _: Numbers(np.exp(_choices(rows)).sum(axis=1)),
    "likeliest_per_byte": _likeliest_per_byte,
    "margin_per_byte": _margin(_per_byte),
    "gold_logprob_per_byte": _gold_value(_per_byte),
    "ece": lambda rows, _: calibration(_choices(rows), integers(rows, "gold_index")),
    "brier": lambda rows, _: Numbers(brier(_choices(rows), integers(rows, "gold_index"))),
    "invalid": _invalid,
    "macro_f1": _averaged_f1("macro"),
    "micro_f1": _micro_f1,
    "weighted_f1": _averaged_f1("weighted"),
    "precision": _quotient("right", ("said",)),
    "recall": _quotient("right", ("meant",)),
    "similarity_f1": _quotient("similarity", ("said", "meant"), 2),
    "bits_per_byte": _bits,
    "bleu": lambda rows, _: bleu(named_scores(rows)),
}
"""What computes each reading that a suite may name for a metric."""
