"""Bits per byte on held-out text."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from configs.metrics import BITS_PER_BYTE, Metric
from configs.section import Name, rule_error
from configs.suites.base import SuiteSection


class BitsPerByteSuite(SuiteSection):
    """Bits a UTF-8 byte on held-out text: lower is a better model of it."""

    METRICS: ClassVar[dict[str, Metric]] = {
        "bits_per_byte": Metric("lower", "ratio", span=BITS_PER_BYTE)
    }

    kind: Literal["bits_per_byte"]
    name: Name
    source: Name | None = Field(None, description="held-out rows of this source")
    path: str | None = Field(None, description="or a file, folder, glob or package: path")
    dev_path: str | None = Field(None, description="the same, asked where split is dev")
    column: str = Field("text", description="of the file at path")
    limit: PositiveInt = Field(200, description="texts, chosen by seed")
    max_tokens: PositiveInt = Field(512, description="a text; the rest is left out and counted")
    batch_tokens: PositiveInt = 2048

    @model_validator(mode="after")
    def _one_origin(self) -> "BitsPerByteSuite":
        if (self.source is None) == (self.path is None):
            raise rule_error("give exactly one of source and path")
        return self
