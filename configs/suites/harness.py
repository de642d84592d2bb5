"""Any task of lm-evaluation-harness."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt

from configs.metrics import Metric
from configs.section import Name, Section
from configs.suites.base import SuiteSection


class HarnessMetric(Section):
    """A metric that the task gives for every item."""

    better: Literal["higher", "lower"] = "higher"
    estimator: Literal["proportion", "mean"] = Field(
        "proportion", description="proportion where an item is right or wrong"
    )


class HarnessSuite(SuiteSection):
    """A task or group of lm-evaluation-harness, asked and judged by its own code.

    ``metrics`` names what the task gives for each item (``acc``, ``acc_norm``, ``exact_match``);
    where it has several filters, ``exact_match.strict-match``. The prompts are the harness's, the
    model is ours: answers are kept and served models can be asked.
    """

    METRICS: ClassVar[dict[str, Metric]] = {}

    kind: Literal["harness"]
    name: Name
    task: str = Field(min_length=1, description="a task or group of the harness")
    shots: int | None = Field(None, ge=0, description="the task's own number when absent")
    chat: bool = Field(False, description="put prompts as conversations, examples as turns")
    limit: PositiveInt | None = Field(None, description="first items of each task")
    include: str | None = Field(None, description="folder with task files of your own")
    metrics: dict[str, HarnessMetric] = Field(
        default={"acc": HarnessMetric()},
        min_length=1,
        description="what the task gives an item",
    )
    batch_size: PositiveInt = 32
    batch_tokens: PositiveInt = 2048

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics that were named."""
        return {name: Metric(m.better, m.estimator) for name, m in self.metrics.items()}
