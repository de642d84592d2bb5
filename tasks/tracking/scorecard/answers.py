"""Answers that a candidate has wrong, to be read by a person: those of no label first."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from tasks.metrics.classes import class_items
from tasks.scores import SuiteScores
from tasks.tracking.masking import mask_text

MOST = 8
"""Answers shown of each suite."""
CHARACTERS = 300
"""Of a prompt (its last), a reference and an answer that are shown."""
COLUMNS = ("item_id", "form", "prompt", "gold", "prediction", "raw_output", "score", "error")


class WrongAnswer(NamedTuple):
    """An item that the candidate has wrong.

    Attributes:
        item_id: Its id.
        prompt: The end of what was asked; None in scores of an earlier release.
        reference: The right answer, as it is stored.
        answer: What the model wrote, or chose.
        invalid: Whether it could be read as no answer at all: no label of the list, no number.
    """

    item_id: str
    prompt: str | None
    reference: str | None
    answer: str
    invalid: bool


class WrongAnswers(NamedTuple):
    """A suite's wrong answers.

    Attributes:
        suite: Its name.
        total: Items that are wrong.
        invalid: Those among them that could be read as no answer.
        shown: The first, invalid ones before others.
    """

    suite: str
    total: int
    invalid: int
    shown: list[WrongAnswer]


def wrong_answers(candidate: Sequence[SuiteScores]) -> list[WrongAnswers]:
    """Return what is wrong of each suite whose items are right or wrong, as far as any is."""
    return [found for scores in candidate if (found := _of_suite(scores)).total]


def answers_record(found: Sequence[WrongAnswers]) -> list[dict[str, Any]]:
    """Return the same as JSON data."""
    return [{**f._asdict(), "shown": [answer._asdict() for answer in f.shown]} for f in found]


def _of_suite(scores: SuiteScores) -> WrongAnswers:
    stored = set(pq.read_schema(scores.items).names)
    table = pq.read_table(scores.items, columns=[c for c in COLUMNS if c in stored])
    rows = table.to_pylist()
    # Where nothing is ever read of an answer (rules check it, options are scored) none is invalid.
    classes = class_items(scores, table)
    readable = set() if classes is None else set(classes["form"].to_pylist())
    readable |= {row["form"] for row in rows if row["prediction"] is not None}
    wrong = [
        _answer(row, invalid=row["prediction"] is None and row["form"] in readable)
        for row in rows
        if row["score"] == 0 and row["error"] is None
    ]
    wrong.sort(key=lambda answer: (not answer.invalid, answer.item_id))
    invalid = sum(answer.invalid for answer in wrong)
    return WrongAnswers(scores.suite, len(wrong), invalid, wrong[:MOST])


def _answer(row: dict[str, Any], *, invalid: bool) -> WrongAnswer:
    said = row["raw_output"] if row["raw_output"] is not None else row["prediction"]
    prompt, reference = row.get("prompt"), row["gold"]
    return WrongAnswer(
        row["item_id"],
        None if prompt is None else mask_text(prompt)[-CHARACTERS:],
        None if reference is None else reference[:CHARACTERS],
        mask_text(said or "")[:CHARACTERS],
        invalid,
    )
