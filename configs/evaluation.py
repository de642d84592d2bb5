"""Suites and gates."""

from typing import Literal

from pydantic import Field

from configs.gates import FloorGate, Gate, HoldGate, ImproveGate
from configs.section import Section
from configs.suites.bits_per_byte import BitsPerByteSuite
from configs.suites.choices import ArcSuite, HellaswagSuite, MultipleChoiceSuite
from configs.suites.generation import Gsm8kSuite, JudgeSuite, OpenAnswersSuite
from configs.suites.harness import HarnessSuite
from configs.suites.labels import ClassificationSuite, ExtractionSuite
from configs.suites.mmlu import MmluSuite
from configs.suites.nova_benchmark import NovaBenchmarkSuite
from configs.suites.union import Suite, metrics_by_kind

__all__ = [
    "ArcSuite",
    "BitsPerByteSuite",
    "ClassificationSuite",
    "Evaluation",
    "ExtractionSuite",
    "FloorGate",
    "Gate",
    "Gsm8kSuite",
    "HarnessSuite",
    "HellaswagSuite",
    "HoldGate",
    "ImproveGate",
    "JudgeSuite",
    "MmluSuite",
    "MultipleChoiceSuite",
    "NovaBenchmarkSuite",
    "OpenAnswersSuite",
    "Suite",
    "metrics_by_kind",
]


class Evaluation(Section):
    """The suites run on base and candidate."""

    suites: tuple[Suite, ...] = Field(min_length=1)
    split: Literal["test", "dev"] = Field("test", description="dev to choose, test to judge")
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    seed: int | None = Field(
        None,
        ge=0,
        lt=2**32,
        description="of splits and of the items asked; the recipe's when absent. Recipes that "
        "differ in their own seed alone are judged on the same items where it is set",
    )
