"""Every kind of suite with what opens it: a new kind is one row here."""

from typing import Any, Protocol

from configs.suites.base import SuiteSection
from tasks.errors import EvaluationError
from tasks.evaluation.harness.runner import open_harness
from tasks.evaluation.ifeval.runner import open_ifeval
from tasks.evaluation.items import EvalContext, SuiteRunner
from tasks.evaluation.suites.abstention import open_abstention
from tasks.evaluation.suites.adherence import open_adherence
from tasks.evaluation.suites.bits_per_byte import open_bits_per_byte
from tasks.evaluation.suites.brittleness import open_brittleness
from tasks.evaluation.suites.choices import open_choices
from tasks.evaluation.suites.classification import open_classification
from tasks.evaluation.suites.dialogues import open_dialogues
from tasks.evaluation.suites.gsm8k import open_gsm8k
from tasks.evaluation.suites.judge import open_judge
from tasks.evaluation.suites.label_lists import open_extraction
from tasks.evaluation.suites.mmlu import open_mmlu
from tasks.evaluation.suites.nova_benchmark import open_nova_benchmark
from tasks.evaluation.suites.open_answers import open_open_answers
from tasks.evaluation.suites.refusal import open_refusal
from tasks.evaluation.tool_calls.runner import open_tool_calls
from tasks.text.overlap import Item


class SuiteOpener(Protocol):
    """Makes a suite of its section: finds its items, and refuses what can't be asked."""

    def __call__(self, suite: Any, context: EvalContext) -> SuiteRunner:
        """Return the suite with its items.

        Args:
            suite: Its section.
            context: Split, seed and sources.

        Raises:
            EvaluationError: It has no usable items.
            SetupError: They, or what judges them, aren't on this machine.
        """


SUITES: dict[str, SuiteOpener] = {
    "abstention": open_abstention,
    "adherence": open_adherence,
    "arc": open_choices,
    "bits_per_byte": open_bits_per_byte,
    "brittleness": open_brittleness,
    "classification": open_classification,
    "dialogues": open_dialogues,
    "extraction": open_extraction,
    "gsm8k": open_gsm8k,
    "harness": open_harness,
    "hellaswag": open_choices,
    "ifeval": open_ifeval,
    "judge": open_judge,
    "mmlu": open_mmlu,
    "multiple_choice": open_choices,
    "nova_benchmark": open_nova_benchmark,
    "open_answers": open_open_answers,
    "refusal": open_refusal,
    "tool_calls": open_tool_calls,
}
"""Kind -> what opens it; heavy packages are imported where a suite needs them, not here."""


def open_suite(suite: SuiteSection, context: EvalContext) -> SuiteRunner:
    """Return the suite with its items.

    Raises:
        EvaluationError: Its kind has no row here, its source isn't among the context's, or has no
            usable rows.
        SetupError: Its items, or what judges them, aren't on this machine.
    """
    if suite.kind not in SUITES:
        raise EvaluationError(
            f"nothing opens suites of kind '{suite.kind}'.",
            where=f"evaluation.suites.{suite.name}.kind",
            fix=f"add it to tasks/evaluation/registry.py, or use one of {', '.join(SUITES)}.",
        )
    return SUITES[suite.kind](suite, context)


def overlap_texts(suite: SuiteSection, context: EvalContext) -> list[str | Item]:
    """Return what :class:`tasks.text.overlap.OverlapIndex` keeps out of training rows."""
    return open_suite(suite, context).overlap()
