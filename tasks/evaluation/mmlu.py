"""MMLU put to a model: by answer letters, and by the answer texts (cloze)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from configs.evaluation import MmluSuite
from configs.suites.mmlu_subjects import GROUP_OF, GROUPS
from tasks.evaluation.items import ItemRow
from tasks.evaluation.mmlu_data import LETTERS, Question, Questions
from tasks.inference.seam import Choice, Chosen, Model
from tasks.progress import Progress, shifted
from tasks.storage import digest_of
from tasks.text.overlap import Item
from tasks.text.rows import Message

Form = Literal["letters", "chat_letters", "cloze"]


def letters_prompt(question: Question, examples: Sequence[Question] = ()) -> str:
    """Return what the answer letter follows, as in lm-evaluation-harness 0.4.13 ``mmlu``."""
    shown = [f"{_asked(e)} {LETTERS[e.answer]}" for e in examples]
    return _head(question) + "\n\n".join([*shown, _asked(question)])


def chat_prompt(question: Question, examples: Sequence[Question] = ()) -> list[Message]:
    """Return the same as a conversation, as the harness does where it applies a chat template."""
    said = [(_asked(e), LETTERS[e.answer]) for e in examples]
    shown = [
        Message(role=role, content=content)
        for pair in said
        for role, content in zip(("user", "assistant"), pair, strict=True)
    ]
    return [
        Message(role="system", content=_head(question)),
        *shown,
        Message(role="user", content=_asked(question)),
    ]


def _head(question: Question) -> str:
    subject = question.subject.replace("_", " ")
    return f"The following are multiple choice questions (with answers) about {subject}.\n\n"


def _asked(question: Question) -> str:
    choices = [f"{x}. {text}" for x, text in zip(LETTERS, question.choices, strict=True)]
    return "\n".join([question.question.strip(), *choices, "Answer:"])


def cloze_prompt(question: Question) -> str:
    """Return the prompt that the answer's text follows, as lighteval's MMLU cloze (zero-shot)."""
    return f"Question: {question.question.strip()}\nAnswer:"


@dataclass(frozen=True)
class MmluExam:
    """MMLU's questions with the form they are put in."""

    suite: MmluSuite
    questions: Questions
    needs: Literal["log_probs"] = "log_probs"

    @property
    def content(self) -> str:
        """Digest of questions and examples."""
        shown = {s: [e._asdict() for e in x] for s, x in self.questions.examples.items()}
        return digest_of({"ids": self.questions.ids, "examples": shown})

    @property
    def labels(self) -> None:
        """None: the letters are no labels of the suite's."""

    def sit(self, model: Model, progress: Progress | None = None) -> list[ItemRow]:
        """Return the answers in letters form, then (if asked) those in chat and cloze form."""
        wanted: dict[Form, bool] = {
            "letters": True,
            "chat_letters": self.suite.chat,
            "cloze": self.suite.cloze,
        }
        forms = [form for form, asked_for in wanted.items() if asked_for]
        size = len(self.questions.asked)
        rows: list[ItemRow] = []
        for done, form in enumerate(forms):
            told = shifted(progress, done * size, len(forms) * size)
            chosen = model.choices(self._asked(form), self.suite.batch_tokens, told)
            rows += [
                _row(form, item, question, found)
                for item, question, found in zip(
                    self.questions.ids, self.questions.asked, chosen, strict=True
                )
            ]
        return rows

    def asked(self, metric: str) -> int:
        """Return the questions; those of its subjects where the metric is a group's accuracy."""
        asked = self.questions.asked
        return sum(metric not in GROUPS or GROUP_OF.get(q.subject) == metric for q in asked)

    def overlap(self) -> list[str | Item]:
        """Return the questions with their choices; the few-shot examples are public and stay."""
        return [Item(q.question, q.choices) for q in self.questions.asked]

    def _asked(self, form: Form) -> list[Choice]:
        if form == "cloze":
            return [
                Choice(cloze_prompt(q), tuple(f" {c}" for c in q.choices))
                for q in self.questions.asked
            ]
        shown = self.questions.examples
        if form == "chat_letters":
            return [Choice(chat_prompt(q, shown[q.subject]), LETTERS) for q in self.questions.asked]
        options = tuple(f" {letter}" for letter in LETTERS)
        return [Choice(letters_prompt(q, shown[q.subject]), options) for q in self.questions.asked]


def _row(form: Form, item: str, question: Question, found: Chosen) -> ItemRow:
    words = question.choices if form == "cloze" else LETTERS
    sizes = [len(w.encode()) for w in words]
    # Longer texts are less likely whatever they say; lm-evaluation-harness calls this acc_norm.
    scores = [x / max(1, n) for x, n in zip(found.logprobs, sizes, strict=True)]
    best = scores.index(max(scores))
    group = GROUP_OF.get(question.subject) if form == "letters" else None
    return ItemRow(
        item_id=item,
        form=form,
        prompt_digest=found.prompt_digest,
        prompt_tokens=found.prompt_tokens,
        stratum=question.subject,
        gold=words[question.answer],
        prediction=words[best],
        choice_logprobs=found.logprobs,
        choice_bytes=sizes,
        gold_index=question.answer,
        score=float(best == question.answer),
        scores=None if group is None else {group: float(best == question.answer)},
        latency_s=found.latency_s,
        truncated=found.truncated,
    )
