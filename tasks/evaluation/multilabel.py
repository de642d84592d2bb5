"""Classification with several labels an item: the model lists them, in any order."""

import re

from configs.suites.classification import ClassificationSuite
from tasks.artifacts import CleanSource, SplitName
from tasks.evaluation.datasets import held_out
from tasks.evaluation.lists import ListExam, Task, case_ids, list_cases, marking_of
from tasks.evaluation.paths import path_of
from tasks.evaluation.read_list import State
from tasks.evaluation.spans_said import Shape, claims
from tasks.inference.seam import Decoding
from tasks.metrics.matching import Labelled
from tasks.text.keyed import key_of, keyed_sample


def several_exam(
    suite: ClassificationSuite, source: CleanSource, split: SplitName, seed: int
) -> ListExam:
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
        return labels_said(text, suite.divider, suite.hierarchy)

    task = Task(suite.name, read, suite.hierarchy, suite.levels, labels=suite.labels)
    items = held_out(suite.name, source, split)
    known = held_out(suite.name, source, "train") if source.splits.get("train") else []
    cases, labels = list_cases(task, items, known)
    ids = case_ids(cases)
    chosen = _chosen(suite, ids, [[one.path for one in c.meant] for c in cases], seed)
    return ListExam(
        "labels",
        [cases[i] for i in chosen],
        [ids[i] for i in chosen],
        labels,
        marking_of(task, labels),
        read,
        Decoding(suite.max_new_tokens, suite.batch_size),
    )


def labels_said(text: str, divider: str, hierarchy: str | None) -> tuple[list[Labelled], State]:
    """Return the labels a text lists: a JSON array, or what stands between dividers and line ends.

    Args:
        text: An answer.
        divider: Between labels that are no JSON array.
        hierarchy: Between the levels of a label.
    """
    if text.lstrip().startswith("["):
        return claims(text, Shape(divider=hierarchy))
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
