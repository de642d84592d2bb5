"""Questions that can't be answered beside some that can, put to a model."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from configs.suites.behaviour import AbstentionSuite
from tasks.errors import EvaluationError
from tasks.evaluation.datasets import (
    Located,
    fail,
    located,
    of_files,
    path_for,
    prompt_of,
    some,
    text_of,
    user,
)
from tasks.evaluation.items import ItemRow, answer_row, item_ids
from tasks.evaluation.runner import AnswersRunner
from tasks.metrics.calibration import auroc_shares
from tasks.models.api import Answer, Choice, Model, Prompt
from tasks.progress import Progress, shifted
from tasks.storage import digest_of
from tasks.text.refusals.detector import ABSTENTION_VERSION, abstains


class AbstentionCase(NamedTuple):
    """A question, and whether it can be answered."""

    question: str
    answerable: bool
    category: str | None


class AbstentionRunner(AnswersRunner[AbstentionSuite, AbstentionCase]):
    """Questions of both kinds."""

    @property
    def needs(self) -> Literal["answers", "log_probs"]:
        """Log-probabilities where the suite asks how sure the answers are."""
        return "log_probs" if self.suite.confidence else "answers"

    @property
    def content(self) -> str:
        """Digest of the questions and the rules' version."""
        return digest_of([ABSTENTION_VERSION, self.ids])

    def prompt(self, case: AbstentionCase) -> Prompt:
        """Return the question alone."""
        return Prompt(user(case.question))

    def rows(self, item: str, case: AbstentionCase, answer: Answer) -> list[ItemRow]:
        """Return a row of form ``unanswerable`` or ``answerable``.

        Gold is what should be done (``abstain`` or ``answer``), prediction what was done by the
        rules; the stratum is the form with the category. One that wasn't answered has no scores.
        """
        return [_row(item, case, answer)]

    def run(self, model: Model, progress: Progress | None = None) -> list[ItemRow]:
        """Put every question to the model; then, where the suite asks, how sure its answers are."""
        if not self.suite.confidence:
            return super().run(model, progress)
        size = len(self.cases)
        answers = self.answers(model, shifted(progress, 0, 2 * size))
        rows = [
            _row(item, case, answer)
            for (item, case), answer in zip(self.cases, answers, strict=True)
        ]
        return _with_auroc(rows, self._sureness(model, answers, shifted(progress, size, 2 * size)))

    def count_items(self, metric: str) -> int:
        """Return the questions of the metric's kind; all for ``auroc``."""
        kinds = {"abstention": (False,), "false_abstention": (True,)}.get(metric, (False, True))
        return sum(case.answerable in kinds for _, case in self.cases)

    def _sureness(
        self, model: Model, answers: Sequence[Answer], progress: Progress | None
    ) -> dict[int, float]:
        """Return the mean log-probability a token of each answer, by place, as far as it says
        anything.
        """
        places = [i for i, answer in enumerate(answers) if answer.said.strip()]
        asked = [Choice(user(self.cases[i][1].question), (answers[i].text,)) for i in places]
        found = model.choices(asked, self.suite.batch_tokens, progress)
        return {i: f.logprobs[0] / max(1, f.tokens[0]) for i, f in zip(places, found, strict=True)}


def open_abstention(suite: AbstentionSuite, split: str, seed: int) -> AbstentionRunner:
    """Return the suite's questions.

    Args:
        suite: The section; ``limit`` of its questions are chosen by ``seed``.
        split: ``test`` to judge, ``dev`` to choose.
        seed: The recipe's.

    Raises:
        EvaluationError: Fewer than two of a kind are asked, or a record doesn't say its kind.
    """
    cases = [_case(suite, found, None) for found in located(suite, split)]
    if suite.contrast_path is not None:
        cases = [case._replace(answerable=False) for case in cases]
        cases += [
            _case(suite, found, True) for found in of_files(path_for(suite, split, "contrast_path"))
        ]
    if suite.categories is not None:
        cases = [case for case in cases if case.category in suite.categories]
    chosen = some(cases, item_ids([c._asdict() for c in cases]), suite, seed)
    for kind in (False, True):
        if sum(case.answerable == kind for _, case in chosen) < 2:
            raise EvaluationError(
                f"fewer than two {'' if kind else 'un'}answerable questions are asked.",
                where=f"evaluation.suites.{suite.name}",
                fix="raise limit:, or give questions of both kinds (contrast_path:).",
            )
    return AbstentionRunner(suite, chosen)


def _case(suite: AbstentionSuite, found: Located, answerable: bool | None) -> AbstentionCase:
    if answerable is None:
        answerable = suite.contrast_path is None and _answerable(suite, found)
    return AbstentionCase(
        prompt_of(found, suite.prompt), answerable, text_of(found, suite.category)
    )


def _answerable(suite: AbstentionSuite, found: Located) -> bool:
    said = str(found.record.get(suite.answerable)).strip().casefold()
    if said not in ("true", "false", "1", "0"):
        fail(
            found,
            suite.answerable,
            "doesn't say true or false",
            "name the column with answerable:, or give the answerable ones as contrast_path:.",
        )
    return said in ("true", "1")


def _row(item: str, case: AbstentionCase, answer: Answer) -> ItemRow:
    form = "answerable" if case.answerable else "unanswerable"
    gold = "answer" if case.answerable else "abstain"
    stratum = f"{form}: {case.category}" if case.category else form
    row = answer_row(item, form, answer)._replace(gold=gold, stratum=stratum)
    if answer.error is not None:
        return row
    did = abstains(answer.said)
    metric = "false_abstention" if case.answerable else "abstention"
    return row._replace(
        prediction="abstain" if did else "answer",
        score=float((gold == "abstain") == did),
        scores={metric: float(did)},
    )


def _with_auroc(rows: list[ItemRow], sure: dict[int, float]) -> list[ItemRow]:
    """Add the rows' shares of the AUROC; an answer without a word is the least sure of all."""
    places = [i for i, row in enumerate(rows) if row.scores is not None]
    least = min(sure.values(), default=0.0) - 1
    scores = np.array([sure.get(i, least) for i in places])
    positive = np.array([rows[i].form == "answerable" for i in places])
    if not places or positive.all() or not positive.any():
        return rows
    for i, share in zip(places, auroc_shares(scores, positive), strict=True):
        rows[i] = rows[i]._replace(scores={**(rows[i].scores or {}), "auroc": float(share)})
    return rows
