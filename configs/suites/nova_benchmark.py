"""Public benchmarks that Amazon Nova's own evaluator puts to a Nova model."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from configs.metrics import Metric
from configs.section import Name, rule_error
from configs.suites.base import SuiteSection

Benchmark = Literal["mmlu", "mmlu_pro", "gpqa", "mmmu", "bbh", "math", "ifeval", "strong_reject"]

BENCHMARKS: dict[str, tuple[str, str]] = {
    "mmlu": ("zs_cot", "accuracy"),
    "mmlu_pro": ("zs_cot", "accuracy"),
    "gpqa": ("zs_cot", "accuracy"),
    "mmmu": ("zs_cot", "accuracy"),
    "bbh": ("fs_cot", "accuracy"),
    "math": ("zs_cot", "exact_match"),
    "ifeval": ("zs", "accuracy"),
    "strong_reject": ("zs", "deflection"),
}
"""Task -> its strategy and metric, as the evaluator's guide lists them."""
PARTED = frozenset({"mmlu", "bbh", "math", "mmmu", "strong_reject"})
"""Tasks of which a part can be asked."""


class NovaBenchmarkSuite(SuiteSection):
    """A benchmark of Amazon Nova's evaluator, for recipes with ``backend: {kind: nova}``.

    The evaluator tells one number a metric and not what was answered to which item, so there is no
    paired difference of two models: the numbers are shown, and a gate on them is INCONCLUSIVE.
    Suites of other kinds that need answers alone (classification, extraction, open answers,
    IFEval, ...) are put to a Nova model too, as data of your own; their items come back one by
    one, with the same intervals and gates as for any model.
    """

    METRICS: ClassVar[dict[str, Metric]] = {
        name: Metric("higher", "proportion") for _, name in BENCHMARKS.values()
    }
    LIMIT: ClassVar[str | None] = None

    kind: Literal["nova_benchmark"]
    name: Name
    task: Benchmark
    subtask: str | None = Field(None, min_length=1, description="a part of the task; all if absent")
    max_new_tokens: int = Field(8196, ge=1, le=65536, description="of an answer")

    @model_validator(mode="after")
    def _has_parts(self) -> "NovaBenchmarkSuite":
        if self.subtask is not None and self.task not in PARTED:
            raise rule_error(f"subtask: {self.task} has no parts; {', '.join(sorted(PARTED))} have")
        return self

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics this suite gives, by name."""
        metric = BENCHMARKS[self.task][1]
        return {metric: self.METRICS[metric]}
