"""Suites of labels: one an item, several an item, labels with levels, and labelled spans."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from configs.metrics import Metric
from configs.section import Name, rule_error
from configs.suites.base import PlotAxis, SuiteSection

ONE_LABEL, SEVERAL_LABELS, LABELLED_SPANS = "classification", "labels", "extraction"
"""Forms of the items of these suites."""
MOST_LEVELS = 8


def f1_metrics(form: str, level: int | None = None) -> dict[str, Metric]:
    """Return the three F1 of items with labels, at a level of their paths or in full."""
    micro: Literal["f1", "ratio"] = "f1" if form == ONE_LABEL else "ratio"
    return {
        "micro_f1": Metric("higher", micro, 0.0, None, (form,), "micro_f1", level),
        "macro_f1": Metric("higher", "f1", 0.0, None, (form,), "macro_f1", level),
        "weighted_f1": Metric("higher", "f1", 0.0, None, (form,), "weighted_f1", level),
    }


def list_metrics(form: str) -> dict[str, Metric]:
    """Return the metrics of items with a list of labels."""
    return {
        "exact_match": Metric("higher", "proportion", 0.0),
        "precision": Metric("higher", "ratio", 0.0, None, (form,), "precision"),
        "recall": Metric("higher", "ratio", 0.0, None, (form,), "recall"),
        **f1_metrics(form),
        "off_list": Metric("lower", "proportion"),
        "broken": Metric("lower", "proportion"),
    }


def level_metrics(levels: int, form: str) -> dict[str, Metric]:
    """Return the metrics of each level of a label's path, ``e1_...`` being the coarsest.

    Args:
        levels: Levels of a full path; one has no metrics of its own.
        form: Of the items.
    """
    return {
        f"e{level}_{name}": metric
        for level in range(1, levels + 1 if levels > 1 else 1)
        for name, metric in f1_metrics(form, level).items()
    }


SEVERAL: dict[str, Metric] = list_metrics(SEVERAL_LABELS)
SINGLE: dict[str, Metric] = {
    "accuracy": Metric("higher", "proportion", 0.0, None, (ONE_LABEL,), "score"),
    **f1_metrics(ONE_LABEL),
    "invalid_rate": Metric("lower", "proportion", None, None, (ONE_LABEL,), "invalid"),
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

    With ``answer: choose`` the model writes nothing: of the list's labels the one is taken whose
    text it finds the likeliest a byte after the prompt. That tells what the model knows, apart from
    whether it keeps to the list; it needs log-probabilities.
    """

    METRICS: ClassVar[dict[str, Metric]] = {
        name: metric._replace(forms=(ONE_LABEL, SEVERAL_LABELS) if metric.read else ())
        for name, metric in {
            **SEVERAL,
            **SINGLE,
            **level_metrics(MOST_LEVELS, ONE_LABEL),
        }.items()
    }
    LIMIT: ClassVar[str | None] = "items_per_label"
    AXIS: ClassVar[PlotAxis | None] = PlotAxis("domain", "macro_f1")

    kind: Literal["classification"]
    name: Name
    source: Name
    labels: tuple[str, ...] | None = None
    answer: Literal["write", "choose"] = Field(
        "write",
        description="write: the model writes the label; choose: the likeliest label of the list is "
        "taken, of models that give log-probabilities",
    )
    several: bool = Field(False, description="an item may have several labels, or none")
    divider: str = Field(",", min_length=1, description="between labels that are no JSON array")
    hierarchy: str | None = Field(
        None, min_length=1, description="between the levels of a label: '>'"
    )
    levels: int = Field(1, ge=1, le=MOST_LEVELS, description="of a full label")
    items_per_label: PositiveInt | None = None
    max_new_tokens: int = Field(32, ge=1, le=512)
    batch_size: PositiveInt = 32
    batch_tokens: PositiveInt = 2048

    @model_validator(mode="after")
    def _levels_are_divided(self) -> "ClassificationSuite":
        if (self.hierarchy is None) != (self.levels == 1):
            raise rule_error("labels with levels need both hierarchy and levels")
        if self.answer == "choose" and self.several:
            raise rule_error("one label is chosen of the list: several labels have to be written")
        return self

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics this suite gives, by name."""
        own = SEVERAL if self.several else SINGLE
        if self.levels > 1:
            own = {**own, "off_list": SEVERAL["off_list"]}
        form = SEVERAL_LABELS if self.several else ONE_LABEL
        return {**own, **level_metrics(self.levels, form)}


Key = Annotated[str, Field(min_length=1)]
SPANS: dict[str, Metric] = {
    **list_metrics(LABELLED_SPANS),
    "similarity_f1": Metric("higher", "ratio", 0.0, None, (LABELLED_SPANS,), "similarity_f1"),
    "partial": Metric("lower", "proportion"),
}


class ExtractionSuite(SuiteSection):
    """Labelled spans by generation: the model writes a JSON array of objects for each item.

    The items are the held-out rows of a source: the prompt is every message but the last, the gold
    list is the JSON array of the last assistant message. Each object says its label, in one key or
    in one key a level, and the text it is about where ``span`` names that key. What the model says
    is compared by the best one-to-one pairing; every prediction without a partner is a false alarm
    and every gold without one a miss. ``tasks/evaluation/suites/label_lists.py`` says how an answer
    that is no clean JSON is read.
    """

    METRICS: ClassVar[dict[str, Metric]] = {
        **SPANS,
        **level_metrics(MOST_LEVELS, LABELLED_SPANS),
    }

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
            raise rule_error("levels are either several keys or parts of one: leave divider out")
        if len(self.keys) > 1 and self.depth != len(self.keys):
            raise rule_error("levels is the number of keys: leave it out")
        if len(self.keys) == 1 and (self.depth > 1) != (self.divider is not None):
            raise rule_error("one key with several levels needs both divider and levels")
        return self

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics this suite gives, by name."""
        return {**SPANS, **level_metrics(self.depth, LABELLED_SPANS)}
