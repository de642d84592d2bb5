"""MMLU."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt

from configs.metrics import Metric
from configs.section import Name
from configs.suites.base import SuiteSection

LETTERS: dict[str, Metric] = {
    "accuracy": Metric("higher", "proportion", 0.25),
    "gold_logprob": Metric("higher", "mean"),
    "gold_margin": Metric("higher", "mean"),
    "letter_mass": Metric("higher", "mean"),
}
CLOZE: dict[str, Metric] = {
    "cloze_accuracy": Metric("higher", "proportion", 0.25),
    "cloze_margin": Metric("higher", "mean"),
    "cloze_gold_logprob": Metric("higher", "mean"),
}
METRICS: dict[str, Metric] = {**LETTERS, **CLOZE}


class MmluSuite(SuiteSection):
    """MMLU (Hendrycks et al. 2021) by answer letters and, optionally, in cloze form."""

    METRICS: ClassVar[dict[str, Metric]] = METRICS

    kind: Literal["mmlu"]
    name: Name
    shots: int = Field(0, ge=0, le=5)
    cloze: bool = Field(True, description="also score the answer texts themselves (zero-shot)")
    items_per_subject: PositiveInt | None = Field(None, description="all when absent")
    subjects: tuple[str, ...] | None = None
    path: str | None = Field(None, description="folder with dev and test files of your own")
    batch_tokens: PositiveInt = 4096

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics this suite gives, by name."""
        return METRICS if self.cloze else LETTERS
