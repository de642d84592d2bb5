"""Multiple choice put to a model: by the answers' texts, and by their letters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.evaluation.choices.load import ChoicesSuite, Questions, load_questions
from tasks.evaluation.choices.questions import LETTERS, Question
from tasks.evaluation.items import ItemRow
from tasks.inference.seam import Choice, Chosen, Model
from tasks.progress import Progress, shifted
from tasks.storage import digest_of
from tasks.text.overlap import Item

Form = Literal["letters", "cloze"]


@dataclass(frozen=True)
class ChoicesExam:
    """Questions with the forms they are put in."""

    suite: ChoicesSuite
    questions: Questions
    needs: Literal["log_probs"] = "log_probs"

    @property
    def content(self) -> str:
        """Digest of the questions."""
        return digest_of([[i, q.asked] for i, q in zip(*self._both(), strict=True)])

    @property
    def labels(self) -> None:
        """None: letters are no labels of the suite's."""

    def sit(self, model: Model, progress: Progress | None = None) -> list[ItemRow]:
        """Return the answers by letters, then those by texts, as far as the suite asks for them."""
        wanted: dict[Form, bool] = {"letters": self.suite.letters, "cloze": self.suite.texts}
        forms = [form for form, asked_for in wanted.items() if asked_for]
        size = len(self.questions.asked)
        rows: list[ItemRow] = []
        for done, form in enumerate(forms):
            told = shifted(progress, done * size, len(forms) * size)
            put = letters if form == "letters" else texts
            asked = [put(question) for question in self.questions.asked]
            chosen = model.choices(asked, self.suite.batch_tokens, told)
            rows += [
                _row(form, item, question, found)
                for (item, question), found in zip(
                    zip(*self._both(), strict=True), chosen, strict=True
                )
            ]
        return rows

    def overlap(self) -> list[str | Item]:
        """Return the questions with their answers."""
        return [Item(q.asked, q.choices) for q in self.questions.asked]

    def _both(self) -> tuple[list[str], list[Question]]:
        return self.questions.ids, self.questions.asked


def choices_exam(suite: ChoicesSuite, split: str, seed: int) -> ChoicesExam:
    """Return the suite with its questions; what is raised is that of ``load_questions``."""
    return ChoicesExam(suite, load_questions(suite, split, seed))


def texts(question: Question) -> Choice:
    """Return a question with the texts of its answers as options."""
    return Choice(question.context, tuple(f" {choice}" for choice in question.choices))


def letters(question: Question) -> Choice:
    """Return a question with its answers listed and their letters as options."""
    named = list(zip(LETTERS, question.choices, strict=False))
    listed = [f"{letter}. {choice}" for letter, choice in named]
    context = "\n".join([question.asked.strip(), *listed, "Answer:"])
    return Choice(context, tuple(f" {letter}" for letter, _ in named))


def best_of(scores: Sequence[float]) -> int:
    """Return the place of the highest score, the first of equals."""
    return list(scores).index(max(scores))


def _row(form: Form, item: str, question: Question, found: Chosen) -> ItemRow:
    words = LETTERS[: len(question.choices)] if form == "letters" else question.choices
    # As lm-evaluation-harness's acc_norm: by characters, not bytes or tokens.
    each = [x / max(1, len(w)) for x, w in zip(found.logprobs, words, strict=True)]
    plain, fair = best_of(found.logprobs), best_of(each)
    best = plain if form == "letters" else fair
    right = question.answer
    scores = {"acc": float(plain == right), "acc_norm": float(fair == right)}
    return ItemRow(
        item_id=item,
        form=form,
        prompt_digest=found.prompt_digest,
        prompt_tokens=found.prompt_tokens,
        cluster=question.group,
        stratum=question.category,
        gold=words[right],
        prediction=words[best],
        choice_logprobs=found.logprobs,
        choice_bytes=[len(w.encode()) for w in words],
        gold_index=right,
        score=float(best == right),
        scores=scores if form == "cloze" else None,
        latency_s=found.latency_s,
        truncated=found.truncated,
    )
