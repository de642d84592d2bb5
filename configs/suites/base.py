"""What the sections of all suites have in common."""

from typing import ClassVar

from configs.metrics import Metric
from configs.section import Name, Section

PLACES = frozenset(
    {
        "path",
        "dev_path",
        "contrast_path",
        "dev_contrast_path",
        "examples",
        "source",
        "include",
    }
)
"""Where items come from: their content counts, not where it lay."""


class SuiteSection(Section):
    """A suite of a recipe.

    Attributes:
        METRICS: Every metric the suite can give, by name.
        FREE: Fields that change neither what is asked nor how it is judged.
    """

    name: Name

    METRICS: ClassVar[dict[str, Metric]] = {}
    FREE: ClassVar[frozenset[str]] = PLACES | {"name", "batch_size", "batch_tokens"}

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics this suite gives, by name."""
        return self.METRICS

    def source_name(self) -> Name | None:
        """Return the source whose rows it reads, where it reads one."""
        return getattr(self, "source", None)
