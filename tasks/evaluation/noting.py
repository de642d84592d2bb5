"""What a suite asks, learnt without a model."""

from dataclasses import replace

from tasks.evaluation.items import Exam
from tasks.evaluation.judged import JudgeExam
from tasks.inference.replayed import Noted, Noting, prompts_of


def asked_by(exam: Exam, where: str) -> Noted:
    """Return all that a suite asks of the model that is evaluated; a judge is asked nothing.

    Args:
        exam: The suite with its items.
        where: The suite's place in the recipe.

    Raises:
        EvaluationError: What it asks depends on the answers, or it asks for log-probabilities.
    """
    if isinstance(exam, JudgeExam):
        exam = replace(exam, judge=lambda: Noting(""))
    return prompts_of(exam.sit, where)
