"""Questions that are answered in one's own words, with the answers that are right."""

from collections.abc import Iterator
from typing import NamedTuple

from configs.suites.open_answers import Questions
from tasks.artifacts import CleanSource, SplitName
from tasks.errors import EvaluationError
from tasks.evaluation.datasets import Located, held_out, of_files, path_for
from tasks.evaluation.items import item_ids
from tasks.text.keyed import key_of, keyed_sample
from tasks.text.rows import Message


class Asked(NamedTuple):
    """A question with the answers that are right; ``group`` joins what depends on each other."""

    prompt: list[Message]
    answers: tuple[str, ...]
    group: str | None


def questions_of(
    suite: Questions, source: CleanSource | None, split: SplitName, seed: int, bare: bool = False
) -> list[tuple[str, Asked]]:
    """Return a suite's questions, each with its id, ``limit`` of them chosen by seed.

    Args:
        suite: The section.
        source: The source it names, or None where it reads a path.
        split: Which rows of the source, or which of its files.
        seed: The recipe's.
        bare: Whether a question of a file may be without a reference.

    Raises:
        EvaluationError: There are none, or one has no question or no answer.
    """
    if source is not None:
        rows = held_out(suite.name, source, split)
        asked = [Asked(row.prompt, (row.answer,), row.group) for row in rows]
    else:
        asked = [_of_record(suite, found, bare) for found in _records(suite, split)]
    if not asked:
        raise EvaluationError(
            "there are no questions.",
            where=f"evaluation.suites.{suite.name}",
            fix="give a file that has some.",
        )
    ids = item_ids([{"prompt": a.prompt, "answers": list(a.answers)} for a in asked])
    chosen = keyed_sample(ids, suite.limit or len(ids), key_of(seed, "open_answers"))
    return [(ids[i], asked[i]) for i in chosen]


def _records(suite: Questions, split: SplitName) -> Iterator[Located]:
    return of_files(path_for(suite, split))


def _of_record(suite: Questions, found: Located, bare: bool) -> Asked:
    record = found.record
    question, answers = record.get(suite.question), _answers(record.get(suite.answer))
    if not isinstance(question, str) or not question.strip() or not (answers or bare):
        raise EvaluationError(
            f"it has no '{suite.question}' or no '{suite.answer}'.",
            where=found.where,
            fix=f"set question: and answer: to columns of it: {', '.join(sorted(record))}.",
        )
    system, group = record.get(suite.system), record.get(suite.group or "")
    turns = [Message(role="system", content=str(system))] if system else []
    return Asked(
        [*turns, Message(role="user", content=question)],
        answers,
        None if group is None else str(group),
    )


def _answers(value: object) -> tuple[str, ...]:
    given = value if isinstance(value, list | tuple) else [] if value is None else [value]
    return tuple(str(one) for one in given if str(one).strip())
