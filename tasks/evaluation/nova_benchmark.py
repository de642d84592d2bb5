"""A benchmark of Nova's evaluator as scores: its numbers, and no items."""

from typing import Any

from configs.suites.nova_benchmark import NovaBenchmarkSuite
from tasks.artifacts import Estimate, SuiteScores
from tasks.errors import EvaluationError
from tasks.evaluation.items import ItemRow, fingerprint, items_digest, write_items
from tasks.evaluation.nova_results import Number
from tasks.evaluation.runner import CaseExam
from tasks.inference.seam import Model
from tasks.progress import Progress
from tasks.storage import building, commit, digest_of, find, home
from tasks.text.overlap import Item

RANGE = (0.0, 1.0)
"""Between which every metric of the evaluator's benchmarks lies."""


class NovaExam(CaseExam[NovaBenchmarkSuite, None]):
    """A benchmark whose items are the evaluator's own."""

    def sit(self, model: Model, progress: Progress | None = None) -> list[ItemRow]:
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
