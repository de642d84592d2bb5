"""What the sections of all suites have in common."""

from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field, PositiveInt, model_validator

from configs.metrics import Metric
from configs.section import Name, Section, rule_error

ORIGIN_FIELDS = frozenset(
    {"path", "dev_path", "contrast_path", "dev_contrast_path", "examples", "source", "include"}
)
"""Where items come from: their content counts, not where it lay."""


class PlotAxis(NamedTuple):
    """Where a suite stands on the scorecard's picture when no gate says what matters.

    Attributes:
        side: ``domain`` (up) or ``general`` (to the right).
        metric: The metric drawn.
        rank: The suite with the lowest is taken, the recipe's first of equals.
    """

    side: Literal["domain", "general"]
    metric: str
    rank: int = 0


class SuiteSection(Section):
    """A suite of a recipe, with what it knows of itself.

    Attributes:
        METRICS: Every metric the suite can give, by name.
        FREE: Fields that change neither what is asked nor how it is judged.
        LIMIT: The field that says how many items are asked, where there is one.
        AXIS: Where it stands on the scorecard's picture, where it may.
    """

    kind: str
    name: Name

    METRICS: ClassVar[dict[str, Metric]] = {}
    FREE: ClassVar[frozenset[str]] = ORIGIN_FIELDS | {"name", "batch_size", "batch_tokens"}
    LIMIT: ClassVar[str | None] = "limit"
    AXIS: ClassVar[PlotAxis | None] = None

    def item_limit(self) -> int | None:
        """Return how many items it asks (of a class or subject, maybe), where it says."""
        limit: int | None = None if self.LIMIT is None else getattr(self, self.LIMIT)
        return limit

    def protocol(self, labels: Any) -> dict[str, Any]:
        """Return how its items are put: the section, less what changes no item or score.

        Args:
            labels: Its fixed label list, or None.
        """
        return {**self.model_dump(mode="json", exclude=set(self.FREE)), "labels": labels}

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics this suite gives, by name."""
        return self.METRICS

    def source_name(self) -> Name | None:
        """Return the source whose rows it reads, where it reads one."""
        return getattr(self, "source", None)


class UserItemsSuite(SuiteSection):
    """A suite whose items are the records of files, or of a data set of the hub at a commit.

    Attributes:
        PUBLISHED: The data set that is read where neither ``path`` nor ``hub`` is given: its id,
            commit and split.
    """

    PUBLISHED: ClassVar[tuple[str, str, str] | None] = None
    FREE: ClassVar[frozenset[str]] = SuiteSection.FREE | {
        "dev_path",
        "hub",
        "revision",
        "subset",
        "hub_split",
    }

    name: Name
    path: str | None = Field(None, description="a file, folder, glob or package: path")
    dev_path: str | None = Field(None, description="the same, asked where split is dev")
    hub: str | None = Field(None, description="or a data set of the hub, OWNER/NAME")
    revision: str | None = Field(None, description="its commit")
    subset: str | None = Field(None, description="its configuration, where it has several")
    hub_split: str = Field("test", description="the hub's name of the split")
    limit: PositiveInt | None = Field(None, description="items, chosen by seed; all when absent")

    @model_validator(mode="after")
    def _one_place(self) -> "UserItemsSuite":
        if self.path is not None and self.hub is not None:
            raise rule_error("give path or hub, not both")
        if self.path is None and self.hub is None and self.PUBLISHED is None:
            raise rule_error("give path (a file, folder, glob or package: path), or hub")
        if self.hub is not None and self.revision is None:
            raise rule_error("a data set of the hub needs its commit: set revision")
        return self


class UserPromptsSuite(UserItemsSuite):
    """A suite of records of your own, each of which the model answers in writing."""

    max_new_tokens: PositiveInt = Field(512, le=8192, description="tokens of an answer")
    batch_size: PositiveInt = 16
