"""Suites in which an item has a list of labels: what they share once their golds are read."""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from configs.suites.labels import ClassificationSuite, ExtractionSuite
from tasks.artifacts import CleanSource, SplitName
from tasks.errors import EvaluationError
from tasks.evaluation.datasets import HeldOut, held_out
from tasks.evaluation.items import ItemRow, answer_row, item_ids
from tasks.evaluation.suites.classification import canonical, normal, path_index, path_of, shown
from tasks.evaluation.suites.json_list import State, parse_list
from tasks.metrics.label_sets import macro_level
from tasks.metrics.matching import JOINT, Labelled, LabelPath, Pair, pair
from tasks.models.api import Decoding, Model, Prompt
from tasks.progress import Progress
from tasks.storage import digest_of
from tasks.text.keyed import key_of, keyed_sample
from tasks.text.overlap import Item
from tasks.text.rows import Message, prompt_text


class AnswerShape(NamedTuple):
    """How an object says its label.

    Attributes:
        keys: Keys of its levels, coarse to fine; or of the whole label.
        divider: What divides the levels where one key holds them all.
        span: Key of the text that the label is about, where there is one.
    """

    keys: tuple[str, ...] = ("label",)
    divider: str | None = None
    span: str | None = None


@dataclass(frozen=True)
class Marking:
    """By what an item is judged.

    Attributes:
        known: Normal form of every known path and beginning of one -> the list's spelling.
        levels: Levels of a full path.
        overlap: Token F1 from which on two spans match.
    """

    known: Mapping[LabelPath, LabelPath]
    levels: int
    overlap: float = 1.0


class Marked(NamedTuple):
    """An item after marking: what was said and meant, who is whose partner, how it was read."""

    said: list[Labelled]
    meant: list[Labelled]
    pairs: list[Pair]
    state: State


def claim(element: object, shape: AnswerShape) -> Labelled:
    """Return what an element of the list says; an empty path where it says no label.

    A text stands for a label without a span. Levels after a missing one don't count.
    """
    if isinstance(element, str):
        return Labelled(path_of(element, shape.divider))
    if not isinstance(element, dict):
        return Labelled(())
    span = None if shape.span is None else _text(element.get(shape.span))
    if len(shape.keys) == 1:
        return Labelled(path_of(_text(element.get(shape.keys[0])), shape.divider), span)
    path: list[str] = []
    for key in shape.keys:
        level = " ".join(_text(element.get(key)).split())
        if not level:
            break
        path.append(level)
    return Labelled(tuple(path), span)


def claims(answer: str, shape: AnswerShape) -> tuple[list[Labelled], State]:
    """Return what an answer says, and whether all of it could be read."""
    elements, state = parse_list(answer)
    return [claim(element, shape) for element in elements], state


def mark(
    said: Sequence[Labelled], meant: Sequence[Labelled], marking: Marking, state: State = "whole"
) -> Marked:
    """Return an item with its best partnerships, every label in the list's spelling."""
    spelled = [one._replace(path=canonical(one.path, marking.known)) for one in said]
    pairs = pair(
        [_plain(one) for one in spelled],
        [_plain(one) for one in meant],
        marking.levels,
        marking.overlap,
    )
    return Marked(spelled, list(meant), pairs, state)


def marks(marked: Marked, marking: Marking) -> dict[str, float]:
    """Return an item's counts by name.

    ``said``, ``meant``, ``right`` (in full), ``right_e1`` ... (to that level), ``similarity``
    (summed over pairs), and 0 or 1 each: ``exact_match`` (all of it right and nothing more),
    ``off_list`` (a label outside the list), ``partial`` and ``broken`` (how it was read).
    """
    full = sum(p.right >= marking.levels for p in marked.pairs)
    deep = {
        f"right_e{k}": float(sum(p.right >= k for p in marked.pairs))
        for k in range(1, marking.levels + 1)
    }
    strange = any(normal(one.path) not in marking.known for one in marked.said)
    whole = len(marked.said) == len(marked.meant) == full and marked.state != "broken"
    return {
        "said": float(len(marked.said)),
        "meant": float(len(marked.meant)),
        "right": float(full),
        **deep,
        "similarity": sum(p.similarity for p in marked.pairs),
        "exact_match": float(whole),
        "off_list": float(strange),
        "partial": float(marked.state == "partial"),
        "broken": float(marked.state == "broken"),
    }


def dump_references(meant: Sequence[Labelled]) -> str:
    """Return the golds as the per-item table holds them."""
    return json.dumps([_record(one) for one in meant], ensure_ascii=False)


def dump_predictions(marked: Marked, marking: Marking) -> str:
    """Return what was said as the per-item table holds it, each with its partner's place."""
    partner = {p.said: p for p in marked.pairs}
    records = []
    for place, one in enumerate(marked.said):
        found = partner.get(place)
        records.append(
            {
                **_record(one),
                "gold": found.meant if found else None,
                "right": found.right if found else 0,
                "whole": found is not None and found.right >= marking.levels,
            }
        )
    return json.dumps(records, ensure_ascii=False)


