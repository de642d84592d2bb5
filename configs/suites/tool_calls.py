"""Calls of tools."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from configs.metrics import Metric
from configs.section import Name
from configs.suites.base import SuiteSection

CALLS: dict[str, Metric] = {
    "right_function": Metric("higher", "proportion", 0.0),
    "right_arguments": Metric("higher", "proportion", 0.0),
    "valid_arguments": Metric("higher", "proportion", 0.0),
}
NO_CALLS: dict[str, Metric] = {"no_call": Metric("higher", "proportion")}
ALL: dict[str, Metric] = {"accuracy_of_calls": Metric("higher", "proportion", 0.0)}


class ToolCallsSuite(SuiteSection):
    """Whether the right tools are called, with the right arguments, and none where none is due.

    The items are held-out rows of a source that have tools: the prompt is every message before an
    assistant's, with the row's tools; due are the calls that this message makes, or none. Each
    assistant's message of a row is an item of its own, the row being their cluster.
    ``right_function`` counts items whose calls name the right tools, ``right_arguments`` those
    whose arguments are right too (numbers by value, texts without regard to space around them,
    order of keys and of parallel calls free), ``valid_arguments`` those whose every call names an
    offered tool and satisfies its JSON schema, ``no_call`` the items where none is due and none is
    made, and ``accuracy_of_calls`` all items with everything right.
    """

    METRICS: ClassVar[dict[str, Metric]] = {**CALLS, **NO_CALLS, **ALL}

    kind: Literal["tool_calls"]
    name: Name
    source: Name | None = Field(None, description="held-out rows of this source")
    path: str | None = Field(None, description="or a file of rows with messages and tools")
    dev_path: str | None = Field(None, description="the same, asked where split is dev")
    due: Literal["both", "calls", "no_calls"] = Field("both", description="which items there are")
    last_only: bool = Field(False, description="of each row the last assistant's message alone")
    limit: PositiveInt | None = Field(None, description="items, chosen by seed; all when absent")
    max_new_tokens: PositiveInt = Field(256, le=8192, description="tokens of an answer")
    batch_size: PositiveInt = 16

    @model_validator(mode="after")
    def _one_origin(self) -> "ToolCallsSuite":
        if (self.source is None) == (self.path is None):
            raise ValueError("give exactly one of source and path")
        return self

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics this suite gives, by name."""
        return {
            **(CALLS if self.due != "no_calls" else {}),
            **(NO_CALLS if self.due != "calls" else {}),
            **ALL,
        }
