"""Suites in which an item has a list of labels: what they share once their golds are read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from tasks.errors import EvaluationError
from tasks.evaluation.datasets import HeldOut
from tasks.evaluation.items import ItemRow, answered, item_ids
from tasks.evaluation.paths import canonical, normal, path_index, path_of, shown
from tasks.evaluation.read_list import State
from tasks.evaluation.spans_said import Marking, mark, marks, stored_gold, stored_said
from tasks.inference.seam import Decoding, Model, Prompt
from tasks.metrics.matching import JOINT, Labelled, LabelPath
from tasks.progress import Progress
from tasks.storage import digest_of
from tasks.text.overlap import Item
from tasks.text.rows import Message, prompt_text

Reader = Callable[[str], tuple[list[Labelled], State]]


class ListCase(NamedTuple):
    """A prompt with the labels that are right; ``group`` joins what depends on each other."""

    prompt: list[Message]
    meant: list[Labelled]
    group: str | None


class Task(NamedTuple):
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
class ListExam:
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

    def sit(self, model: Model, progress: Progress | None = None) -> list[ItemRow]:
        """Return what the model lists, greedily decoded, with each item's counts."""
        answers = model.answers([Prompt(c.prompt) for c in self.cases], self.decoding, progress)
        rows = []
        for item, case, answer in zip(self.ids, self.cases, answers, strict=True):
            said, state = self.read(answer.said)
            found = mark(said, case.meant, self.marking, state)
            scores = marks(found, self.marking)
            rows.append(
                answered(item, self.form, answer)._replace(
                    cluster=case.group,
                    gold=stored_gold(case.meant),
                    prediction=stored_said(found, self.marking),
                    score=scores["exact_match"],
                    scores=scores,
                )
            )
        return rows

    def overlap(self) -> list[str | Item]:
        """Return the prompts."""
        return [prompt_text(case.prompt) for case in self.cases]


def list_cases(
    task: Task, items: Sequence[HeldOut], train: Sequence[HeldOut]
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
    return item_ids([{"prompt": c.prompt, "gold": stored_gold(c.meant)} for c in cases])


def marking_of(task: Task, labels: Sequence[str]) -> Marking:
    """Return by what items are judged."""
    return Marking(_index(task, labels), task.levels, task.overlap)


def _golds(task: Task, row: HeldOut) -> list[Labelled]:
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


def _check(task: Task, one: Labelled, origin: str) -> None:
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


def _labels(task: Task, golds: Sequence[Sequence[Labelled]]) -> tuple[str, ...]:
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


def _index(task: Task, labels: Sequence[str]) -> dict[LabelPath, LabelPath]:
    return path_index(labels, _stored(task))


def _stored(task: Task) -> str | None:
    """Return what divides the levels of labels as they are stored."""
    return JOINT.strip() if task.levels > 1 else None
