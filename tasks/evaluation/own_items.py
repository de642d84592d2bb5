"""Records of a suite's own files or of the hub, what their fields are, and which are asked."""

import glob
import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from configs.suites.own_items import OwnItems
from tasks.errors import EvaluationError
from tasks.evaluation.origins import Located, Published, of_files, of_published
from tasks.evaluation.records import find_files
from tasks.text.keyed import key_of, keyed_sample
from tasks.text.rows import Message

T = TypeVar("T")

PROMPTS = ("prompt", "question", "forbidden_prompt", "goal", "text")
"""Columns that a prompt is looked for in, in this order."""
CATEGORIES = ("category", "type", "task")
"""Columns that a category is looked for in."""


def located(suite: OwnItems, split: str) -> Iterator[Located]:
    """Yield the records of a suite, each with its place.

    Args:
        suite: The section.
        split: ``test`` to judge, ``dev`` to choose.

    Raises:
        EvaluationError: There are none for that split, or a file can't be read.
        SetupError: The hub doesn't give them.
    """
    path = suite.path if split == "test" else suite.dev_path
    if path is not None:
        for file in find_files(path):
            yield from (
                _of_lines(file) if ".jsonl" in file.suffixes else of_files(glob.escape(str(file)))
            )
    elif split == "test":
        yield from of_published(_place(suite))
    else:
        raise EvaluationError(
            "the suite has no items to choose on.",
            where=f"evaluation.suites.{suite.name}",
            fix="set dev_path: to items that the test doesn't ask.",
        )


def fail(found: Located, field: str, what: str, fix: str) -> NoReturn:
    """Refuse a record.

    Args:
        found: The record.
        field: Which of its fields is wrong.
        what: What is wrong with it.
        fix: What to do.

    Raises:
        EvaluationError: Always.
    """
    raise EvaluationError(f"field '{field}' {what}.", where=found.where, fix=fix)


def column_of(found: Located, named: str | None, among: Sequence[str]) -> str | None:
    """Return the column that is named, or the first of several that the record has."""
    if named is not None:
        return named
    return next((name for name in among if found.record.get(name) not in (None, "")), None)


def prompt_of(found: Located, named: str | None) -> str:
    """Return a record's prompt.

    Raises:
        EvaluationError: It has none, or not a text.
    """
    column = column_of(found, named, PROMPTS)
    value = found.record.get(column) if column is not None else None
    if not isinstance(value, str) or not value.strip():
        fail(
            found,
            column or PROMPTS[0],
            "holds no text",
            f"set prompt: to one of {', '.join(sorted(found.record))}.",
        )
    return value


def text_of(found: Located, named: str | None, among: Sequence[str] = ()) -> str | None:
    """Return what a column says, as a text; None where the record doesn't have it."""
    column = column_of(found, named, among)
    value = None if column is None else found.record.get(column)
    return None if value in (None, "") else str(value)


def user(text: str) -> list[Message]:
    """Return a conversation of one user's turn."""
    return [Message(role="user", content=text)]


def some(items: Sequence[T], ids: Sequence[str], suite: Any, seed: int) -> list[tuple[str, T]]:
    """Return the items asked, each with its id: all, or ``suite.limit`` chosen by seed.

    Raises:
        EvaluationError: There are none.
    """
    if not items:
        raise EvaluationError(
            "there are no items.",
            where=f"evaluation.suites.{suite.name}",
            fix="give a file that has some.",
        )
    count = len(items) if suite.limit is None else suite.limit
    chosen = sorted(keyed_sample(ids, count, key_of(seed, suite.kind)))
    return [(ids[i], items[i]) for i in chosen]


def _place(suite: OwnItems) -> Published:
    if suite.hub is not None and suite.revision is not None:
        return Published(suite.hub, suite.revision, suite.subset, suite.hub_split)
    assert suite.PUBLISHED is not None, "the section refuses a suite with no place"
    hub, revision, split = suite.PUBLISHED
    return Published(hub, revision, None, split)


def _of_lines(file: Path) -> Iterator[Located]:
    """Yield a JSONL file's records by their lines, empty ones counted."""
    opened = gzip.open if file.suffix == ".gz" else open
    try:
        with opened(file, "rt", encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield Located(_record(line, f"{file}:{number}"), f"{file}:{number}")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise EvaluationError(
            f"the file can't be read: {error}.",
            where=str(file),
            fix="check that it is JSON lines in UTF-8.",
        ) from error


def _record(line: str, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise EvaluationError(
            f"the line is not JSON: {error}.", where=where, fix="write one JSON object a line."
        ) from error
    if not isinstance(record, dict):
        raise EvaluationError(
            "the line is no object.", where=where, fix="write one JSON object a line."
        )
    return record