def _record(one: Labelled) -> dict[str, Any]:
    record: dict[str, Any] = {"label": shown(one.path)}
    return record if one.span is None else {**record, "span": one.span}


def _plain(one: Labelled) -> Labelled:
    return one._replace(path=normal(one.path))


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int | float) else ""


Reader = Callable[[str], tuple[list[Labelled], State]]


class ListCase(NamedTuple):
    """A prompt with the labels that are right; ``group`` joins what depends on each other."""

    prompt: list[Message]
    meant: list[Labelled]
    group: str | None


class ListTask(NamedTuple):
    """How a suite reads and judges lists.

    Attributes:
        suite: Its name.
        read: From a text to what it says and whether all of it could be read.
        divider: Between the levels of a label in ``labels``.
        levels: Of a full path.
        overlap: Token F1 from which on two spans match.
        labels: The fixed list, or None: those seen.
    """

    suite: str
    read: Reader
    divider: str | None
    levels: int
    overlap: float = 1.0
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ListRunner:
    """Cases and the label list they are judged by."""

    form: Literal["labels", "extraction"]
    cases: Sequence[ListCase]
    ids: Sequence[str]
    labels: tuple[str, ...]
    marking: Marking
    read: Reader
    decoding: Decoding
    needs: Literal["answers"] = "answers"

    @property
    def content(self) -> str:
        """Digest of cases and labels."""
        return digest_of({"ids": list(self.ids), "labels": self.labels})

    def run(self, model: Model, progress: Progress | None = None) -> list[ItemRow]:
        """Return what the model lists, greedily decoded, with each item's counts."""
        answers = model.answers([Prompt(c.prompt) for c in self.cases], self.decoding, progress)
        rows = []
        for item, case, answer in zip(self.ids, self.cases, answers, strict=True):
            said, state = self.read(answer.said)
            found = mark(said, case.meant, self.marking, state)
            scores = marks(found, self.marking)
            rows.append(
                answer_row(item, self.form, answer)._replace(
                    cluster=case.group,
                    gold=dump_references(case.meant),
                    prediction=dump_predictions(found, self.marking),
                    score=scores["exact_match"],
                    scores=scores,
                )
            )
        return rows

    def overlap(self) -> list[str | Item]:
        """Return the prompts."""
        return [prompt_text(case.prompt) for case in self.cases]

    def count_classes(self, metric: str) -> dict[str, int]:
        """Return the items that hold each label a macro F1 averages over, at its level."""
        if (level := macro_level(metric)) is None:
            return {}
        held = ({JOINT.join(x.path[: level or None]) for x in case.meant} for case in self.cases)
        return dict(Counter(label for labels in held for label in labels))


def list_cases(
    task: ListTask, items: Sequence[HeldOut], train: Sequence[HeldOut]
) -> tuple[list[ListCase], tuple[str, ...]]:
    """Return items with their golds in the list's spelling, and the list.

    Args:
        task: How lists are read and judged.
        items: Rows that are asked.
        train: Rows whose labels are known as well.

    Raises:
        EvaluationError: An answer holds no such list, or a label that can't be one.
    """
    golds = [_golds(task, row) for row in items]
    labels = _labels(task, [*(_golds(task, row) for row in train), *golds])
    known = _index(task, labels)
    cases = []
    for row, meant in zip(items, golds, strict=True):
        spelled = [one._replace(path=canonical(one.path, known)) for one in meant]
        strange = next(
            (
                one.path
                for one, known_as in zip(meant, spelled, strict=True)
                if shown(known_as.path) not in labels
            ),
            None,
        )
        if strange is not None:
            raise EvaluationError(
                f"'{shown(strange)}' is a label of the row and not in the suite's list.",
                where=row.origin,
                fix="add it to labels:, or correct the row.",
            )
        cases.append(ListCase(row.prompt, spelled, row.group))
    return cases, labels


def case_ids(cases: Sequence[ListCase]) -> list[str]:
    """Return each case's identity."""
    return item_ids([{"prompt": c.prompt, "gold": dump_references(c.meant)} for c in cases])


def marking_of(task: ListTask, labels: Sequence[str]) -> Marking:
    """Return by what items are judged."""
    return Marking(_index(task, labels), task.levels, task.overlap)


def _golds(task: ListTask, row: HeldOut) -> list[Labelled]:
    meant, state = task.read(row.answer)
    if state != "whole":
        raise EvaluationError(
            "its answer can't be read as a list of labels.",
            where=row.origin,
            fix="correct the row, or the suite's keys: and divider:.",
        )
    for one in meant:
        _check(task, one, row.origin)
    return meant


def _check(task: ListTask, one: Labelled, origin: str) -> None:
    if not one.path:
        raise EvaluationError(
            "an element of its list says no label.",
            where=origin,
            fix="set keys: to what names the label in each object.",
        )
    if len(one.path) > task.levels:
        raise EvaluationError(
            f"'{shown(one.path)}' has more levels than {task.levels}.",
            where=origin,
            fix="raise levels:, or correct the row.",
        )
    if task.levels > 1 and any(JOINT.strip() in part for part in one.path):
        raise EvaluationError(
            f"a level of '{shown(one.path)}' holds '{JOINT.strip()}'.",
            where=origin,
            fix="write it otherwise in the data.",
        )


