"""Every item under several templates that say the same."""

import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from configs.metrics import Metric
from configs.suites.behaviour import BrittlenessSuite
from configs.suites.choices import MultipleChoiceSuite
from tasks.artifacts import CleanSource, SplitName
from tasks.errors import EvaluationError
from tasks.evaluation.datasets import held_out, of_files, path_for, some
from tasks.evaluation.items import ItemRow, answer_row, item_ids
from tasks.evaluation.suites.choices import own_question
from tasks.evaluation.suites.classification import label_index, parse_label
from tasks.models.api import Choice, Decoding, Model, Prompt
from tasks.progress import Progress, shifted
from tasks.storage import digest_of
from tasks.text.overlap import Item
from tasks.text.rows import Message, prompt_text

# Templates that ask the same in other words.

CLASSIFICATION: tuple[str, ...] = (
    "{prompt}",
    "{prompt}\n\nAnswer with the label alone.",
    "Text: {prompt}\nLabel:",
    "Read the following and say which label fits it.\n\n{prompt}",
    "INPUT: {prompt}\nOUTPUT:",
    '"{prompt}"\n\nWhich label is this?',
    "### Message\n{prompt}\n\n### Label",
    "Please classify:\n{prompt}",
)
"""Eight, the item's own words first."""


class ListingTemplate(NamedTuple):
    """A way to ask a question with its answers listed.

    Attributes:
        text: With ``{question}`` and ``{choices}``.
        mark: How an answer is marked: ``{n}`` is its letter or number.
        numbers: Whether answers are numbered.
        between: What stands between answers.
    """

    text: str
    mark: str = "{n}. "
    numbers: bool = False
    between: str = "\n"

    def names(self, count: int) -> tuple[str, ...]:
        """Return what the answers are called."""
        named = [str(i + 1) for i in range(count)] if self.numbers else string.ascii_uppercase
        return tuple(named[:count])

    def asked(self, question: str, choices: tuple[str, ...]) -> str:
        """Return the question with its answers."""
        marks = (self.mark.replace("{n}", name) for name in self.names(len(choices)))
        listed = self.between.join(m + c for m, c in zip(marks, choices, strict=True))
        # The question may hold the other field's name: what is filled in is not read again.
        before, after = self.text.split("{question}", 1)
        return before.replace("{choices}", listed) + question + after.replace("{choices}", listed)


MULTIPLE_CHOICE: tuple[ListingTemplate, ...] = (
    ListingTemplate("{question}\n{choices}\nAnswer:"),
    ListingTemplate("Question: {question}\nChoices:\n{choices}\nAnswer:", "({n}) "),
    ListingTemplate("{question}\n\n{choices}\n\nThe right answer is", "{n}) "),
    ListingTemplate("Question: {question}\n{choices}\nCorrect option:", "{n}: "),
    ListingTemplate("{question}\n{choices}\nAnswer:", "{n}. ", True),
    ListingTemplate("Choose the right answer.\n{question}\n{choices}\nAnswer:", "[{n}] "),
    ListingTemplate("Q: {question}\nOptions: {choices}\nA:", "{n}. ", False, "; "),
    ListingTemplate(
        "Here are possible answers:\n{choices}\n\nQuestion: {question}\nAnswer:", "{n}. "
    ),
)
"""Eight, the form of MMLU first."""


class BrittlenessCase(NamedTuple):
    """An item: a conversation with its label, or a question with its answers.

    Attributes:
        prompt: What is asked, without template.
        gold: The right label or answer.
        choices: A question's answers; none of a classification.
        category: Subject or category.
        group: What items that depend on each other share.
    """

    prompt: tuple[Message, ...]
    gold: str
    choices: tuple[str, ...] = ()
    category: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class BrittlenessRunner:
    """Items, and the label list of a classification."""

    suite: BrittlenessSuite
    cases: Sequence[tuple[str, BrittlenessCase]]
    labels: tuple[str, ...] | None

    @property
    def needs(self) -> Literal["answers", "log_probs"]:
        """Log-probabilities where answers are chosen."""
        return "answers" if self.labels is not None else "log_probs"

    @property
    def content(self) -> str:
        """Digest of items, templates and labels."""
        return digest_of([[i for i, _ in self.cases], self._templates(), self.labels])

    def metrics(self) -> dict[str, Metric]:
        """Return the metrics, with the accuracy of a guess where answers are chosen.

        A guess is right once in as many times as there are answers, on average over the items.
        """
        table = self.suite.metric_table()
        if self.labels is not None:
            return table
        guess = sum(1 / len(case.choices) for _, case in self.cases) / len(self.cases)
        guessed = ("mean_accuracy", "worst_accuracy", "best_accuracy")
        return table | {name: table[name]._replace(chance=guess) for name in guessed}

    def run(self, model: Model, progress: Progress | None = None) -> list[ItemRow]:
        """Return a row of form ``under N`` for each item and template, then one of form ``item``
        for each item, with its scores over all templates.

        An item that wasn't answered under some template has no scores.
        """
        put = self._labelled if self.labels is not None else self._chosen
        templates, size = self._templates(), len(self.cases)
        under = [
            put(model, number, shifted(progress, number * size, len(templates) * size))
            for number in range(len(templates))
        ]
        return [row for rows in under for row in rows] + over_templates(under)

    def overlap(self) -> list[str | Item]:
        """Return the items without template."""
        return [
            Item(prompt_text(c.prompt), c.choices) if c.choices else prompt_text(c.prompt)
            for _, c in self.cases
        ]

    def _templates(self) -> Sequence[str | ListingTemplate]:
        if self.labels is not None:
            return self.suite.templates or CLASSIFICATION
        return [ListingTemplate(text) for text in self.suite.templates or ()] or MULTIPLE_CHOICE

    def _labelled(self, model: Model, number: int, progress: Progress | None) -> list[ItemRow]:
        template, index = str(self._templates()[number]), label_index(self.labels or ())
        prompts = [Prompt(_worded(case.prompt, template)) for _, case in self.cases]
        decoding = Decoding(self.suite.max_new_tokens, self.suite.batch_size)
        rows = []
        answers = model.answers(prompts, decoding, progress)
        for (item, case), answer in zip(self.cases, answers, strict=True):
            said = parse_label(answer.said, index)
            right = None if answer.error is not None else float(said == case.gold)
            rows.append(
                answer_row(item, f"under {number}", answer)._replace(
                    cluster=case.group,
                    stratum=case.category,
                    gold=case.gold,
                    prediction=said,
                    score=right,
                )
            )
        return rows

    def _chosen(self, model: Model, number: int, progress: Progress | None) -> list[ItemRow]:
        template = self._templates()[number]
        assert isinstance(template, ListingTemplate)
        asked = []
        for _, case in self.cases:
            options = tuple(f" {name}" for name in template.names(len(case.choices)))
            asked.append(Choice(template.asked(case.prompt[0]["content"], case.choices), options))
        found = model.choices(asked, self.suite.batch_tokens, progress)
        return [
            ItemRow(
                item,
                f"under {number}",
                f.prompt_digest,
                f.prompt_tokens,
                cluster=case.group,
                stratum=case.category,
                gold=case.gold,
                prediction=(best := _best(case, f.logprobs)),
                choice_logprobs=f.logprobs,
                choice_bytes=f.bytes,
                score=float(best == case.gold),
                latency_s=f.latency_s,
                truncated=f.truncated,
            )
            for (item, case), f in zip(self.cases, found, strict=True)
        ]


