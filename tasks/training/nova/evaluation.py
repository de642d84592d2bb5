"""Nova's own evaluator: what it is asked, and what it answers, in the words of the scorecard."""

import ast
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from configs.nova import NovaBackend
from tasks.artifacts import Estimate
from tasks.errors import EvaluationError
from tasks.training.nova.request import MODEL_PATHS, MODEL_TYPES, NovaPlaced

BENCHMARKS: dict[str, tuple[str, str]] = {
    "mmlu": ("zs_cot", "accuracy"), "mmlu_pro": ("zs_cot", "accuracy"),
    "gpqa": ("zs_cot", "accuracy"), "mmmu": ("zs_cot", "accuracy"),
    "bbh": ("fs_cot", "accuracy"), "math": ("zs_cot", "exact_match"),
    "ifeval": ("zs", "accuracy"), "strong_reject": ("zs", "deflection"),
    "gen_qa": ("gen_qa", "all"),
}  # fmt: skip
"""Task -> its strategy and metric; gen_qa is one's own data."""

OWN = "gen_qa"
OWN_FILE = "gen_qa.jsonl"
Z95 = 1.959963984540054


class Asked(NamedTuple):
    """One evaluation.

    Attributes:
        model: Where the model is: its ARN, or the base model's own path.
        task: One of ``BENCHMARKS``.
        subtask: A part of the task; all when None.
    """

    name: str
    model: str
    task: str
    subtask: str | None = None


class Output(NamedTuple):
    """One line of ``inference_output.jsonl``."""

    prompt: str
    prediction: str
    gold: str


def evaluation_recipe(
    backend: NovaBackend, asked: Asked, placed: NovaPlaced, max_new_tokens: int = 8196
) -> dict[str, Any]:
    """Return the evaluator's recipe; answers are greedy, so that they can be had again.

    Raises:
        EvaluationError: The evaluator has no such task.
    """
    if asked.task not in BENCHMARKS:
        raise EvaluationError(f"Nova's evaluator has no task '{asked.task}'.", where=asked.name,
                              fix=f"use one of {', '.join(BENCHMARKS)}.")  # fmt: skip
    strategy, metric = BENCHMARKS[asked.task]
    evaluation = {"task": asked.task, "strategy": strategy, "metric": metric}
    if asked.subtask:
        evaluation["subtask"] = asked.subtask
    own = asked.task == OWN
    return {
        "run": {"name": asked.name, "model_type": MODEL_TYPES[backend.model],
                "model_name_or_path": asked.model or MODEL_PATHS[backend.model], "replicas": 1,
                "data_s3_path": placed.data if own else "", "output_s3_path": placed.output},
        "evaluation": evaluation,
        "inference": {"max_new_tokens": max_new_tokens, "temperature": 0.0, "top_p": 1.0,
                      "top_k": -1},
    }  # fmt: skip


def own_items(pairs: Iterable[tuple[str, str, str | None]]) -> str:
    """Return ``gen_qa.jsonl``: question, wanted answer and system text of each item."""
    lines = []
    for query, response, system in pairs:
        row = {"query": query, "response": response} | ({"system": system} if system else {})
        lines.append(json.dumps(row, ensure_ascii=False))
    return "".join(f"{line}\n" for line in lines)


def read_results(file: Path, items: int) -> dict[str, Estimate]:
    """Return the metrics of ``results_*.json``, with the interval that its standard error gives.

    Args:
        file: What the evaluator left.
        items: How many questions it asked.

    Raises:
        EvaluationError: The file isn't such a file.
    """
    try:
        results: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))["results"]
        numbers = _block(results)
        names = [n for n, v in numbers.items()
                 if not n.endswith("_stderr") and isinstance(v, int | float)]  # fmt: skip
        return {n: _estimate(float(numbers[n]), float(numbers.get(f"{n}_stderr", 0.0)), items)
                for n in names}  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvaluationError(
            f"these are no results of Nova's evaluator: {error}",
            where=str(file),
            fix="give its results_*.json.",
        ) from error


def read_outputs(file: Path) -> list[Output]:
    """Return the answers of ``inference_output.jsonl``, in the order of the items asked.

    Raises:
        EvaluationError: A line isn't such a line; it is named.
    """
    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            found.append(Output(str(row["prompt"]), _answer(row["inference"]), str(row["gold"])))
        except (ValueError, KeyError, SyntaxError, TypeError) as error:
            raise EvaluationError(f"line {number} is no answer of Nova's evaluator: {error!r}.",
                                  where=f"{file}:{number}",
                                  fix="give its inference_output.jsonl.") from error  # fmt: skip
    return found


def _block(results: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the numbers over everything: ``all``, or the one block of one's own data."""
    if "all" in results:
        return dict(results["all"])
    if len(results) != 1:
        raise KeyError("neither 'all' nor a single block")
    return dict(next(iter(results.values())))


def _answer(inference: Any) -> str:
    """Return the first answer; the evaluator writes the list of them as Python would print it."""
    given = ast.literal_eval(inference) if isinstance(inference, str) else inference
    return str(given[0])


def _estimate(value: float, error: float, items: int) -> Estimate:
    return Estimate(value=value, low=value - Z95 * error, high=value + Z95 * error, n=items)
