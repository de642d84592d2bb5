"""What a metric needs of every item, read from a suite's per-item table."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import special

from configs.metrics import DIVERGENCE, Metric
from tasks.errors import EvaluationError
from tasks.metrics.arrays import Floats, Ints, codes, integers, matrix, reals
from tasks.metrics.calibration import brier, calibration
from tasks.metrics.f1 import INVALID, Average, LabelledItems
from tasks.metrics.label_sets import cut, label_sets, level_labels
from tasks.metrics.pooled import Pooled, quotient
from tasks.metrics.text_scores import bleu

STRATIFIED: frozenset[str] = frozenset({"letters", "cloze"})
"""Forms whose ``cluster``, without a ``stratum``, is a subject: a part of the design."""


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


def item_values(table: pa.Table, metric_name: str, metric: Metric | None = None) -> ItemValues:
    """Return what ``metric_name`` needs of every item.

    Items of the metric's own form count, and no others: a suite's table may hold the letters and
    the cloze form of each question. A metric without a reader of its own, or whose forms the
    table lacks, is that of the items' named ``scores``. ``stratum`` is a part of the design (a
    subject), ``cluster`` joins dependent items (a dialogue, a passage). Where there is no
    stratum, the cluster of the letters and cloze forms counts as one, as does a cluster equal to
    the gold label.

    Args:
        table: A suite's items.
        metric_name: The metric.
        metric: What the suite says of it; needed for named scores alone.

    Raises:
        EvaluationError: No such metric, no items of its form, an id twice, or a value that is
            missing or not finite.
    """
    rows, plain = _rows_and_reader(table, metric_name, metric)
    read = _told(plain, metric)
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
        return ItemValues(ids, read(rows), codes(strata, alone=False), codes(groups, alone=True))
    # A class is what is asked, not a reason for its items to fail together.
    stratified = rows["form"][0].as_py() in STRATIFIED or groups == rows["gold"].to_pylist()
    return ItemValues(
        ids,
        read(rows),
        strata=codes(groups, alone=False) if stratified else None,
        clusters=None if stratified else codes(groups, alone=True),
    )


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


def _rows_and_reader(
    table: pa.Table, name: str, metric: Metric | None
) -> tuple[pa.Table, Callable[[pa.Table], Numbers | Ratio | LabelledItems | Pooled]]:
    for form in pc.unique(table["form"]).to_pylist():
        if found := reader(form, name):
            return table.filter(pc.equal(table["form"], form)), found
    forms, read = _READERS.get(name, ((), _score))
    own = bool(pc.any(pc.is_in(table["form"], pa.array(forms, pa.string()))).as_py())
    named = _named(table, name)
    if own or (forms and named.null_count == len(named)):
        return _of_form(table, forms, name), read
    if named.null_count == len(named):
        raise EvaluationError(
            f"there is no metric '{name}'.",
            where="metrics",
            fix=f"use one of {', '.join(sorted(_READERS))}, or a score that the "
            "suite's items have.",
        )
    proportion = metric is not None and metric.estimator == "proportion"
    return table.filter(pc.is_valid(named)), lambda rows: _named_score(rows, name, proportion)


def _told(
    read: Callable[[pa.Table], Numbers | Ratio | LabelledItems | Pooled], metric: Metric | None
) -> Callable[[pa.Table], Numbers | Ratio | LabelledItems | Pooled]:
    """Return the reader with what the suite says of the metric's values."""

    def told(rows: pa.Table) -> Numbers | Ratio | LabelledItems | Pooled:
        found = read(rows)
        if metric is None or not isinstance(found, Numbers | Ratio):
            return found
        if isinstance(found, Ratio):
            return clipped_ratio(found, metric.span)
        if found.proportion:
            return found
        if metric.estimator == "corrected":
            return replace(found, corrected=True)
        return clipped(found, metric.span)

    return told


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


def _named(table: pa.Table, name: str) -> pa.ChunkedArray:
    if "scores" not in table.column_names:
        return pa.chunked_array([pa.nulls(len(table), pa.float64())])
    return pc.map_lookup(table["scores"], pa.scalar(name), "first")


