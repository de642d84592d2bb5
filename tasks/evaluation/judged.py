"""Answers judged by another model: against a reference in both orders, or by a rubric."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from configs.suites.judge import JudgeSuite
from tasks.artifacts import CleanSource, SplitName
from tasks.evaluation.asked import Asked, questions_of
from tasks.evaluation.items import ItemRow, answered
from tasks.evaluation.runner import CaseExam
from tasks.evaluation.verdicts import (
    pair_prompt,
    pair_scores,
    read_pair,
    read_score,
    rubric_prompt,
    rubric_scores,
)
from tasks.inference.seam import Answer, Decoding, Model, Prompt
from tasks.progress import Progress, shifted
from tasks.text.overlap import Item
from tasks.text.rows import prompt_text

OpensJudge = Callable[[], Model]


@dataclass(frozen=True)
class JudgeExam(CaseExam[JudgeSuite, Asked]):
    """Questions, and what opens the model that judges what is answered to them.

    The judge is part of the suite's section, and so no part of ``content``.
    """

    judge: OpensJudge

    def sit(self, model: Model, progress: Progress | None = None) -> list[ItemRow]:
        """Return the answers, greedily decoded, with the judge's verdicts."""
        size = len(self.cases)
        whole = size * (3 if self.suite.mode == "pairwise" else 2)
        decoding = Decoding(self.suite.max_new_tokens, self.suite.batch_size)
        prompts = [Prompt(asked.prompt) for _, asked in self.cases]
        answers = model.answers(prompts, decoding, shifted(progress, 0, whole))
        said = self._judged(answers, shifted(progress, size, whole))
        judged = self._paired(said) if self.suite.mode == "pairwise" else self._scored(said)
        return [
            _row(item, asked, answer, *found)
            for (item, asked), answer, found in zip(self.cases, answers, judged, strict=True)
        ]

    def overlap(self) -> list[str | Item]:
        """Return the questions."""
        return [prompt_text(asked.prompt) for _, asked in self.cases]

    def _judged(self, answers: Sequence[Answer], progress: Progress | None) -> list[Answer]:
        """Return the judge's answers, of pairs first all in one order and then all in the other."""
        both = [
            (asked, answer.said) for (_, asked), answer in zip(self.cases, answers, strict=True)
        ]
        suite = self.suite
        if suite.mode == "pairwise":
            one = [pair_prompt(a.prompt, text, a.answers[0], suite.rubric) for a, text in both]
            other = [pair_prompt(a.prompt, a.answers[0], text, suite.rubric) for a, text in both]
            prompts = one + other
        else:
            prompts = [
                rubric_prompt(
                    a.prompt, text, next(iter(a.answers), None), suite.rubric, suite.scale
                )
                for a, text in both
            ]
        decoding = Decoding(suite.judge_tokens, suite.batch_size)
        return self.judge().answers([Prompt(p) for p in prompts], decoding, progress)

    def _paired(self, said: Sequence[Answer]) -> list[tuple[dict[str, float], list[Answer]]]:
        half = len(said) // 2
        pairs = list(zip(said[:half], said[half:], strict=True))
        return [(pair_scores(read_pair(a.said), read_pair(b.said)), [a, b]) for a, b in pairs]

    def _scored(self, said: Sequence[Answer]) -> list[tuple[dict[str, float], list[Answer]]]:
        scale = self.suite.scale
        return [(rubric_scores(read_score(a.said, scale), scale), [a]) for a in said]


def judge_exam(
    suite: JudgeSuite,
    source: CleanSource | None,
    split: SplitName,
    seed: int,
    judge: OpensJudge,
) -> JudgeExam:
    """Return the suite's questions, ``limit`` of them chosen by seed, with their judge.

    Args:
        suite: The section.
        source: The source it names, or None where it reads a path.
        split: Which rows of the source, or which of its files.
        seed: The recipe's.
        judge: Opens the model that judges, once there is something to judge.

    Raises:
        EvaluationError: There are none, or one has no question, or no reference to compare with.
    """
    bare = suite.mode == "rubric"
    return JudgeExam(suite, questions_of(suite, source, split, seed, bare), judge)


def _row(
    item: str, asked: Asked, answer: Answer, scores: dict[str, float], said: Sequence[Answer]
) -> ItemRow:
    main = scores.get("win_rate", scores.get("rubric_score"))
    error = answer.error or next((s.error for s in said if s.error), None)
    return answered(item, "judged", answer)._replace(
        cluster=asked.group,
        gold=next(iter(asked.answers), None),
        score=main,
        scores=scores,
        prediction=json.dumps([s.text for s in said], ensure_ascii=False),
        error=error,
    )
