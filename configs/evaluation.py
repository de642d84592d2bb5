"""Suites and gates."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from configs import metrics
from configs.gates import FloorGate as FloorGate
from configs.gates import Gate as Gate
from configs.gates import HoldGate as HoldGate
from configs.gates import ImproveGate as ImproveGate
from configs.metrics import Metric
from configs.section import Name, Section


class ClassificationSuite(Section):
    """Single-label classification by generation, over a fixed label list.

    The items are the held-out rows of a source: the prompt is every message but the last, the
    gold label is the last assistant message. The label list is that of the source's training rows
    and items, unless ``labels`` gives it.
    """

    METRICS: ClassVar[dict[str, Metric]] = metrics.CLASSIFICATION

    kind: Literal["classification"]
    name: Name
    source: Name
    labels: tuple[str, ...] | None = None
    items_per_label: PositiveInt | None = None
    max_new_tokens: int = Field(32, ge=1, le=512)
    batch_size: PositiveInt = 32

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics this suite gives, by name."""
        return self.METRICS


class MmluSuite(Section):
    """MMLU (Hendrycks et al. 2021) by answer letters and, optionally, in cloze form."""

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
        return metrics.MMLU if self.cloze else metrics.LETTERS


class BitsPerByteSuite(Section):
    """Bits a UTF-8 byte on held-out text: lower is a better model of it."""

    METRICS: ClassVar[dict[str, Metric]] = metrics.BITS_PER_BYTE

    kind: Literal["bits_per_byte"]
    name: Name
    source: Name | None = Field(None, description="held-out rows of this source")
    path: str | None = Field(None, description="or a file, folder, glob or package: path")
    column: str = Field("text", description="of the file at path")
    limit: PositiveInt = Field(200, description="texts, chosen by seed")
    max_tokens: PositiveInt = Field(512, description="a text; the rest is left out and counted")
    batch_tokens: PositiveInt = 4096

    @model_validator(mode="after")
    def _one_origin(self) -> "BitsPerByteSuite":
        if (self.source is None) == (self.path is None):
            raise ValueError("give exactly one of source and path")
        return self

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics this suite gives, by name."""
        return self.METRICS


Suite = Annotated[ClassificationSuite | MmluSuite | BitsPerByteSuite, Field(discriminator="kind")]


class Evaluation(Section):
    """The suites run on base and candidate."""

    suites: tuple[Suite, ...] = Field(min_length=1)
    split: Literal["test", "dev"] = Field("test", description="dev to choose, test to judge")
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
