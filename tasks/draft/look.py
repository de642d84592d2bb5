"""A look at data that nobody has described: its columns, what is asked, and what answers are.

Nothing is guessed between two readings: where the data allows both, the one who asks is asked.
"""

import itertools
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from configs.limits import Limits
from configs.sources import FilesSource
from tasks.errors import DataError, SourceError, Unusable
from tasks.files.columns import has_value, look_up, to_text
from tasks.files.records import BadLine, Row
from tasks.ingest.convert import find_converter
from tasks.ingest.detect import choose_format, collect_columns, list_columns
from tasks.ingest.registry import open_path
from tasks.text.rows import TEXT_ROLE

MOST_ROWS = 50_000
"""Rows that are looked at; of more data this many say what it is."""
DIVIDERS = (" > ", ">", " :: ", "::", " / ", "/", " | ", "|")
"""What may stand between the levels of a label, the likeliest first."""
SEVERAL_DIVIDERS = (";", "|", ",")
LABEL_NAMES = re.compile(
    r"label|categor|class|intent|topic|sentiment|queue|target|tag|emotion|language", re.I
)
TEXT_NAMES = re.compile(
    r"text|review|message|body|utterance|query|question|comment|ticket|description|sentence|prompt"
    r"|content|input",
    re.I,
)
Task = Literal["labels", "several labels", "answers", "text", "pairs"]


class Column(NamedTuple):
    """A column of scalars.

    Attributes:
        filled: Rows that have a value.
        distinct: Different values.
        words: Words of a value on the average.
    """

    name: str
    filled: int
    distinct: int
    words: float


class DataLook(NamedTuple):
    """What was seen.

    Attributes:
        path: As it was given.
        rows: Good rows that were looked at.
        whole: Whether these are all.
        bad: Pieces of the files that are no rows.
        format: The row format that is recognised; None where columns are mapped.
        columns: prompt and completion -> column or template; empty where the format says it.
        task: What is to be learnt.
        labels: Each label's rows, the most frequent first; empty where answers are free.
        hierarchy: What divides the levels of a label; None where labels have none.
        levels: Of a full label.
        divider: What stands between several labels; None where an item has one, or JSON arrays.
        longest_answer: Words of the longest answer.
        longest: Words of prompt and answer together that 99 of 100 rows stay under.
        notes: What a person should know, a sentence each.
    """

    path: str
    rows: int
    whole: bool
    bad: int
    format: str | None
    columns: Mapping[str, str]
    task: Task
    labels: Mapping[str, int]
    hierarchy: str | None
    levels: int
    divider: str | None
    longest_answer: int
    longest: int
    notes: tuple[str, ...] = ()


class Unclear(DataError):
    """The data can be read in more than one way.

    Attributes:
        option: The option that says which: ``text`` or ``label``.
        choices: What it may be.
    """

    def __init__(self, message: str, where: str, option: str, choices: Sequence[str]) -> None:
        self.option, self.choices = option, tuple(choices)
        super().__init__(
            message, where=where, fix=f"say which: --{option} {' | '.join(self.choices)}."
        )


def look_at_data(path: str, text: str | None = None, label: str | None = None) -> DataLook:
    """Return what the data at a path is.

    Args:
        path: A file, a folder, a glob, ``s3://`` or ``package:``.
        text: The column of what is asked, where the author says so.
        label: The column of the answer or the label.

    Raises:
        SourceError: There are no rows, or a column isn't there.
        Unclear: There are two readings.
    """
    records = open_path(path, Limits()).read()
    start = list(itertools.islice(records, MOST_ROWS))
    rows = [row for _, row in start if not isinstance(row, BadLine)]
    if not rows:
        raise SourceError(
            "no row could be read.", where=path, fix="give JSONL, JSON, CSV, Parquet or Arrow."
        )
    whole = len(start) < MOST_ROWS or next(records, None) is None
    bad = len(start) - len(rows)
    known = None if text or label else _known_format(path, rows)
    if known is None:
        columns = _map_columns(path, rows, text, label)
        pairs = [
            (to_text(look_up(r, columns["prompt"]), "prompt"), _answer(r, columns["completion"]))
            for r in rows
            if has_value(r, columns["prompt"]) and has_value(r, columns["completion"])
        ]
    else:
        columns, pairs = {}, _convert_pairs(path, rows)
    return _describe(path, (len(rows), whole, bad), known, columns, pairs)


