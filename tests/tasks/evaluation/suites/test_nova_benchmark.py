"""Nova's benchmarks as scores, and what gates and comparisons make of numbers without items."""

import json
from pathlib import Path
from typing import Any

import pytest
from fakes.scripted_model import Scripted
from pydantic import TypeAdapter, ValidationError

from configs.gates import Gate
from configs.suites.nova_benchmark import BENCHMARKS, NovaBenchmarkSuite
from tasks.errors import EvaluationError
from tasks.evaluation.suites.nova_benchmark import (
    NovaRunner,
    Number,
    benchmark_scores,
    read_outputs,
    read_results,
)
from tasks.gates.compare import comparison
from tasks.gates.stage import judge
from tasks.scores import SuiteScores


def suite(**fields: Any) -> NovaBenchmarkSuite:
    return NovaBenchmarkSuite.model_validate(
        {"kind": "nova_benchmark", "name": "knows", "task": "mmlu"} | fields
    )


def scores(model: str, value: float, **fields: Any) -> SuiteScores:
    numbers = {"accuracy": Number(value, 0.004), "other": Number(1.0, None)}
    return benchmark_scores(suite(**fields), numbers, model, {"job": f"j-{model}"})


def test_a_number_has_no_items_and_the_whole_range_for_an_interval(temper_home: Path) -> None:
    found = scores("base", 0.75)
    assert found.aggregate
    [(name, estimate)] = found.metrics.items()
    assert (name, estimate.value, estimate.low, estimate.high, estimate.n) == (
        "accuracy",
        0.75,
        0.0,
        1.0,
        0,
    )
    assert found.made["stderr"] == {"accuracy": 0.004}
    assert scores("base", 0.75) == found


@pytest.mark.parametrize(
    "rule", [{"rule": "hold", "margin": 0.5}, {"rule": "improve"}, {"rule": "floor", "at": 0.1}]
)
def test_no_gate_is_decided_on_numbers_alone(temper_home: Path, rule: dict[str, Any]) -> None:
    gate: Any = TypeAdapter(Gate).validate_python({"metric": "knows/accuracy", **rule})
    found = judge(gate, scores("base", 0.75), scores("tuned", 0.9))
    assert found.verdict == "INCONCLUSIVE"
    assert "one number without its items" in found.reason
    assert (found.base, found.candidate, found.n, found.needed_n) == (0.75, 0.9, 0, None)
    assert found.low <= found.difference <= found.high


def test_numbers_of_other_questions_are_not_put_side_by_side(temper_home: Path) -> None:
    gate: Any = TypeAdapter(Gate).validate_python({"metric": "knows/accuracy", "rule": "improve"})
    with pytest.raises(EvaluationError, match=r"subtask is .*anatomy"):
        judge(gate, scores("base", 0.75), scores("tuned", 0.9, subtask="anatomy"))


def test_a_comparison_shows_them_without_an_interval(temper_home: Path) -> None:
    [row] = comparison([scores("base", 0.75)], [scores("tuned", 0.9)]).metrics
    assert (row.a, row.b, row.low, row.high, row.n, row.p) == (0.75, 0.9, -1.0, 1.0, 0, None)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"em": Number(0.1, None)}, "told no 'accuracy', but em"),
        ({"accuracy": Number(75.0, None)}, "outside 0 to 1"),
    ],
)
def test_results_of_another_kind_are_refused(
    temper_home: Path, numbers: dict[str, Number], said: str
) -> None:
    with pytest.raises(EvaluationError, match=said):
        benchmark_scores(suite(), numbers, "m", {})


def test_only_the_evaluator_has_the_items() -> None:
    runner = NovaRunner(suite(), ())
    assert runner.overlap() == []
    with pytest.raises(EvaluationError, match="only Nova's own evaluator"):
        runner.run(Scripted())


def test_every_task_has_its_metric_and_a_part_of_an_undivided_one_is_refused() -> None:
    assert {t: list(suite(task=t).metric_table()) for t in BENCHMARKS} == {
        t: [metric] for t, (_, metric) in BENCHMARKS.items()
    }
    with pytest.raises(ValidationError, match="has no parts"):
        suite(task="gpqa", subtask="x")


@pytest.mark.parametrize("block", ["all", "custom|gen_qa_gen_qa|0"])
def test_numbers_are_read_with_their_errors_where_they_have_some(
    tmp_path: Path, block: str
) -> None:
    file = tmp_path / "results_1.json"
    numbers = {"f1": 0.5, "f1_stderr": 0.01, "em": 0.25, "note": "text", "flag": True}
    file.write_text(json.dumps({"results": {block: numbers}, "config_general": {}}))
    assert read_results(file) == {"f1": Number(0.5, 0.01), "em": Number(0.25, None)}


def test_an_empty_whole_gives_way_to_the_one_block_there_is(tmp_path: Path) -> None:
    file = tmp_path / "results_1.json"
    file.write_text(json.dumps({"results": {"all": {}, "custom|x|0": {"em": 1}}}))
    assert read_results(file) == {"em": Number(1.0, None)}


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"results": {}}', '{"results": {"a": {}, "b": {}}}']
)
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "results_1.json"
    file.write_text(text)
    with pytest.raises(EvaluationError, match="no results of Nova's evaluator"):
        read_results(file)


def test_answers_are_read_with_quotes_and_all_and_with_what_was_sent(tmp_path: Path) -> None:
    file = tmp_path / "inference_output.jsonl"
    answers = ["plain", 'it\'s "quoted"', "two\nlines", "ünïcode"]
    rows = [
        {"prompt": f"q{i}", "inference": str([a]), "gold": "g", "metadata": f"m{i}"}
        for i, a in enumerate(answers)
    ]
    file.write_text("".join(json.dumps(r) + "\n" for r in rows))
    found = read_outputs(file)
    assert [o.prediction for o in found] == answers
    assert [o.metadata for o in found] == ["m0", "m1", "m2", "m3"]


@pytest.mark.parametrize(
    "line",
    [
        '{"prompt": "q", "inference": "__import__(1)", "gold": ""}',
        '{"prompt": "q"}',
        "[1]",
        '{"prompt": "q", "inference": "[]", "gold": ""}',
        "no JSON",
    ],
)
def test_a_line_that_is_no_answer_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "inference_output.jsonl"
    file.write_text('{"prompt": "q", "inference": "[\'a\']", "gold": "g"}\n' + line + "\n")
    with pytest.raises(EvaluationError, match="no answer of Nova's|can't be read") as error:
        read_outputs(file)
    assert error.value.where == f"{file}:2"
