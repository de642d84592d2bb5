"""Models that think before they answer, in suites that generate."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fakes.scripted_model import Scripted

from configs.suites.behaviour import AdherenceSuite
from configs.suites.labels import ClassificationSuite
from tasks.artifacts import CleanSource
from tasks.evaluation.items import EvalContext, SuiteRunner, count_truncated
from tasks.evaluation.stage import score_suite
from tasks.evaluation.suites.adherence import open_adherence
from tasks.evaluation.suites.classification import open_classification

THOUGHTS = {"a": "<think>\n\n</think>\n\nx", "b": "<think>it may be x\nor y", "c": "x"}


def opened(
    clean_source: Callable[..., CleanSource], chat: Callable[..., Any]
) -> tuple[ClassificationSuite, SuiteRunner]:
    suite = ClassificationSuite(kind="classification", name="voc", source="voc")
    rows = [chat(asked, label) for asked, label in (("a", "x"), ("b", "x"), ("c", "y"))]
    return suite, open_classification(suite, clean_source(test=rows), "test", 17)


def thinker() -> Scripted:
    return Scripted(lambda prompt: THOUGHTS[prompt.messages[-1]["content"]])


def test_the_label_after_a_thought_is_the_answer_and_the_thought_is_kept(
    clean_source: Callable[..., CleanSource], chat: Callable[..., Any]
) -> None:
    _, runner = opened(clean_source, chat)
    rows = {row.raw_output: row for row in runner.run(thinker())}
    assert {text: row.prediction for text, row in rows.items()} == {
        THOUGHTS["a"]: "x",
        THOUGHTS["b"]: None,
        THOUGHTS["c"]: "x",
    }
    assert rows[THOUGHTS["a"]].score == 1.0


def test_answers_that_end_inside_a_thought_are_counted(
    clean_source: Callable[..., CleanSource], chat: Callable[..., Any], temper_home: Path
) -> None:
    scores = score_suite(opened(clean_source, chat), (thinker(), "w" * 64), EvalContext())
    assert (scores.unclosed, scores.truncated, scores.errors) == (1, 0, 0)


def test_an_item_that_is_cut_in_several_rows_counts_once(tmp_path: Path) -> None:
    record = {"prompt": "a", "checks": {"required": ["tea"], "forbidden": ["no"]}}
    (tmp_path / "items.jsonl").write_text(json.dumps(record))
    suite = AdherenceSuite(kind="adherence", name="a", path=str(tmp_path / "items.jsonl"))
    rows = open_adherence(suite, "test", 17).run(Scripted(lambda _: "<think>no</think>tea"))
    assert rows[0].scores == {"kept": 1.0}
    whole = rows[0]._replace(truncated=True)
    again = whole._replace(form="again")
    assert count_truncated([whole, again, whole._replace(item_id="other")])["truncated"] == 2
