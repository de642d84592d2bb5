import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from configs.suites.judge import JudgeSuite
from tasks.artifacts import Estimate
from tasks.errors import EvaluationError
from tasks.evaluation.items import write_items
from tasks.evaluation.judged import judge_exam
from tasks.inference.scripted import Scripted
from tasks.inference.seam import Prompt
from tasks.metrics.estimates import estimate_all

SERVED = {"kind": "endpoint", "url": "http://127.0.0.1:1/v1", "name": "judge", "revision": "one"}


def suite(path: Path, **fields: Any) -> JudgeSuite:
    base = {"kind": "judge", "name": "judged", "path": str(path), "judge": SERVED}
    return JudgeSuite.model_validate(base | fields)


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    rows = [{"query": f"q{i}", "response": "the reference"} for i in range(4)]
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def better(prompt: Prompt) -> str:
    """A judge that likes what holds "good", whichever side it stands on."""
    text = prompt.messages[0]["content"]
    first = text.split("<<first answer")[1].split("<<end of first answer")[0]
    second = text.split("<<second answer")[1].split("<<end of second answer")[0]
    if ("good" in first) == ("good" in second):
        return "They are alike.\nVerdict: tie"
    return f"One is.\nVerdict: {'first' if 'good' in first else 'second'}"


def judged(section: JudgeSuite, judge: Scripted, folder: Path) -> dict[str, Estimate]:
    said = {"q0": "a good answer", "q1": "an answer", "q2": "good", "q3": "bad"}
    exam = judge_exam(section, None, "test", 1, lambda: judge)
    rows = exam.sit(Scripted(lambda prompt: said[prompt.messages[-1]["content"]]))
    write_items(folder / "items.parquet", "judged", rows, exam.labels)
    return estimate_all(folder / "items.parquet", section.metric_table())


def test_an_answer_wins_where_it_wins_in_both_orders(questions: Path, tmp_path: Path) -> None:
    judge = Scripted(better)
    found = judged(suite(questions), judge, tmp_path)
    assert judge.asked == 8
    values = {name: e.value for name, e in found.items()}
    assert values == {
        "win_rate": 0.75,
        "wins": 0.5,
        "losses": 0.0,
        "order_decides": 0.0,
        "unjudged": 0.0,
    }


def test_a_judge_that_likes_the_first_place_shows_itself(questions: Path, tmp_path: Path) -> None:
    found = judged(suite(questions), Scripted(lambda _: "Verdict: first"), tmp_path)
    assert found["win_rate"].value == 0.5
    assert found["order_decides"].value == 1.0


def test_a_rubric_gives_a_score_and_needs_no_reference(tmp_path: Path) -> None:
    path = tmp_path / "bare.jsonl"
    path.write_text("".join(json.dumps({"query": f"q{i}"}) + "\n" for i in range(4)))
    section = suite(path, mode="rubric", rubric="politeness")

    def score(prompt: Prompt) -> str:
        text = prompt.messages[0]["content"]
        assert "by this rubric: politeness" in text
        return "Score: 5" if "good" in text else "I won't say."

    found = judged(section, Scripted(score), tmp_path)
    assert (found["rubric_score"].value, found["unjudged"].value) == (0.5, 0.5)
    with pytest.raises(EvaluationError, match="no 'response'"):
        judge_exam(suite(path), None, "test", 1, Scripted)


def test_an_item_that_the_judge_cant_answer_keeps_its_error(questions: Path) -> None:
    exam = judge_exam(suite(questions), None, "test", 1, lambda: Scripted(lambda _: None))
    rows = exam.sit(Scripted(lambda _: "x"))
    assert [row.error for row in rows] == ["it was not answered"] * 4
    assert all(row.scores and row.scores["unjudged"] == 1.0 for row in rows)


def test_the_judge_is_opened_only_to_judge(questions: Path) -> None:
    def opened() -> Scripted:
        raise AssertionError("nothing is judged yet")

    exam = judge_exam(suite(questions), None, "test", 1, opened)
    assert exam.overlap() == ["q0", "q1", "q2", "q3"]
    assert exam.content


def test_a_judge_without_a_revision_is_refused(questions: Path) -> None:
    with pytest.raises(ValidationError, match="says which judge it is"):
        suite(questions, judge={k: v for k, v in SERVED.items() if k != "revision"})
