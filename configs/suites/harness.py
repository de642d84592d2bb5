"""Any task of lm-evaluation-harness."""

from math import inf
from typing import ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from configs.metrics import Metric
from configs.section import Name, Section, rule_error
from configs.suites.base import SuiteSection


class HarnessMetric(Section):
    """A metric that the task gives for every item.

    Without ``range`` a mean whose items aren't all 0 or 1 is taken to reach as far as its items do.
    """

    better: Literal["higher", "lower"] = "higher"
    estimator: Literal["proportion", "mean"] = Field(
        "proportion", description="proportion where an item is right or wrong"
    )
    chance: float | None = Field(
        None, description="value of a guess (0.25 of four answers): a loss can't be seen from there"
    )
    range: tuple[float, float] | None = Field(
        None, description="least and most an item can have, of a mean"
    )

    @model_validator(mode="after")
    def _ends_fit(self) -> "HarnessMetric":
        low, high = (0.0, 1.0) if self.estimator == "proportion" else self.range or (-inf, inf)
        if self.range is not None and self.estimator == "proportion":
            raise rule_error("range: a proportion runs from 0 to 1, leave it out")
        if not low < high:
            raise rule_error("range: gives the lower end first, then the higher")
        if self.chance is not None and not low <= self.chance <= high:
            raise rule_error(f"chance: lies between {low:g} and {high:g}")
        return self


class HarnessSuite(SuiteSection):
    """A task or group of lm-evaluation-harness, asked and judged by its own code.

    ``metrics`` names what the task gives for each item (``acc``, ``acc_norm``, ``exact_match``);
    where it has several filters, ``exact_match.strict-match``. The prompts are the harness's, the
    model is ours: answers are kept and served models can be asked.
    """

    METRICS: ClassVar[dict[str, Metric]] = {}
    # What is asked is seen in the items, and no log of the harness says the limit.
    FREE: ClassVar[frozenset[str]] = SuiteSection.FREE | {"limit"}

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
        return {
            name: Metric(m.better, m.estimator, m.chance, m.range)
            for name, m in self.metrics.items()
        }
