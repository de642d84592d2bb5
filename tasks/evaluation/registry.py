"""A recipe's suite with its items, from its section."""

from functools import partial
from typing import assert_never

from configs.suites.behaviour import (
    AbstentionSuite,
    AdherenceSuite,
    BehaviourSuite,
    BrittlenessSuite,
    DialoguesSuite,
    IfevalSuite,
    RefusalSuite,
    ToolCallsSuite,
)
from configs.suites.bits_per_byte import BitsPerByteSuite
from configs.suites.choices import ArcSuite, HellaswagSuite, MultipleChoiceSuite
from configs.suites.generation import Gsm8kSuite, JudgeSuite, OpenAnswersSuite
from configs.suites.harness import HarnessSuite
from configs.suites.labels import ClassificationSuite, ExtractionSuite
from configs.suites.mmlu import MmluSuite
from configs.suites.nova_benchmark import NovaBenchmarkSuite
from configs.suites.union import Suite
from tasks.artifacts import CleanSource
from tasks.errors import EvaluationError
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
from tasks.evaluation.suites.label_lists import open_extraction, open_several_labels
from tasks.evaluation.suites.mmlu import MmluRunner, load_questions
from tasks.evaluation.suites.nova_benchmark import NovaRunner
from tasks.evaluation.suites.open_answers import open_open_answers
from tasks.evaluation.suites.refusal import open_refusal
from tasks.evaluation.tool_calls.runner import open_tool_calls
from tasks.models.api import Model
from tasks.models.cache import Cached
from tasks.models.factory import open_model
from tasks.text.overlap import Item


def open_suite(suite: Suite, context: EvalContext) -> SuiteRunner:
    """Return the suite with its items.

    Raises:
        EvaluationError: Its source isn't among the context's, or has no usable rows.
    """
    source = source_of(suite, context)
    match suite:
        case MmluSuite():
            return MmluRunner(suite, load_questions(suite, context.split, context.seed))
        case ArcSuite() | HellaswagSuite() | MultipleChoiceSuite():
            return open_choices(suite, context.split, context.seed)
        case Gsm8kSuite():
            return open_gsm8k(suite, context.split, context.seed)
        case OpenAnswersSuite():
            return open_open_answers(suite, source, context.split, context.seed)
        case JudgeSuite():
            return open_judge(suite, source, context.split, context.seed, partial(_judge, suite))
        case ClassificationSuite():
            assert source is not None
            opened = open_several_labels if suite.several else open_classification
            return opened(suite, source, context.split, context.seed)
        case ExtractionSuite():
            assert source is not None
            return open_extraction(suite, source, context.split, context.seed)
        case BitsPerByteSuite():
            return open_bits_per_byte(suite, source, context.split, context.seed)
        case HarnessSuite() | NovaBenchmarkSuite():
            return _run_elsewhere(suite, context)
        case _:
            return open_behaviour(suite, source, context)


def _run_elsewhere(suite: HarnessSuite | NovaBenchmarkSuite, context: EvalContext) -> SuiteRunner:
    if isinstance(suite, NovaBenchmarkSuite):
        return NovaRunner(suite, ())
    from tasks.evaluation.harness.runner import open_harness

    return open_harness(suite, context.split)


def overlap_texts(suite: Suite, context: EvalContext) -> list[str | Item]:
    """Return what :class:`tasks.text.overlap.OverlapIndex` keeps out of training rows."""
    return open_suite(suite, context).overlap()


def _judge(suite: JudgeSuite) -> Model:
    return Cached(open_model(suite.judge))


def source_of(suite: Suite, context: EvalContext) -> CleanSource | None:
    """Return the source whose rows the suite reads; None where it reads none.

    Raises:
        EvaluationError: It isn't among the context's.
    """
    name = suite.source_name()
    if name is None:
        return None
    if name not in context.sources:
        known = ", ".join(sorted(context.sources)) or "none"
        raise EvaluationError(
            f"the source '{name}' wasn't prepared.",
            where=f"evaluation.suites.{suite.name}.source",
            fix=f"name one that was: {known}.",
        )
    return context.sources[name]


# A suite of behaviour with its items, from its section.


def open_behaviour(
    suite: BehaviourSuite, source: CleanSource | None, context: EvalContext
) -> SuiteRunner:
    """Return the suite with its items.

    Args:
        suite: The section.
        source: The source it names, or None where it reads a path.
        context: Split, seed and dtype.

    Raises:
        EvaluationError: It has no usable items.
        SetupError: They, or what judges them, aren't on this machine.
    """
    split, seed = context.split, context.seed
    match suite:
        case IfevalSuite():
            return open_ifeval(suite, split, seed)
        case RefusalSuite():
            return open_refusal(suite, split, seed)
        case AbstentionSuite():
            return open_abstention(suite, split, seed)
        case DialoguesSuite():
            return open_dialogues(suite, split, seed)
        case AdherenceSuite():
            return open_adherence(suite, split, seed)
        case BrittlenessSuite():
            return open_brittleness(suite, source, split, seed)
        case ToolCallsSuite():
            return open_tool_calls(suite, source, split, seed)
        case _:
            assert_never(suite)
