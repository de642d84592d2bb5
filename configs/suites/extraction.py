"""Extraction: a list of labelled spans for every item."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from configs.metrics import Metric
from configs.section import Name
from configs.suites.base import SuiteSection
from configs.suites.labels import MOST_LEVELS, SEVERAL, level_metrics

Key = Annotated[str, Field(min_length=1)]
METRICS: dict[str, Metric] = {
    **SEVERAL,
    "similarity_f1": Metric("higher", "ratio", 0.0),
    "partial": Metric("lower", "proportion"),
}


class ExtractionSuite(SuiteSection):
    """Labelled spans by generation: the model writes a JSON array of objects for each item.

    The items are the held-out rows of a source: the prompt is every message but the last, the gold
    list is the JSON array of the last assistant message. Each object says its label, in one key or
    in one key a level, and the text it is about where ``span`` names that key. What the model says
    is compared by the best one-to-one pairing; every prediction without a partner is a false alarm
    and every gold without one a miss. See ``tasks/evaluation/suites/label_lists.py`` for how an answer that
    is no clean JSON is read.
    """

    METRICS: ClassVar[dict[str, Metric]] = {**METRICS, **level_metrics(MOST_LEVELS, several=True)}

    kind: Literal["extraction"]
    name: Name
    source: Name
    keys: tuple[Key, ...] = Field(
        ("label",),
        min_length=1,
        max_length=MOST_LEVELS,
        description="keys of an object's label: its levels, coarse to fine, or one for all",
    )
    divider: str | None = Field(
        None, min_length=1, description="between levels, where one key holds them: '>'"
    )
    levels: int | None = Field(None, ge=1, le=MOST_LEVELS, description="as many as keys")
    span: Key | None = Field(None, description="key of the text that a label is about")
    span_overlap: float = Field(
        1.0, gt=0, le=1, description="token F1 of two spans from which on they are the same"
    )
    labels: tuple[str, ...] | None = Field(
        None,
        description="all of them; levels joined by the divider, or '>' with several keys",
    )
    limit: PositiveInt | None = Field(None, description="items, chosen by seed; all when absent")
    max_new_tokens: int = Field(512, ge=1, le=8192)
    batch_size: PositiveInt = 16

    @property
    def depth(self) -> int:
        """Levels of a full path."""
        return self.levels or len(self.keys)

    @model_validator(mode="after")
    def _levels_fit(self) -> "ExtractionSuite":
        if len(self.keys) > 1 and self.divider is not None:
            raise ValueError("levels are either several keys or parts of one: leave divider out")
        if len(self.keys) > 1 and self.depth != len(self.keys):
            raise ValueError("levels is the number of keys: leave it out")
        if len(self.keys) == 1 and (self.depth > 1) != (self.divider is not None):
            raise ValueError("one key with several levels needs both divider and levels")
        return self

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics this suite gives, by name."""
        return {**METRICS, **level_metrics(self.depth, several=True)}
