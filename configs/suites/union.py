"""Any suite: one section a kind, told apart by ``kind``."""

from typing import Annotated, get_args

from pydantic import Field

from configs.metrics import Metric
from configs.suites.base import SuiteSection
from configs.suites.behaviour import BehaviourSuite
from configs.suites.bits_per_byte import BitsPerByteSuite
from configs.suites.choices import ArcSuite, HellaswagSuite, MultipleChoiceSuite
from configs.suites.generation import Gsm8kSuite, JudgeSuite, OpenAnswersSuite
from configs.suites.harness import HarnessSuite
from configs.suites.labels import ClassificationSuite, ExtractionSuite
from configs.suites.mmlu import MmluSuite
from configs.suites.nova_benchmark import NovaBenchmarkSuite

Suite = Annotated[
    ArcSuite
    | BehaviourSuite
    | BitsPerByteSuite
    | ClassificationSuite
    | ExtractionSuite
    | Gsm8kSuite
    | HarnessSuite
    | HellaswagSuite
    | JudgeSuite
    | MmluSuite
    | MultipleChoiceSuite
    | NovaBenchmarkSuite
    | OpenAnswersSuite,
    Field(discriminator="kind"),
]


def metrics_by_kind() -> dict[str, dict[str, Metric]]:
    """Return every metric that a suite of each kind can give."""
    sections: tuple[type[SuiteSection], ...] = get_args(get_args(Suite)[0])
    return {get_args(s.model_fields["kind"].annotation)[0]: s.METRICS for s in sections}