def _named_score(rows: pa.Table, name: str, proportion: bool) -> Numbers:
    values = rows.select(["item_id", "suite"]).append_column(name, _named(rows, name))
    return Numbers(reals(values, name, only=(0.0, 1.0) if proportion else ()), proportion)


def _of_form(table: pa.Table, forms: tuple[str, ...], metric_name: str) -> pa.Table:
    rows = table.filter(pc.is_in(table["form"], pa.array(forms)))
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
    name = "kl_from_base"
    gold = {"cloze": "cloze_gold_logprob", "chat_letters": "chat_gold_logprob"}.get(
        form, "gold_logprob"
    )
    tables = [_of_form(t, (form,), name) for t in (table, other)]
    of = _choices if form != "cloze" else _per_byte
    first, second = (item_values(t, gold) for t in tables)
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


def _score(rows: pa.Table) -> Numbers:
    return Numbers(reals(rows, "score", only=(0.0, 1.0)), proportion=True)


def _invalid(rows: pa.Table) -> Numbers:
    missing = np.asarray(pc.is_null(rows["prediction"]).to_numpy(), dtype=np.float64)
    return Numbers(missing, proportion=True)


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


def _gold_value(of: Callable[[pa.Table], Floats]) -> Callable[[pa.Table], Numbers]:
    return lambda rows: Numbers(_gold(of(rows), rows))


def _margin(of: Callable[[pa.Table], Floats]) -> Callable[[pa.Table], Numbers]:
    def read(rows: pa.Table) -> Numbers:
        scores = of(rows)
        others = scores.copy()
        np.put_along_axis(others, integers(rows, "gold_index")[:, None], -np.inf, axis=1)
        return Numbers(_gold(scores, rows) - others.max(axis=1))

    return read


def _mass(rows: pa.Table) -> Numbers:
    return Numbers(np.exp(_choices(rows)).sum(axis=1))


def _best_per_byte(rows: pa.Table) -> Numbers:
    best = _per_byte(rows).argmax(axis=1)
    return Numbers((best == integers(rows, "gold_index")).astype(np.float64), proportion=True)


def _brier(rows: pa.Table) -> Numbers:
    return Numbers(brier(_choices(rows), integers(rows, "gold_index")))


def _calibration(rows: pa.Table) -> Pooled:
    return calibration(_choices(rows), integers(rows, "gold_index"))


def _bits(rows: pa.Table) -> Ratio:
    sizes = reals(rows, "bytes")
    if (sizes <= 0).any():
        raise EvaluationError(
            "a text has no bytes.", where="bits_per_byte", fix="leave empty texts out."
        )
    return Ratio(reals(rows, "nats") / math.log(2), sizes)


def _refuse_strange(strange: list[str]) -> None:
    if strange:
        raise EvaluationError(
            f"gold label '{strange[0]}' is not in the suite's label list.",
            where="labels",
            fix="add it to the suite's labels:, or correct the rows.",
        )


def _labelled(average: Average) -> Callable[[pa.Table], LabelledItems]:
    def read(rows: pa.Table) -> LabelledItems:
        gold = rows["gold"].to_pylist()
        stored = (rows.schema.metadata or {}).get(b"labels")
        labels = tuple(json.loads(stored)) if stored else tuple(sorted(set(gold)))
        index: Mapping[Any, int] = {label: i for i, label in enumerate(labels)}
        _refuse_strange(sorted({str(g) for g in gold if g not in index}))
        found = [index.get(p, INVALID) for p in rows["prediction"].to_pylist()]
        known = [index[g] for g in gold]
        return LabelledItems(np.array(known, np.int64), np.array(found, np.int64), labels, average)

    return read


Read = Callable[[pa.Table], Numbers | Ratio | LabelledItems | Pooled]

