"""A suite of behaviour with its items, from its section."""

from typing import assert_never

from configs.suites.abstention import AbstentionSuite
from configs.suites.adherence import AdherenceSuite
from configs.suites.behaviour import Behaviour
from configs.suites.brittleness import BrittlenessSuite
from configs.suites.dialogues import DialoguesSuite
from configs.suites.ifeval import IfevalSuite
from configs.suites.refusal import RefusalSuite
from configs.suites.tool_calls import ToolCallsSuite
from tasks.artifacts import CleanSource
from tasks.evaluation.abstention import abstention_exam
from tasks.evaluation.adherence import adherence_exam
from tasks.evaluation.brittleness import brittleness_exam
from tasks.evaluation.context import EvalContext
from tasks.evaluation.dialogues import dialogues_exam
from tasks.evaluation.ifeval.exam import ifeval_exam
from tasks.evaluation.items import Exam
from tasks.evaluation.refusal import refusal_exam
from tasks.evaluation.tool_calls.exam import tool_calls_exam


def open_behaviour(suite: Behaviour, source: CleanSource | None, context: EvalContext) -> Exam:
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
