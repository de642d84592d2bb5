"""Single-label classification."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt

from configs.metrics import Metric
from configs.section import Name
from configs.suites.base import SuiteSection

METRICS: dict[str, Metric] = {
    "accuracy": Metric("higher", "proportion", 0.0),
    "macro_f1": Metric("higher", "f1", 0.0),
    "micro_f1": Metric("higher", "f1", 0.0),
    "weighted_f1": Metric("higher", "f1", 0.0),
    "invalid_rate": Metric("lower", "proportion"),
}


class ClassificationSuite(SuiteSection):
    """Single-label classification by generation, over a fixed label list.

    The items are the held-out rows of a source: the prompt is every message but the last, the
    gold label is the last assistant message. The label list is that of the source's training rows
    and items, unless ``labels`` gives it.
    """

    METRICS: ClassVar[dict[str, Metric]] = METRICS

    kind: Literal["classification"]
    name: Name
    source: Name
    labels: tuple[str, ...] | None = None
    items_per_label: PositiveInt | None = None
    max_new_tokens: int = Field(32, ge=1, le=512)
    batch_size: PositiveInt = 32