def _describe(
    path: str,
    counts: tuple[int, bool, int],
    known: str | None,
    columns: Mapping[str, str],
    pairs: Sequence[tuple[str, str]],
) -> DataLook:
    rows, whole, bad = counts
    lengths = sorted(len(f"{p} {a}".split()) for p, a in pairs) or [0]
    answers = Counter(a.strip() for _, a in pairs if a.strip())
    task: Task = "answers"
    hierarchy, levels, divider, labels = None, 1, None, dict[str, int]()
    if known in ("dpo", "text"):
        task = "pairs" if known == "dpo" else "text"
    elif _are_labels(answers):
        task, labels = "labels", dict(answers.most_common())
        several = _find_several(answers)
        if several is not None:
            task, divider = "several labels", several[0]
            labels = dict(several[1].most_common())
        hierarchy, levels = _find_levels(labels)
    notes = [] if whole else [f"only the first {rows:,} rows were looked at"]
    if bad:
        notes.append(f"{bad:,} pieces of the files are no rows and will be set aside")
    rare = [name for name, count in labels.items() if count < 10]
    if rare:
        notes.append(
            f"{len(rare):,} of {len(labels):,} labels have under ten rows, for example '{rare[0]}'"
        )
    return DataLook(
        path=path,
        rows=rows,
        whole=whole,
        bad=bad,
        format=known,
        columns=columns,
        task=task,
        labels=labels,
        hierarchy=hierarchy,
        levels=levels,
        divider=divider,
        longest_answer=max((len(a.split()) for a in answers), default=0),
        longest=lengths[min(len(lengths) - 1, int(0.99 * len(lengths)))],
        notes=tuple(notes),
    )


def _known_format(path: str, rows: Sequence[Row]) -> str | None:
    """Return the row format that is recognised by its fields' names; None where none is."""
    try:
        return choose_format(_source(path), rows, path).format
    except SourceError:
        return None


def _convert_pairs(path: str, rows: Sequence[Row]) -> list[tuple[str, str]]:
    convert, pairs = find_converter(_source(path), rows, path), []
    for row in rows:
        try:
            messages = convert(row).messages
        except Unusable:
            continue
        before = "\n".join(m["content"] for m in messages[:-1])
        pairs.append((before, messages[-1]["content"] if messages[-1]["role"] != TEXT_ROLE else ""))
    return pairs


def _source(path: str) -> FilesSource:
    return FilesSource(kind="files", name="data", role="domain", path=path)


def _answer(row: Row, column: str) -> str:
    value = look_up(row, column)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else to_text(value, "")


def _map_columns(
    path: str, rows: Sequence[Row], text: str | None, label: str | None
) -> dict[str, str]:
    """Return which columns are asked and answered, as far as there is one reading alone."""
    names = collect_columns(rows)
    for given, option in ((text, "--text"), (label, "--label")):
        if given is not None and given not in names:
            raise SourceError(
                f"{option} names '{given}', but the columns are {list_columns(names)}.",
                where=path,
                fix="name one of them.",
            )
    columns = [c for c in (_count_column(rows, name) for name in names) if c.filled]
    if label is None:
        label = _choose_label(path, columns, text)
    if text is None:
        text = _choose_text(path, columns, label)
    return {"prompt": text, "completion": label}


