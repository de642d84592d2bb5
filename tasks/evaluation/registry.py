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
from tasks.evaluation.ifeval.exam import ifeval_exam
from tasks.evaluation.items import EvalContext, Exam
from tasks.evaluation.suites.abstention import abstention_exam
from tasks.evaluation.suites.adherence import adherence_exam
from tasks.evaluation.suites.bits_per_byte import text_exam
from tasks.evaluation.suites.brittleness import brittleness_exam
from tasks.evaluation.suites.choices import choices_exam
from tasks.evaluation.suites.classification import classification_exam
from tasks.evaluation.suites.dialogues import dialogues_exam
from tasks.evaluation.suites.gsm8k import sums_exam
from tasks.evaluation.suites.judge import judge_exam
from tasks.evaluation.suites.label_lists import extraction_exam, several_exam
from tasks.evaluation.suites.mmlu import MmluExam, load_questions
from tasks.evaluation.suites.nova_benchmark import NovaExam
from tasks.evaluation.suites.open_answers import open_exam_of
from tasks.evaluation.suites.refusal import refusal_exam
from tasks.evaluation.tool_calls.exam import tool_calls_exam
from tasks.models.api import Model
from tasks.models.cache import Cached
from tasks.models.factory import open_model
from tasks.text.overlap import Item


def open_exam(suite: Suite, context: EvalContext) -> Exam:
    """Return the suite with its items.

    Raises:
        EvaluationError: Its source isn't among the context's, or has no usable rows.
    """
    source = source_of(suite, context)
    match suite:
        case MmluSuite():
            return MmluExam(suite, load_questions(suite, context.split, context.seed))
        case ArcSuite() | HellaswagSuite() | MultipleChoiceSuite():
            return choices_exam(suite, context.split, context.seed)
        case Gsm8kSuite():
            return sums_exam(suite, context.split, context.seed)
        case OpenAnswersSuite():
            return open_exam_of(suite, source, context.split, context.seed)
        case JudgeSuite():
            return judge_exam(suite, source, context.split, context.seed, partial(_judge, suite))
        case ClassificationSuite():
            assert source is not None
            opened = several_exam if suite.several else classification_exam
            return opened(suite, source, context.split, context.seed)
        case ExtractionSuite():
            assert source is not None
            return extraction_exam(suite, source, context.split, context.seed)
        case BitsPerByteSuite():
            return text_exam(suite, source, context.split, context.seed)
        case HarnessSuite() | NovaBenchmarkSuite():
            return _run_elsewhere(suite, context)
        case _:
            return open_behaviour(suite, source, context)


def _run_elsewhere(suite: HarnessSuite | NovaBenchmarkSuite, context: EvalContext) -> Exam:
    if isinstance(suite, NovaBenchmarkSuite):
        return NovaExam(suite, ())
    from tasks.evaluation.harness.exam import harness_exam

    return harness_exam(suite, context.split)


def overlap_texts(suite: Suite, context: EvalContext) -> list[str | Item]:
    """Return what :class:`tasks.text.overlap.OverlapIndex` keeps out of training rows."""
    return open_exam(suite, context).overlap()


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


def open_behaviour(suite: BehaviourSuite, source: CleanSource | None, context: EvalContext) -> Exam:
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
            return ifeval_exam(suite, split, seed)
        case RefusalSuite():
            return refusal_exam(suite, split, seed)
        case AbstentionSuite():
            return abstention_exam(suite, split, seed)
        case DialoguesSuite():
            return dialogues_exam(suite, split, seed)
        case AdherenceSuite():
            return adherence_exam(suite, split, seed)
        case BrittlenessSuite():
            return brittleness_exam(suite, source, split, seed)
        case ToolCallsSuite():
            return tool_calls_exam(suite, source, split, seed)
        case _:
            assert_never(suite)
