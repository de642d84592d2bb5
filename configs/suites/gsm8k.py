"""GSM8K: grade-school sums with worked answers."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt

from configs.metrics import Metric
from configs.section import Name
from configs.suites.base import SuiteSection

METRICS: dict[str, Metric] = {
    "strict": Metric("higher", "proportion", 0.0),
    "flexible": Metric("higher", "proportion", 0.0),
}


class Gsm8kSuite(SuiteSection):
    """GSM8K (Cobbe et al. 2021) by generation, with worked examples before each question.

    As lm-evaluation-harness 0.4.13 ``gsm8k``: "Question: ...", "Answer:" on the next line, an empty
    line between examples, stopped at the next "Question:". ``strict`` reads the number after
    "#### ", ``flexible`` the last number of the answer; see ``tasks/metrics/text_scores.py``.
    The examples are the first of the training file; the harness draws others for each question.
    """

    METRICS: ClassVar[dict[str, Metric]] = METRICS

    kind: Literal["gsm8k"]
    name: Name
    shots: int = Field(5, ge=0, le=16)
    chat: bool = Field(False, description="as turns of a conversation, by the chat template")
    path: str | None = Field(None, description="file of the questions; the hub when absent")
    dev_path: str | None = Field(None, description="the same, asked where split is dev")
    examples: str | None = Field(None, description="file of the worked examples, with path")
    limit: PositiveInt | None = Field(None, description="items, chosen by seed; all when absent")
    max_new_tokens: int = Field(256, ge=8, le=4096)
    batch_size: PositiveInt = 16
