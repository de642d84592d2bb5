import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.scripted_model import Scripted
from pydantic import ValidationError

from configs.suites.behaviour import BrittlenessSuite
from tasks.errors import EvaluationError
from tasks.evaluation.items import write_items
from tasks.evaluation.suites.brittleness import CLASSIFICATION, MULTIPLE_CHOICE, open_brittleness
from tasks.metrics.estimates import estimate_all
from tasks.models.api import Prompt


def suite(**fields: Any) -> BrittlenessSuite:
    return BrittlenessSuite.model_validate({"kind": "brittleness", "name": "b"} | fields)


def test_the_worst_the_mean_and_the_spread_are_over_templates(
    clean_source: Callable[..., Any], chat: Callable[..., Any], tmp_path: Path
) -> None:
    source = clean_source(test=[chat(f"{n} {x}", x) for x in ("tea", "milk") for n in range(5)])
    section = suite(source="voc", templates=("{prompt}", "Say: {prompt}", "{prompt}?"))
    runner = open_brittleness(section, source, "test", 17)

    def say(prompt: Prompt) -> str:
        text = prompt.messages[-1]["content"]
        if text.startswith("Say"):
            return "tea"
        return "milk" if "milk" in text and not text.startswith("0") else "tea"

    rows = runner.run(Scripted(say))
    write_items(tmp_path / "items.parquet", "b", rows, runner.labels)
    found = estimate_all(tmp_path / "items.parquet", section.metric_table())
    values = {name: round(e.value, 9) for name, e in found.items()}
    assert values == {
        "mean_accuracy": round((0.9 + 0.5 + 0.9) / 3, 9),
        "worst_accuracy": 0.5,
        "best_accuracy": 0.9,
        "spread": 0.4,
        "always_right": 0.5,
        "disagreement": 0.4,
    }
    assert all(e.n == 10 for e in found.values())
    assert len(rows) == 40
    assert runner.needs == "answers"


def test_an_item_that_failed_under_one_template_has_no_scores(
    clean_source: Callable[..., Any], chat: Callable[..., Any]
) -> None:
    source = clean_source(test=[chat("a", "x"), chat("b", "y")])
    section = suite(source="voc", templates=("{prompt}", "Say: {prompt}"))
    runner = open_brittleness(section, source, "test", 17)
    rows = runner.run(Scripted(lambda p: None if p.messages[-1]["content"] == "Say: a" else "y"))
    whole = {r.gold: r.scores for r in rows if r.form == "item"}
    assert whole["x"] is None
    assert whole["y"] is not None
    assert whole["y"]["worst_accuracy"] == 1.0


def test_a_gold_label_outside_the_list_is_refused(
    clean_source: Callable[..., Any], chat: Callable[..., Any]
) -> None:
    source = clean_source(test=[chat("a", "x"), chat("b", "oops")])
    with pytest.raises(EvaluationError, match="'oops' is the label of a row"):
        open_brittleness(suite(source="voc", labels=("x",)), source, "test", 17)


def test_listed_answers_are_chosen_by_letter_or_number(tmp_path: Path) -> None:
    records = [
        {"question": f"Which {n}?", "choices": ["red", "blue", "green"], "answer": n % 3}
        for n in range(6)
    ]
    (tmp_path / "mc.jsonl").write_text("\n".join(map(json.dumps, records)))
    section = suite(path=str(tmp_path / "mc.jsonl"))
    runner = open_brittleness(section, None, "test", 17)
    asked: list[tuple[str, str]] = []

    def score(context: str, option: str) -> float:
        asked.append((context, option))
        return 0.0 if option in (" B", " 2") else -1.0

    rows = runner.run(Scripted(score=score))
    assert runner.needs == "log_probs"
    assert {r.prediction for r in rows if r.form != "item"} == {"blue"}
    assert {option for _, option in asked} == {" A", " B", " C", " 1", " 2", " 3"}
    assert len({context for context, _ in asked}) == 6 * len(MULTIPLE_CHOICE)
    assert all("blue" in context and "Which" in context for context, _ in asked)
    whole = [r.scores for r in rows if r.form == "item" and r.scores]
    assert sum(s["mean_accuracy"] for s in whole) / len(whole) == pytest.approx(1 / 3)
    assert all(s["disagreement"] == 0 for s in whole)


def test_what_is_filled_in_is_not_read_as_a_template() -> None:
    for listed in MULTIPLE_CHOICE:
        text = listed.asked("what is {choices}?", ("{question}", "b"))
        assert text.count("what is {choices}?") == 1
        assert text.count("{question}") == 1


def test_templates_of_ones_own_hold_what_is_asked_once() -> None:
    with pytest.raises(ValidationError, match="holds {prompt} exactly once"):
        suite(source="voc", templates=("{prompt}", "no field"))
    with pytest.raises(ValidationError, match="given twice"):
        suite(source="voc", templates=("{prompt}", "{prompt}"))
    with pytest.raises(ValidationError, match="exactly one of source and path"):
        suite()


def test_every_template_of_ours_says_something_else() -> None:
    assert len(set(CLASSIFICATION)) == len(set(MULTIPLE_CHOICE)) == 8
    assert all(t.count("{prompt}") == 1 for t in CLASSIFICATION)


def test_on_dev_other_questions_are_asked_than_on_test(tmp_path: Path) -> None:
    for name in ("held", "choose"):
        record = {"question": f"Which to {name}?", "choices": ["red", "blue"], "answer": 0}
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(record))
    held = suite(path=str(tmp_path / "held.jsonl"))
    with pytest.raises(EvaluationError, match="set dev_path"):
        open_brittleness(held, None, "dev", 17)
    both = suite(path=held.path, dev_path=str(tmp_path / "choose.jsonl"))
    ((_, case),) = open_brittleness(both, None, "dev", 17).cases
    assert case.prompt[0]["content"] == "Which to choose?"
    assert open_brittleness(both, None, "test", 17).cases == (
        open_brittleness(held, None, "test", 17).cases
    )


def test_a_guess_among_answers_is_right_once_in_as_many_times(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    questions = [
        {"question": f"{n}?", "choices": list("abcd"[:k]), "answer": 0}
        for n, k in enumerate((2, 4, 4, 4))
    ]
    file.write_text("\n".join(map(json.dumps, questions)))
    table = open_brittleness(suite(path=str(file)), None, "test", 17).metrics()
    guessed = ("mean_accuracy", "worst_accuracy", "best_accuracy")
    assert [table[name].chance for name in guessed] == [pytest.approx(0.3125)] * 3
    assert table["always_right"].chance == 0.0