def _labels(task: ListTask, golds: Sequence[Sequence[Labelled]]) -> tuple[str, ...]:
    """Return the fixed list as stored; spellings that differ in case or space are one label."""
    if task.labels is not None:
        divider = task.divider or _stored(task)
        found = {normal(p): shown(p) for x in task.labels if (p := path_of(x, divider))}
        if len(found) < len(task.labels):
            raise EvaluationError(
                "two labels differ only in case or space, or one is empty.",
                where=f"evaluation.suites.{task.suite}.labels",
                fix="leave one of them out.",
            )
        return tuple(found.values())
    seen = sorted({shown(one.path) for meant in golds for one in meant})
    known, divider = _index(task, seen), _stored(task)
    return tuple(dict.fromkeys(shown(canonical(path_of(x, divider), known)) for x in seen))


def _index(task: ListTask, labels: Sequence[str]) -> dict[LabelPath, LabelPath]:
    return path_index(labels, _stored(task))


def _stored(task: ListTask) -> str | None:
    """Return what divides the levels of labels as they are stored."""
    return JOINT.strip() if task.levels > 1 else None


# Classification with several labels an item: the model lists them, in any order.


def open_several_labels(
    suite: ClassificationSuite, source: CleanSource, split: SplitName, seed: int
) -> ListRunner:
    """Return the source's held-out rows as cases.

    Args:
        suite: The section; ``items_per_label`` are chosen by ``seed``: an item is in where it is
            among the first of one of its labels.
        source: After quality.
        split: Which rows are asked.
        seed: The recipe's.

    Raises:
        EvaluationError: There are no rows, or one doesn't end in a list of labels.
    """

    def read(text: str) -> tuple[list[Labelled], State]:
        return parse_labels(text, suite.divider, suite.hierarchy)

    task = ListTask(suite.name, read, suite.hierarchy, suite.levels, labels=suite.labels)
    items = held_out(suite.name, source, split)
    known = held_out(suite.name, source, "train") if source.splits.get("train") else []
    cases, labels = list_cases(task, items, known)
    ids = case_ids(cases)
    chosen = _chosen(suite, ids, [[one.path for one in c.meant] for c in cases], seed)
    return ListRunner(
        "labels",
        [cases[i] for i in chosen],
        [ids[i] for i in chosen],
        labels,
        marking_of(task, labels),
        read,
        Decoding(suite.max_new_tokens, suite.batch_size),
    )


def parse_labels(text: str, divider: str, hierarchy: str | None) -> tuple[list[Labelled], State]:
    """Return the labels a text lists: a JSON array, or what stands between dividers and line ends.

    Args:
        text: An answer.
        divider: Between labels that are no JSON array.
        hierarchy: Between the levels of a label.
    """
    if text.lstrip().startswith("["):
        return claims(text, AnswerShape(divider=hierarchy))
    parts = re.split(rf"{re.escape(divider)}|\n", text)
    found = [Labelled(path) for part in parts if (path := path_of(part, hierarchy))]
    return found, "whole" if found else "broken"


def _chosen(
    suite: ClassificationSuite, ids: list[str], labels: list[list[tuple[str, ...]]], seed: int
) -> list[int]:
    if suite.items_per_label is None:
        return list(range(len(ids)))
    places: dict[tuple[str, ...], list[int]] = {}
    for place, own in enumerate(labels):
        for label in dict.fromkeys(own or [()]):
            places.setdefault(label, []).append(place)
    return sorted(
        {
            of_label[i]
            for label, of_label in places.items()
            for i in keyed_sample(
                [ids[p] for p in of_label],
                suite.items_per_label,
                key_of(seed, "classification", *label),
            )
        }
    )


# Extraction: the model writes a list of labelled spans, and every one of them counts.


def open_extraction(
    suite: ExtractionSuite, source: CleanSource, split: SplitName, seed: int
) -> ListRunner:
    """Return the source's held-out rows as cases.

    Args:
        suite: The section; ``limit`` items are chosen by ``seed``.
        source: After quality.
        split: Which rows are asked.
        seed: The recipe's.

    Raises:
        EvaluationError: There are no rows, or one doesn't end in a list of labelled spans.
    """
    shape = AnswerShape(suite.keys, suite.divider, suite.span)

    def read(text: str) -> tuple[list[Labelled], State]:
        return claims(text, shape)

    task = ListTask(suite.name, read, suite.divider, suite.depth, suite.span_overlap, suite.labels)
    items = held_out(suite.name, source, split)
    known = held_out(suite.name, source, "train") if source.splits.get("train") else []
    cases, labels = list_cases(task, items, known)
    ids = case_ids(cases)
    chosen = keyed_sample(ids, suite.limit or len(ids), key_of(seed, "extraction"))
    return ListRunner(
        "extraction",
        [cases[i] for i in chosen],
        [ids[i] for i in chosen],
        labels,
        marking_of(task, labels),
        read,
        Decoding(suite.max_new_tokens, suite.batch_size),
    )
