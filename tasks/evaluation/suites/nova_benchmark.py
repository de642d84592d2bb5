"""A benchmark of Nova's evaluator as scores: its numbers, and no items."""

import ast
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from configs.suites.nova_benchmark import NovaBenchmarkSuite
from tasks.errors import EvaluationError
from tasks.evaluation.datasets import of_files
from tasks.evaluation.items import ItemRow, SuiteRunner, fingerprint, items_digest, write_items
from tasks.evaluation.runner import CaseRunner
from tasks.evaluation.suites.judge import JudgeRunner
from tasks.models.api import Model
from tasks.models.served.replayed import PromptRecorder, RecordedPrompts, record_prompts
from tasks.progress import Progress
from tasks.scores import Estimate, SuiteScores
from tasks.storage import building, commit, digest_of, find, home
from tasks.text.overlap import Item


class Number(NamedTuple):
    """One metric as the evaluator tells it; ``stderr`` is None where it tells none."""

    value: float
    stderr: float | None


class Output(NamedTuple):
    """One line of ``inference_output.jsonl``; ``metadata`` is what was sent with the item."""

    prompt: str
    prediction: str
    gold: str
    metadata: str


def read_results(file: Path) -> dict[str, Number]:
    """Return the metrics of ``results_*.json``.

    Raises:
        EvaluationError: The file isn't such a file.
    """
    try:
        results: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))["results"]
        numbers = {
            n: float(v)
            for n, v in _block(results).items()
            if isinstance(v, int | float) and not isinstance(v, bool)
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvaluationError(
            f"these are no results of Nova's evaluator: {error}",
            where=str(file),
            fix="give its results_*.json.",
        ) from error
    return {
        n: Number(v, numbers.get(f"{n}_stderr"))
        for n, v in numbers.items()
        if not n.endswith("_stderr")
    }


def read_outputs(file: Path) -> list[Output]:
    """Return the answers of ``inference_output.jsonl``.

    Raises:
        EvaluationError: A line isn't such a line; it is named.
    """
    found = []
    for row, where in of_files(str(file)):
        try:
            found.append(
                Output(
                    str(row["prompt"]),
                    _answer(row["inference"]),
                    str(row["gold"]),
                    str(row.get("metadata") or ""),
                )
            )
        except (ValueError, LookupError, SyntaxError, TypeError, AttributeError) as error:
            raise EvaluationError(
                f"the line is no answer of Nova's evaluator: {error!r}.",
                where=where,
                fix="give its inference_output.jsonl.",
            ) from error
    return found


def _block(results: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the numbers over everything: ``all``, or the one block of one's own data."""
    if results.get("all"):
        return dict(results["all"])
    named = {name: block for name, block in results.items() if name != "all"}
    if len(named) != 1:
        raise KeyError("neither 'all' nor a single block")
    return dict(next(iter(named.values())))


def _answer(inference: Any) -> str:
    """Return the first answer; the evaluator writes the list of them as Python would print it."""
    given = ast.literal_eval(inference) if isinstance(inference, str) else inference
    return str(given[0])


RANGE = (0.0, 1.0)
"""Between which every metric of the evaluator's benchmarks lies."""


class NovaRunner(CaseRunner[NovaBenchmarkSuite, None]):
    """A benchmark whose items are the evaluator's own."""

    def run(self, model: Model, progress: Progress | None = None) -> list[ItemRow]:
        """Refuse.

        Raises:
            EvaluationError: Always: only the evaluator has the items.
        """
        raise EvaluationError(
            "only Nova's own evaluator asks this benchmark.",
            where=f"evaluation.suites.{self.suite.name}",
            fix="run a recipe with backend: {kind: nova}.",
        )

    def overlap(self) -> list[str | Item]:
        """Return nothing: which items the evaluator asks isn't published with it."""
        return []


def benchmark_scores(
    suite: NovaBenchmarkSuite, numbers: dict[str, Number], model: str, made: dict[str, Any]
) -> SuiteScores:
    """Return the evaluator's numbers as scores without items.

    Args:
        suite: The section.
        numbers: What the evaluator told.
        model: Digest of the model's identity.
        made: What the manifest says of the evaluation.

    Raises:
        EvaluationError: The suite's metric isn't among the numbers, or is outside 0 to 1.
    """
    told = {name: _estimate(suite, name, numbers) for name in suite.metric_table()}
    stderrs = {name: n.stderr for name, n in numbers.items() if name in told}
    folder = home("scores", digest_of([suite.model_dump(mode="json"), model, made])[:64])
    known = find(folder, SuiteScores)
    if known is not None:
        return known
    protocol = suite.model_dump(mode="json", exclude=set(suite.FREE))
    with building(folder) as aside:
        write_items(aside / "items.parquet", suite.name, [], None)
        return commit(
            aside,
            SuiteScores(
                path=folder,
                digest=items_digest([]),
                suite=suite.name,
                kind=suite.kind,
                fingerprint=fingerprint(protocol, []),
                weights_digest=model,
                metrics=told,
                about=suite.metric_table(),
                protocol=protocol,
                aggregate=True,
                made={**made, "told": {n: v.value for n, v in numbers.items()}, "stderr": stderrs},
            ),
        )


def _estimate(suite: NovaBenchmarkSuite, name: str, numbers: dict[str, Number]) -> Estimate:
    if name not in numbers:
        raise EvaluationError(
            f"the evaluator told no '{name}', but {', '.join(sorted(numbers)) or 'nothing'}.",
            where=f"evaluation.suites.{suite.name}",
            fix="look at its results_*.json.",
        )
    value, (low, high) = numbers[name].value, RANGE
    if not low <= value <= high:
        raise EvaluationError(
            f"'{name}' is {value:g}, outside {low:g} to {high:g}.",
            where=f"evaluation.suites.{suite.name}",
            fix="look at its results_*.json.",
        )
    return Estimate(value=value, low=low, high=high, n=0)


# What a suite asks, learnt without a model.


def record_suite_prompts(runner: SuiteRunner, where: str) -> RecordedPrompts:
    """Return all that a suite asks of the model that is evaluated; a judge is asked nothing.

    Args:
        runner: The suite with its items.
        where: The suite's place in the recipe.

    Raises:
        EvaluationError: What it asks depends on the answers, or it asks for log-probabilities.
    """
    if isinstance(runner, JudgeRunner):
        runner = replace(runner, judge=lambda: PromptRecorder(""))
    return record_prompts(runner.run, where)
