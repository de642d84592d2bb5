"""What Nova's evaluator is asked, and its files read back."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.recipe import Recipe
from tasks.errors import EvaluationError
from tasks.training.nova.evaluation import (
    BENCHMARKS,
    Asked,
    evaluation_recipe,
    own_items,
    read_outputs,
    read_results,
)
from tasks.training.nova.request import NovaPlaced

PLACED = NovaPlaced("", "us-east-1", "s3://b/gen_qa.jsonl", "s3://b/outputs")
Make = Callable[..., Recipe]


@pytest.mark.parametrize("task", BENCHMARKS)
def test_each_task_is_asked_with_its_strategy_and_metric(nova_recipe: Make, task: str) -> None:
    backend: Any = nova_recipe({}).training.backend
    found = evaluation_recipe(backend, Asked("e", "arn:model", task), PLACED)
    strategy, metric = BENCHMARKS[task]
    assert found["evaluation"] == {"task": task, "strategy": strategy, "metric": metric}
    assert found["inference"]["temperature"] == 0.0
    assert found["run"]["data_s3_path"] == ("s3://b/gen_qa.jsonl" if task == "gen_qa" else "")


def test_a_subtask_is_named_and_an_unknown_task_refused(nova_recipe: Make) -> None:
    backend: Any = nova_recipe({}).training.backend
    found = evaluation_recipe(backend, Asked("e", "m", "mmlu", "anatomy"), PLACED)
    assert found["evaluation"]["subtask"] == "anatomy"
    with pytest.raises(EvaluationError, match="no task 'arc'"):
        evaluation_recipe(backend, Asked("e", "m", "arc"), PLACED)


@pytest.mark.parametrize("block", ["all", "custom|gen_qa_gen_qa|0"])
def test_results_become_estimates_with_intervals(tmp_path: Path, block: str) -> None:
    file = tmp_path / "results_1.json"
    numbers = {"f1": 0.5, "f1_stderr": 0.01, "em": 0.25, "em_stderr": 0.02, "note": "text"}
    file.write_text(json.dumps({"results": {block: numbers}}))
    found = read_results(file, 861)
    assert set(found) == {"f1", "em"}
    assert found["f1"].low == pytest.approx(0.5 - 1.96 * 0.01, abs=1e-5)
    assert (found["em"].value, found["em"].n) == (0.25, 861)


@pytest.mark.parametrize("text", ["", "{}", '{"results": {}}', '{"results": {"a": {}, "b": {}}}'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "results_1.json"
    file.write_text(text)
    with pytest.raises(EvaluationError, match="no results of Nova's evaluator"):
        read_results(file, 1)


def test_answers_are_read_in_order_with_quotes_and_all(tmp_path: Path) -> None:
    file = tmp_path / "inference_output.jsonl"
    answers = ["plain", 'it\'s "quoted"', "two\nlines", "ünïcode"]
    rows = [{"prompt": f"q{i}", "inference": str([a]), "gold": "g", "metadata": ""}
            for i, a in enumerate(answers)]  # fmt: skip
    file.write_text("".join(json.dumps(r) + "\n" for r in rows))
    assert [o.prediction for o in read_outputs(file)] == answers
    file.write_text(json.dumps(rows[0]) + "\n" + '{"prompt": "q", "inference": "__import__(1)"}\n')
    with pytest.raises(EvaluationError, match="line 2"):
        read_outputs(file)


def test_own_items_are_one_line_each() -> None:
    text = own_items([("q\n1", "a", None), ("q2", "b", "be brief")])
    rows = [json.loads(line) for line in text.splitlines()]
    assert rows == [{"query": "q\n1", "response": "a"},
                    {"query": "q2", "response": "b", "system": "be brief"}]  # fmt: skip