def _count_column(rows: Sequence[Row], name: str) -> Column:
    values = []
    for row in rows:
        value = row.get(name)
        if isinstance(value, list) and all(isinstance(v, str | int) for v in value):
            values.append(json.dumps(value, ensure_ascii=False))
        elif isinstance(value, str | int | bool) and str(value).strip():
            values.append(str(value).strip())
    words = sum(len(v.split()) for v in values) / len(values) if values else 0.0
    return Column(name, len(values), len(set(values)), words)


def _choose_label(path: str, columns: Sequence[Column], text: str | None) -> str:
    found = [
        c.name
        for c in columns
        if c.name != text
        and 2 <= c.distinct <= max(2, c.filled / 3)
        and c.words <= 8
        and not re.fullmatch(r"(row|index|.*_?id)", c.name, re.I)
    ]
    named = [name for name in found if LABEL_NAMES.search(name)]
    if len(named) == 1 or (not named and len(found) == 1):
        return (named or found)[0]
    if not found:
        # Nothing repeats itself: an answer in free words, where one more long column is there.
        free = [c.name for c in columns if c.name != text and c.words > 1]
        if text is not None and len(free) == 1:
            return free[0]
        raise Unclear(
            f"no column of {list_columns([c.name for c in columns])} looks like a label, and which "
            "holds the answer isn't clear.",
            path,
            "label",
            free or [c.name for c in columns],
        )
    raise Unclear(
        f"the columns {list_columns(named or found)} could each be the label.",
        path,
        "label",
        named or found,
    )


def _choose_text(path: str, columns: Sequence[Column], label: str) -> str:
    found = [c for c in columns if c.name != label and c.words >= 2 and c.distinct > 2]
    named = [c for c in found if TEXT_NAMES.search(c.name)]
    for group in (named, found):
        if len(group) == 1:
            return group[0].name
    if not found:
        raise Unclear(
            f"no column but '{label}' holds a text of several words.",
            path,
            "text",
            [c.name for c in columns if c.name != label] or [label],
        )
    raise Unclear(
        f"the columns {list_columns([c.name for c in named or found])} could each be the text.",
        path,
        "text",
        [c.name for c in named or found],
    )


def _are_labels(answers: Counter[str]) -> bool:
    """Return whether answers are labels: few of them, short, and said again and again."""
    total = sum(answers.values())
    if not 2 <= len(answers) <= max(2, total / 3):
        return False
    return sum(len(a.split()) * n for a, n in answers.items()) / total <= 12


def _find_several(answers: Counter[str]) -> tuple[str | None, Counter[str]] | None:
    """Return what divides several labels of an item (None: JSON arrays), and their counts."""
    total = sum(answers.values())
    arrays = Counter[str]()
    listed = 0
    for answer, count in answers.items():
        try:
            value: Any = json.loads(answer) if answer.startswith("[") else None
        except ValueError:
            value = None
        if isinstance(value, list):
            listed += count
            arrays.update({str(v): count for v in value})
    if listed >= 0.8 * total:
        return None, arrays
    for divider in SEVERAL_DIVIDERS:
        parts, divided = Counter[str](), 0
        for answer, count in answers.items():
            split = [p.strip() for p in answer.split(divider) if p.strip()]
            divided += count if len(split) > 1 else 0
            for part in split:
                parts[part] += count
        # Parts come back in other company: else it is punctuation inside of labels.
        if divided >= 0.1 * total and 2 * len(parts) <= len(answers):
            return divider, parts
    return None


def _find_levels(labels: Mapping[str, int]) -> tuple[str | None, int]:
    """Return what divides the levels of labels, and how many levels there are."""
    for divider in DIVIDERS:
        paths = [[p.strip() for p in name.split(divider)] for name in labels]
        deep = [p for p in paths if len(p) > 1 and all(p)]
        tops = {p[0] for p in deep}
        if deep and len(deep) >= 0.8 * len(paths) and len(tops) < len(deep):
            return divider.strip(), min(max(map(len, deep)), 8)
    return None, 1
