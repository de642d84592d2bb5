"""Open answers: what the model writes against what could have been written."""

import json
from collections.abc import Callable, Sequence
from importlib.util import find_spec

from configs.suites.open_answers import OpenAnswersSuite
from tasks.artifacts import CleanSource, SplitName
from tasks.errors import SetupError
from tasks.evaluation.asked import Asked, questions_of
from tasks.evaluation.items import ItemRow, answered
from tasks.evaluation.runner import AnswersExam
from tasks.inference.seam import Answer, Prompt
from tasks.metrics.text_scores import exact, quasi_exact, token_f1


class OpenExam(AnswersExam[OpenAnswersSuite, Asked]):
    """Questions with their references."""

    def prompt(self, case: Asked) -> Prompt:
        """Return the question."""
        return Prompt(case.prompt)

    def rows(self, item: str, case: Asked, answer: Answer) -> list[ItemRow]:
        """Return the answer with its scores."""
        return [
            answered(item, "open", answer)._replace(
                cluster=case.group,
                gold=json.dumps(case.answers, ensure_ascii=False),
                prediction=answer.said.strip(),
                scores=scored(answer.said, case.answers, self.suite),
                score=quasi_exact_any(answer.said, case.answers),
            )
        ]


def scored(said: str, meant: Sequence[str], suite: OpenAnswersSuite) -> dict[str, float]:
    """Return the scores the suite asks for, the best over the references.

    BLEU is of all answers together: an answer has the counts it is computed from.
    """
    wanted = suite.metrics
    scores: dict[str, float] = {
        name: max(by(said, one) for one in meant)
        for name, by in _scorers().items()
        if name in wanted
    }
    if "bleu" in wanted:
        from tasks.metrics.text_scores import sentence_counts

        scores |= sentence_counts(said, meant, suite.bleu_words)
    return scores


def quasi_exact_any(said: str, meant: Sequence[str]) -> float:
    """Return 1 where an answer is quasi-exactly one of the references, else 0."""
    return max(quasi_exact(said, one) for one in meant)


def open_exam_of(
    suite: OpenAnswersSuite, source: CleanSource | None, split: SplitName, seed: int
) -> OpenExam:
    """Return the suite's questions, ``limit`` of them chosen by seed.

    Args:
        suite: The section.
        source: The source it names, or None where it reads a path.
        split: Which rows of the source, or which of its files.
        seed: The recipe's.

    Raises:
        EvaluationError: There are none, or one has no question or no answer.
        SetupError: A metric's library isn't installed.
    """
    _need_libraries(suite)
    return OpenExam(suite, questions_of(suite, source, split, seed))


def _need_libraries(suite: OpenAnswersSuite) -> None:
    """Refuse before any answer is paid for."""
    needed = {"rouge_l": "rouge_score", "bleu": "sacrebleu"}
    lacking = [
        name
        for metric, name in needed.items()
        if metric in suite.metrics and find_spec(name) is None
    ]
    if lacking:
        raise SetupError(
            f"{' and '.join(lacking)} isn't installed.",
            where=f"evaluation.suites.{suite.name}.metrics",
            fix="pip install 'temper-llm[texts]', or leave the metric out.",
        )


def _scorers() -> dict[str, Callable[[str, str], float]]:
    from tasks.evaluation.rouge import rouge_l

    return {"exact": exact, "quasi_exact": quasi_exact, "token_f1": token_f1, "rouge_l": rouge_l}