_READERS: dict[str, tuple[tuple[str, ...], Read]] = {
    "accuracy": (("letters", "classification"), _score),
    "gold_logprob": (("letters",), _gold_value(_choices)),
    "gold_margin": (("letters",), _margin(_choices)),
    "letter_mass": (("letters",), _mass),
    "advantage": (("letters",), _gold_value(lambda rows: advantages(_choices(rows)))),
    "cloze_advantage": (("cloze",), _gold_value(lambda rows: advantages(_per_byte(rows)))),
    "cloze_accuracy": (("cloze",), _best_per_byte),
    "cloze_margin": (("cloze",), _margin(_per_byte)),
    "cloze_gold_logprob": (("cloze",), _gold_value(_per_byte)),
    "ece": (("letters",), _calibration),
    "brier": (("letters",), _brier),
    "cloze_ece": (("cloze",), _calibration),
    "cloze_brier": (("cloze",), _brier),
    "chat_accuracy": (("chat_letters",), _score),
    "chat_gold_logprob": (("chat_letters",), _gold_value(_choices)),
    "chat_gold_margin": (("chat_letters",), _margin(_choices)),
    "chat_letter_mass": (("chat_letters",), _mass),
    "invalid_rate": (("classification",), _invalid),
    "macro_f1": (("classification",), _labelled("macro")),
    "micro_f1": (("classification",), _labelled("micro")),
    "weighted_f1": (("classification",), _labelled("weighted")),
    "bits_per_byte": (("text",), _bits),
}


# What metrics of lists, of labels with levels and of open answers need of a per-item table.

LISTS = ("labels", "extraction")
"""Forms in which an item has a list of labels."""
_LEVEL = re.compile(r"e([1-9])_(micro|macro|weighted)_f1")


def reader(form: str, metric: str) -> Read | None:
    """Return what reads a metric of items of that form, where one of these does."""
    if form in LISTS:
        return _of_lists(metric)
    if form == "classification" and (found := _LEVEL.fullmatch(metric)):
        level, average = int(found[1]), found[2]
        kind: Average = "micro" if average == "micro" else _average(average)
        return lambda rows: one_label(rows, level, kind)
    if (form, metric) == ("open", "bleu"):
        return lambda rows: bleu(named_scores(rows))
    return None


def named_scores(rows: pa.Table) -> list[Mapping[str, float]]:
    """Return the named scores of each item."""
    return [dict(scores or []) for scores in rows["scores"].to_pylist()]


def _of_lists(metric: str) -> Read | None:
    ratios = {
        "precision": (("right",), ("said",), 1),
        "recall": (("right",), ("meant",), 1),
        "micro_f1": (("right",), ("said", "meant"), 2),
        "similarity_f1": (("similarity",), ("said", "meant"), 2),
    }
    if metric in ratios:
        return lambda rows: _ratio(rows, *ratios[metric])
    if metric in ("macro_f1", "weighted_f1"):
        return lambda rows: label_sets(rows, _average(metric.removesuffix("_f1")))
    found = _LEVEL.fullmatch(metric)
    if found is None:
        return None
    level, average = int(found[1]), found[2]
    if average == "micro":
        return lambda rows: _ratio(rows, (f"right_e{level}",), ("said", "meant"), 2)
    return lambda rows: label_sets(rows, _average(average), level)


def _ratio(rows: pa.Table, top: tuple[str, ...], bottom: tuple[str, ...], times: float) -> Pooled:
    scores = named_scores(rows)
    upper, lower = ([sum(s[name] for name in names) for s in scores] for names in (top, bottom))
    return quotient([times * x for x in upper], lower)


def _average(name: str) -> Literal["macro", "weighted"]:
    return "macro" if name == "macro" else "weighted"


def one_label(rows: pa.Table, level: int | None, average: Average) -> LabelledItems:
    """Return gold and prediction of items with one label each, at a level of their paths."""
    labels = level_labels(stored_paths(rows), level)
    index = {label: code for code, label in enumerate(labels)}
    gold = [index[cut(label, level)] for label in rows["gold"].to_pylist()]
    said = [
        INVALID if label is None else index.get(cut(label, level), INVALID)
        for label in rows["prediction"].to_pylist()
    ]
    return LabelledItems(np.array(gold, np.int64), np.array(said, np.int64), tuple(labels), average)


def stored_paths(rows: pa.Table) -> list[str]:
    """Return the fixed list of a table with one label an item; else the labels in its golds."""
    stored = (rows.schema.metadata or {}).get(b"labels")
    found: list[str] = json.loads(stored) if stored else sorted(set(rows["gold"].to_pylist()))
    return found