def over_templates(under: Sequence[Sequence[ItemRow]]) -> list[ItemRow]:
    """Return a row an item with its scores over all templates.

    Args:
        under: The items' rows under each template, in one order.
    """
    items = list(zip(*under, strict=True))
    whole = [rows for rows in items if all(row.score is not None for row in rows)]
    means = [sum(rows[n].score or 0.0 for rows in whole) for n in range(len(under))]
    worst, best = means.index(min(means)), means.index(max(means))
    return [_summary(rows, worst, best) for rows in items]


def _summary(rows: Sequence[ItemRow], worst: int, best: int) -> ItemRow:
    first = rows[0]
    row = ItemRow(
        first.item_id,
        "item",
        digest_of([r.prompt_digest for r in rows])[:32],
        sum(r.prompt_tokens for r in rows),
        first.cluster,
        first.stratum,
        first.gold,
        latency_s=sum(r.latency_s for r in rows),
        truncated=any(r.truncated for r in rows),
        error=next((r.error for r in rows if r.error is not None), None),
    )
    right = [r.score for r in rows if r.score is not None]
    if len(right) < len(rows):
        return row
    return row._replace(
        scores={
            "mean_accuracy": sum(right) / len(right),
            "worst_accuracy": right[worst],
            "best_accuracy": right[best],
            "spread": right[best] - right[worst],
            "always_right": min(right),
            "disagreement": float(len({r.prediction for r in rows}) > 1),
        }
    )


def open_brittleness(
    suite: BrittlenessSuite, source: CleanSource | None, split: SplitName, seed: int
) -> BrittlenessRunner:
    """Return the suite's items.

    Args:
        suite: The section; ``limit`` of its items are chosen by ``seed``.
        source: The source it names, or None where it reads a path.
        split: Which rows of the source, or which of its files.
        seed: The recipe's.

    Raises:
        EvaluationError: There are none, or one is no labelled text or no question.
    """
    cases = _questions(suite, split) if source is None else _labelled_rows(suite, source, split)
    ids = item_ids([[c.prompt, c.gold, c.choices] for c in cases])
    labels = None
    if source is not None:
        index = label_index(suite.labels or sorted({c.gold for c in cases}, reverse=True))
        labels = tuple(sorted(index.values()))
        strange = sorted({c.gold for c in cases if parse_label(c.gold, index) is None})
        if strange:
            raise EvaluationError(
                f"'{strange[0]}' is the label of a row and not in the list.",
                where=f"evaluation.suites.{suite.name}.labels",
                fix="add it to labels:, or correct the rows.",
            )
        cases = [c._replace(gold=parse_label(c.gold, index) or c.gold) for c in cases]
    return BrittlenessRunner(suite, some(cases, ids, suite, seed), labels)


def _labelled_rows(
    suite: BrittlenessSuite, source: CleanSource, split: SplitName
) -> list[BrittlenessCase]:
    return [
        BrittlenessCase(tuple(row.prompt), row.answer, group=row.group)
        for row in held_out(suite.name, source, split)
    ]


def _questions(suite: BrittlenessSuite, split: SplitName) -> list[BrittlenessCase]:
    path = path_for(suite, split)
    columns = MultipleChoiceSuite(kind="multiple_choice", name=suite.name, path=path)
    found = [own_question(columns, record) for record in of_files(path)]
    return [
        BrittlenessCase(
            (Message(role="user", content=q.asked),),
            q.choices[q.answer],
            q.choices,
            q.category,
            q.group,
        )
        for q in found
    ]


def _worded(prompt: Sequence[Message], template: str) -> list[Message]:
    """Return a conversation whose last turn stands in the template."""
    last = prompt[-1]
    said = template.replace("{prompt}", last["content"])
    return [*prompt[:-1], Message(role=last["role"], content=said)]


def _best(case: BrittlenessCase, logprobs: Sequence[float]) -> str:
    return case.choices[list(logprobs).index(max(logprobs))]
