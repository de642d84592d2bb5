"""Nova's benchmarks as scores, and what gates and comparisons make of numbers without items."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from configs.gates import Gate
from configs.suites.nova_benchmark import BENCHMARKS, NovaBenchmarkSuite
from tasks.artifacts import SuiteScores
from tasks.errors import EvaluationError
from tasks.evaluation.nova_benchmark import NovaExam, benchmark_scores
from tasks.evaluation.nova_results import Number
from tasks.gating.compare import comparison
from tasks.gating.gates import judge
from tasks.inference.scripted import Scripted


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
    exam = NovaExam(suite(), ())
    assert exam.overlap() == []
    with pytest.raises(EvaluationError, match="only Nova's own evaluator"):
        exam.sit(Scripted())


def test_every_task_has_its_metric_and_a_part_of_an_undivided_one_is_refused() -> None:
    assert {t: list(suite(task=t).metric_table()) for t in BENCHMARKS} == {
        t: [metric] for t, (_, metric) in BENCHMARKS.items()
    }
    with pytest.raises(ValidationError, match="has no parts"):
        suite(task="gpqa", subtask="x")
