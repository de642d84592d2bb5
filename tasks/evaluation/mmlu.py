"""MMLU put to a model: by answer letters, and by the answer texts (cloze)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from configs.evaluation import MmluSuite
from tasks.evaluation.items import Form, ItemRow, prompt_digest
from tasks.evaluation.mmlu_data import LETTERS, Question, Questions
from tasks.inference.loading import TorchModel, most_positions
from tasks.inference.progress import Progress, shifted
from tasks.inference.spans import Span, encode_options, fit
from tasks.storage import digest_of
from tasks.text.chat import Tokenizer


def letters_prompt(question: Question, examples: Sequence[Question] = ()) -> str:
    """Return what the answer letter follows, as in lm-evaluation-harness 0.4.13 ``mmlu``."""
    subject = question.subject.replace("_", " ")
    head = f"The following are multiple choice questions (with answers) about {subject}.\n\n"
    shown = [f"{_asked(e)} {LETTERS[e.answer]}" for e in examples]
    return head + "\n\n".join([*shown, _asked(question)])


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

    @property
    def content(self) -> str:
        """Digest of questions and examples."""
        shown = {s: [e._asdict() for e in x] for s, x in self.questions.examples.items()}
        return digest_of({"ids": self.questions.ids, "examples": shown})

    @property
    def labels(self) -> None:
        """None: the letters are no labels of the suite's."""

    def sit(
        self, model: TorchModel, tokenizer: Tokenizer, progress: Progress | None = None
    ) -> list[ItemRow]:
        """Return the answers in letters form, then (if asked) those in cloze form."""
        forms: list[Form] = ["letters", "cloze"] if self.suite.cloze else ["letters"]
        size = len(self.questions.asked)
        rows: list[ItemRow] = []
        for done, form in enumerate(forms):
            told = shifted(progress, done * size, len(forms) * size)
            rows += self._form(form, model, tokenizer, told)
        return rows

    def _form(
        self, form: Form, model: TorchModel, tokenizer: Tokenizer, progress: Progress | None
    ) -> list[ItemRow]:
        from tasks.inference.scoring import continuation_logprobs

        start = time.perf_counter()
        limit = most_positions(model)
        fitted = [[fit(span, limit) for span in spans] for spans in self._spans(form, tokenizer)]
        groups = [[span for span, _ in spans] for spans in fitted]
        logprobs = continuation_logprobs(model, groups, self.suite.batch_tokens, progress)
        each = (time.perf_counter() - start) / max(1, len(groups))
        return [
            _row(form, question, prompt, values)._replace(
                item_id=item, latency_s=each, truncated=any(cut for _, cut in spans))
            for item, question, prompt, values, spans in zip(
                self.questions.ids, self.questions.asked, groups, logprobs, fitted, strict=True)
        ]  # fmt: skip

    def _spans(self, form: Form, tokenizer: Tokenizer) -> list[list[Span]]:
        if form == "cloze":
            return [encode_options(tokenizer, cloze_prompt(q), [f" {c}" for c in q.choices])
                    for q in self.questions.asked]  # fmt: skip
        options = [f" {letter}" for letter in LETTERS]
        shown = self.questions.examples
        return [encode_options(tokenizer, letters_prompt(q, shown[q.subject]), options)
                for q in self.questions.asked]  # fmt: skip


def _row(form: Form, question: Question, spans: list[Span], logprobs: list[float]) -> ItemRow:
    words = LETTERS if form == "letters" else question.choices
    sizes = [len(w.encode()) for w in words]
    # Longer texts are less likely whatever they say; lm-evaluation-harness calls this acc_norm.
    scores = [x / max(1, n) for x, n in zip(logprobs, sizes, strict=True)]
    best = scores.index(max(scores))
    context = min(spans[0].at)
    ids = [token for span in spans for token in span.ids]
    return ItemRow(
        item_id="", form=form, prompt_digest=prompt_digest(ids), prompt_tokens=context,
        cluster=question.subject, gold=words[question.answer], prediction=words[best],
        choice_logprobs=logprobs, choice_bytes=sizes, gold_index=question.answer,
        score=float(best == question.answer),
    )  # fmt: skip
