"""Extraction: the model writes a list of labelled spans, and every one of them counts."""

from configs.suites.extraction import ExtractionSuite
from tasks.artifacts import CleanSource, SplitName
from tasks.evaluation.datasets import held_out
from tasks.evaluation.lists import ListExam, Task, case_ids, list_cases, marking_of
from tasks.evaluation.read_list import State
from tasks.evaluation.spans_said import Shape, claims
from tasks.inference.seam import Decoding
from tasks.metrics.matching import Labelled
from tasks.text.keyed import key_of, keyed_sample


def extraction_exam(
    suite: ExtractionSuite, source: CleanSource, split: SplitName, seed: int
) -> ListExam:
    """Return the source's held-out rows as cases.

    Args:
        suite: The section; ``limit`` items are chosen by ``seed``.
        source: After quality.
        split: Which rows are asked.
        seed: The recipe's.

    Raises:
        EvaluationError: There are no rows, or one doesn't end in a list of labelled spans.
    """
    shape = Shape(suite.keys, suite.divider, suite.span)

    def read(text: str) -> tuple[list[Labelled], State]:
        return claims(text, shape)

    task = Task(suite.name, read, suite.divider, suite.depth, suite.span_overlap, suite.labels)
    items = held_out(suite.name, source, split)
    known = held_out(suite.name, source, "train") if source.splits.get("train") else []
    cases, labels = list_cases(task, items, known)
    ids = case_ids(cases)
    chosen = keyed_sample(ids, suite.limit or len(ids), key_of(seed, "extraction"))
    return ListExam(
        "extraction",
        [cases[i] for i in chosen],
        [ids[i] for i in chosen],
        labels,
        marking_of(task, labels),
        read,
        Decoding(suite.max_new_tokens, suite.batch_size),
    )
