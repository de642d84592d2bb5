"""Wrong answers as a person reads them: with their prompts, those of no label first."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.scores import SuiteScores
from tasks.tracking.scorecard.answers import MOST, answers_record, wrong_answers

Make = Callable[..., SuiteScores]


def row(gold: str, label: str | None, text: str, **fields: Any) -> dict[str, Any]:
    return {
        "form": "classification",
        "gold": gold,
        "prediction": label,
        "raw_output": text,
        "score": float(gold == label),
    } | fields


def with_prompts(scores: SuiteScores, prompts: list[str]) -> SuiteScores:
    table = pq.read_table(scores.items)
    pq.write_table(table.append_column("prompt", pa.array(prompts)), scores.items)
    return scores


def test_invalid_answers_come_first_each_with_its_prompt(suite_scores: Make) -> None:
    rows = [row("a", "b", "b"), row("a", "a", "a"), row("b", None, "A poem."), row("b", "a", "a")]
    scores = with_prompts(
        suite_scores("voc", "classification", rows, ["a", "b"]),
        [f"{'long ' * 100}question {n}" for n in range(4)],
    )
    (found,) = wrong_answers([scores])
    assert (found.suite, found.total, found.invalid) == ("voc", 3, 1)
    assert [(x.answer, x.reference, x.invalid) for x in found.shown] == [
        ("A poem.", "b", True),
        ("b", "a", False),
        ("a", "b", False),
    ]
    assert [(x.prompt or "").split()[-1] for x in found.shown] == ["2", "0", "3"]
    assert answers_record([found])[0]["shown"][0]["answer"] == "A poem."


def test_unanswered_items_and_right_ones_are_not_shown_and_few_are(suite_scores: Make) -> None:
    right = [row("a", "a", "a")] * 3
    unanswered = row("a", None, "", error="status 500 (3 tries)")
    scores = suite_scores("voc", "classification", [*right, unanswered], ["a", "b"])
    assert wrong_answers([scores]) == []
    many = suite_scores("voc", "classification", [row("a", "b", "b")] * 40, ["a", "b"])
    (found,) = wrong_answers([many])
    assert (found.total, len(found.shown)) == (40, MOST)
    assert found.shown[0].prompt is None


def test_where_nothing_is_read_of_an_answer_none_is_invalid(suite_scores: Make) -> None:
    kept = {"form": "item", "score": 0.0, "scores": [("kept", 0.0), ("checks_kept", 0.0)]}
    (found,) = wrong_answers([suite_scores("own", "adherence", [kept] * 3)])
    assert (found.total, found.invalid) == (3, 0)
