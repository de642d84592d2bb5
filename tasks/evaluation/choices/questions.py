"""Multiple-choice questions, read from records of ARC, of HellaSwag and of a user's own file."""

import json
import re
import string
from collections.abc import Sequence
from typing import Any, NamedTuple

from configs.suites.choices import MultipleChoiceSuite
from tasks.errors import EvaluationError
from tasks.evaluation.datasets import Located

LETTERS = string.ascii_uppercase

_BRACKETS = re.compile(r"\[.*?\]")


class Question(NamedTuple):
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


def arc_question(found: Located) -> Question:
    """Return a record of ARC; its prompt is that of lm-evaluation-harness ``arc_easy``.

    Raises:
        EvaluationError: It isn't one.
    """
    columns = ("question", "choices", "answerKey" if "answerKey" in found.record else "answer")
    asked, choices, answer = _parts(found, *columns)
    return Question(asked, f"Question: {asked}\nAnswer:", choices, answer)


def hellaswag_question(found: Located) -> Question:
    """Return a record of HellaSwag, its texts cleaned as lm-evaluation-harness cleans them.

    Raises:
        EvaluationError: It isn't one, or it is of the test set, whose answers aren't public.
    """
    record = found.record
    try:
        begun = f"{record['ctx_a']} {record['ctx_b'].capitalize()}"
        context = cleaned(f"{record['activity_label']}: {begun}")
        endings = tuple(cleaned(e) for e in record["endings"])
        label = str(record["label"]).strip()
    except (KeyError, AttributeError, TypeError) as error:
        raise _no_question(f"it lacks {error}", found.where, "give HellaSwag's files.") from error
    if not label.isdigit() or int(label) >= len(endings):
        raise _no_question(
            "no ending is marked as the right one",
            found.where,
            "give HellaSwag's validation or training file.",
        )
    return Question(context, context, endings, int(label))


def own_question(suite: MultipleChoiceSuite, found: Located) -> Question:
    """Return a record of a user's own file.

    Raises:
        EvaluationError: A column is missing, or it isn't clear which answer is right.
    """
    asked, choices, answer = _parts(found, suite.question, suite.choices, suite.answer)
    context = suite.prompt.replace("{question}", asked)
    category, group = (_named(found, column) for column in (suite.category, suite.group))
    return Question(asked, context, choices, answer, category, group)


def cleaned(text: str) -> str:
    """Return a text of HellaSwag without what WikiHow's pages left in it.

    " [title]" becomes ". ", other brackets go with what is in them, and two spaces become one
    (once, from the left: three become two).
    """
    text = _BRACKETS.sub("", text.strip().replace(" [title]", ". "))
    return text.replace("  ", " ")


def _parts(
    found: Located, question: str, choices: str, answer: str
) -> tuple[str, tuple[str, ...], int]:
    record = found.record
    missing = [c for c in (question, answer) if record.get(c) is None]
    if missing:
        raise _no_question(
            f"it has no '{missing[0]}'",
            found.where,
            f"name its columns: it has {', '.join(sorted(record))}.",
        )
    texts, labels = _choices(record, choices, found.where)
    if len(texts) < 2:
        raise _no_question(
            "it has fewer than two answers",
            found.where,
            f"give '{choices}' a list, or columns A, B, ...",
        )
    return str(record[question]), texts, _right(record[answer], texts, labels, found.where)


def _choices(
    record: dict[str, Any], column: str, where: str
) -> tuple[tuple[str, ...], Sequence[str] | None]:
    given = record.get(column)
    if given is None:
        given = [record[x] for x in LETTERS if record.get(x) not in (None, "")]
    try:
        given = json.loads(given) if isinstance(given, str) else given
        if isinstance(given, dict):
            labels = [str(label) for label in given["label"]]
            return tuple(str(text) for text in given["text"]), labels
        return tuple(str(text) for text in given), None
    except (ValueError, KeyError, TypeError) as error:
        raise _no_question(
            f"'{column}' holds no list of answers",
            where,
            "give a list, JSON of one, or text and label.",
        ) from error


def _right(value: object, texts: Sequence[str], labels: Sequence[str] | None, where: str) -> int:
    """Return the place of the right answer: by place, label, letter or text."""
    said = str(value).strip()
    if labels is not None:
        ways = {labels.index(said)} if said in labels else set()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        ways = {int(value)} if float(value).is_integer() else set()
    else:
        ways = {place for place, text in enumerate(texts) if text.strip() == said}
        ways |= {LETTERS.index(said.upper())} if said.upper() in tuple(LETTERS) else set()
        ways |= {int(said)} if said.isdecimal() else set()
    inside = {place for place in ways if 0 <= place < len(texts)}
    if len(inside) != 1:
        what = "could be several of its answers" if inside else "is none of its answers"
        raise _no_question(
            f"'{value}' {what}", where, "say which answer is right by its letter or its place."
        )
    return inside.pop()


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
