"""The same items answered by two models, or a refusal that names what differs."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from configs.metrics import DIVERGENCE, Metric
from tasks.errors import EvaluationError
from tasks.metrics.chance import AboveChance, above_chance
from tasks.metrics.estimates import metric_of, read_items
from tasks.metrics.paired import Difference, difference
from tasks.metrics.templates import WORST, template_marks, worst_difference
from tasks.metrics.values import ItemValues, divergence, item_values
from tasks.models.served.base import WAY_OUT, named, unanswered
from tasks.scores import SuiteScores

KL_FROM_BASE = Metric("lower", "mean", span=DIVERGENCE, paired=True)
Prompts = dict[tuple[str, str], tuple[object, ...]]
"""By form and item: prompt digest and gold answer."""

_CAUSES = {"template": "the chat templates", "tokenizer": "the tokenizers", "code": "the releases"}
"""What may put the same item in other words, by its key in a run's manifest."""


class Pair(NamedTuple):
    """One suite on two models, ``second`` to be compared with ``first``."""

    first: SuiteScores
    second: SuiteScores
    first_items: pa.Table
    second_items: pa.Table

    def values(self, name: str) -> tuple[Metric, ItemValues, ItemValues]:
        """Return what a metric is, and its items on both.

        Raises:
            EvaluationError: The suite gives no such metric.
        """
        if name.endswith("kl_from_base"):
            form = {"": "letters", "cloze_": "cloze", "chat_": "chat_letters"}[
                name.removesuffix("kl_from_base")
            ]
            first, second = divergence(self.first_items, self.second_items, form)
            return KL_FROM_BASE, first, second
        metric = metric_of(self.first, name)
        return (
            metric,
            item_values(self.first_items, name, metric),
            item_values(self.second_items, name, metric),
        )

    def above_chance(self, name: str) -> tuple[AboveChance | None, AboveChance | None]:
        """Return what a metric is by chance on both, and what each item adds above it."""
        _, first, second = self.values(name)
        return (
            above_chance(self.first_items, name, first),
            above_chance(self.second_items, name, second),
        )

    def difference(self, name: str, confidence: float) -> Difference:
        """Return a metric's paired difference, second minus first."""
        if name == WORST:
            marks = template_marks(self.first_items), template_marks(self.second_items)
            if marks[0] and len(marks[0]) == len(marks[1]):
                return worst_difference(*marks, confidence)
        _, first, second = self.values(name)
        return difference(first, second, confidence)


def pair(first: SuiteScores, second: SuiteScores) -> Pair:
    """Return the two with their items.

    Raises:
        EvaluationError: They are of different suites, of different versions of one suite
            (fingerprints), or over different items; the difference is named.
    """
    tables = read_items(first.items), read_items(second.items)
    differences = _differences(first, second, *tables)
    if differences:
        raise EvaluationError(
            f"the two can't be compared: {'; '.join(differences)}.",
            where=f"suite {first.suite}",
            fix=_fix(first, second),
        )
    return Pair(first, second, *tables)


def pairs(first: Sequence[SuiteScores], second: Sequence[SuiteScores]) -> dict[str, Pair]:
    """Return the suites that both have, by name, in the first's order."""
    others = {s.suite: s for s in second}
    return {s.suite: pair(s, others[s.suite]) for s in first if s.suite in others}


def unmatched(first: Sequence[SuiteScores], second: Sequence[SuiteScores]) -> list[str]:
    """Return the names of suites that only one of the two has, sorted."""
    return sorted({s.suite for s in first} ^ {s.suite for s in second})


def _differences(
    first: SuiteScores, second: SuiteScores, one: pa.Table, two: pa.Table
) -> list[str]:
    found = []
    if first.suite != second.suite:
        found.append(f"the suites are '{first.suite}' and '{second.suite}'")
    before, after = _prompts(one), _prompts(two)
    if first.fingerprint != second.fingerprint:
        found += _protocol(first.protocol, second.protocol) + _reworded(
            first, second, before, after
        )
    found += _missing(before, after, "first") + _missing(after, before, "second")
    found += _unanswered(first, "first") + _unanswered(second, "second")
    if first.fingerprint != second.fingerprint and not found:
        found.append(
            f"the suite's fingerprint is {first.fingerprint[:12]} for the first and "
            f"{second.fingerprint[:12]} for the second"
        )
    return found


def _protocol(first: Mapping[str, object], second: Mapping[str, object]) -> list[str]:
    """Return the fields of the suite that differ, with both values where they are short."""
    return [
        f"{field} is {_shown(first.get(field))} for the first and "
        f"{_shown(second.get(field))} for the second"
        for field in sorted(first.keys() | second.keys())
        if first.get(field) != second.get(field)
    ]


def _reworded(
    first: SuiteScores, second: SuiteScores, before: Prompts, after: Prompts
) -> list[str]:
    """Return how many shared items were put in other words, and whose doing that can be."""
    shared = before.keys() & after.keys()
    changed = sum(before[key] != after[key] for key in shared)
    if not changed:
        return []
    causes = [what for key, what in _CAUSES.items() if first.made.get(key) != second.made.get(key)]
    why = f" ({' and '.join(causes)} differ)" if causes else ""
    return [f"{changed:,} of {len(shared):,} shared items have another prompt or gold answer{why}"]


def _unanswered(scores: SuiteScores, name: str) -> list[str]:
    if not scores.errors:
        return []
    refused, others = unanswered(scores.items)
    told = [named(refused)] if refused else []
    if others or not refused:
        told.append("evaluate it again: answered items are kept")
    return [
        f"{scores.errors:,} items of the {name} were not answered, which says nothing of the "
        f"model ({'; '.join(told)})"
    ]


def _fix(first: SuiteScores, second: SuiteScores) -> str:
    if any(s.errors and unanswered(s.items).refused for s in (first, second)):
        return f"{WAY_OUT}."
    return "evaluate both models with the same recipe and the same release of Temper."


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _prompts(table: pa.Table) -> Prompts:
    columns = (
        table[c].to_pylist() for c in ("form", "item_id", "prompt_digest", "gold", "gold_index")
    )
    return {(form, item): tuple(rest) for form, item, *rest in zip(*columns, strict=True)}


def _missing(
    have: Prompts,
    other: Prompts,
    name: str,
) -> list[str]:
    only = sorted(f"{item} ({form})" for form, item in have.keys() - other.keys())
    more = ", ..." if len(only) > 3 else ""
    return [f"{len(only):,} items only in the {name}: {', '.join(only[:3])}{more}"] if only else []
