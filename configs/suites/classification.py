"""Classification: one label an item or several, flat or with levels."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from configs.metrics import Metric
from configs.section import Name
from configs.suites.base import SuiteSection
from configs.suites.labels import MOST_LEVELS, SEVERAL, level_metrics

METRICS: dict[str, Metric] = {
    "accuracy": Metric("higher", "proportion", 0.0),
    "macro_f1": Metric("higher", "f1", 0.0),
    "micro_f1": Metric("higher", "f1", 0.0),
    "weighted_f1": Metric("higher", "f1", 0.0),
    "invalid_rate": Metric("lower", "proportion"),
}


class ClassificationSuite(SuiteSection):
    """Classification by generation, over a fixed label list; any other answer is a miss.

    The items are the held-out rows of a source: the prompt is every message but the last, the
    gold label is the last assistant message. The label list is that of the source's training rows
    and items, unless ``labels`` gives it.

    With ``several`` an item has any number of labels, as a JSON array or between dividers, in any
    order. With ``hierarchy`` a label is a path such as "Delivery > Late > Courier", and there is an
    F1 of each level (``e1_macro_f1``, the coarsest, and so on); a path that ends early stands for
    itself at the levels below. An answer of which only the first levels are known counts at those;
    it is ``off_list``, and invalid where not even its first level is known.
    """

    METRICS: ClassVar[dict[str, Metric]] = {
        **SEVERAL,
        **METRICS,
        **level_metrics(MOST_LEVELS, several=False),
    }

    kind: Literal["classification"]
    name: Name
    source: Name
    labels: tuple[str, ...] | None = None
    several: bool = Field(False, description="an item may have several labels, or none")
    divider: str = Field(",", min_length=1, description="between labels that are no JSON array")
    hierarchy: str | None = Field(
        None, min_length=1, description="between the levels of a label: '>'"
    )
    levels: int = Field(1, ge=1, le=MOST_LEVELS, description="of a full label")
    items_per_label: PositiveInt | None = None
    max_new_tokens: int = Field(32, ge=1, le=512)
    batch_size: PositiveInt = 32

    @model_validator(mode="after")
    def _levels_are_divided(self) -> "ClassificationSuite":
        if (self.hierarchy is None) != (self.levels == 1):
            raise ValueError("labels with levels need both hierarchy and levels")
        return self

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics this suite gives, by name."""
        own = SEVERAL if self.several else METRICS
        if self.levels > 1:
            own = {**own, "off_list": SEVERAL["off_list"]}
        return {**own, **level_metrics(self.levels, several=self.several)}
