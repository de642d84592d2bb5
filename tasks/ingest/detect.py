"""Which row format a source has, decided over many rows, since one may say little or be odd."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from configs.sources import RowFormat, StoredSource
from tasks.errors import SourceError, Unusable
from tasks.files.records import Row
from tasks.ingest.values import as_objects, holds_turns

PAIRS = (
    ("prompt", "completion"),
    ("prompt", "response"),
    ("instruction", "response"),
    ("question", "answer"),
)
"""Column names of prompt and completion, in the order they are looked for."""

_UNCLEAR = {
    "text": (
        "label",
        "it may be text to train on as it is, or a text to be given its label",
        "format: text, or columns: {prompt: 'Classify: {text}', completion: label}.",
    ),
    "question": (
        "choices",
        "the answer may be a text, or the number of a choice",
        "format: completion where it is a text, else map the columns with columns:.",
    ),
}
"""Column -> the column that makes it unclear, why, and what to write instead."""

_COLUMN, _COLUMNS = 40, 30


class FormatChoice(NamedTuple):
    """The format taken, and how many of the rows looked at have each format's fields.

    ``rows`` counts all that were looked at. A format that the recipe names is not counted.
    """

    format: RowFormat
    rows: int
    found: Mapping[str, int]

    def sentence(self) -> str:
        """Return what was decided and on what grounds."""
        if not self.found:
            return f"Row format: {self.format}, as the recipe says."
        fits = self.found.get(self.format, 0)
        others = ", ".join(f"{n:,} {name}" for name, n in self.found.items() if name != self.format)
        rest = f" Others look like: {others}." if others else ""
        return (
            f"Row format: {self.format}, which {fits:,} of the first {self.rows:,} rows have.{rest}"
        )


def choose_format(source: StoredSource, rows: Sequence[Row], where: str) -> FormatChoice:
    """Return the format of a source, as the recipe says or as most of the rows do.

    Raises:
        SourceError: The rows' columns mean no format, or could mean two.
    """
    if source.columns:
        return FormatChoice("columns", len(rows), {})
    if source.format != "auto":
        return FormatChoice(source.format, len(rows), {})
    columns = collect_columns(rows)
    votes = Counter(kind for row in rows if (kind := _guess_format(row)) is not None)
    if not votes:
        raise _unknown_error(rows, columns, where)
    winner = max(votes, key=lambda kind: votes[kind])
    if winner in ("completion", "text"):
        _refuse_unclear("question" if winner == "completion" else "text", columns, where)
        _refuse_thumbs(rows, columns, where)
    return FormatChoice(winner, len(rows), dict(votes.most_common()))


def collect_columns(rows: Sequence[Row]) -> list[str]:
    """Return the names of all fields of the rows, in the order they are first seen."""
    return list(dict.fromkeys(str(name) for row in rows for name in row))


def list_columns(columns: Sequence[str]) -> str:
    """Return columns for a message, cut where there are too many or one is too long."""
    shown = [f"'{c[:_COLUMN]}{'…' if len(c) > _COLUMN else ''}'" for c in columns[:_COLUMNS]]
    more = len(columns) - len(shown)
    text = ", ".join(shown) + (f" and {more} more" if more else "")
    return text.encode("utf-8", "backslashreplace").decode() or "none"


def _guess_format(row: Row) -> RowFormat | None:
    # A field that is null may be another format's, in a table that holds both.
    given = {name for name, value in row.items() if value is not None}
    return _match_columns(row, given) or _match_columns(row, set(row))


def _match_columns(row: Row, names: set[str]) -> RowFormat | None:
    if {"chosen", "rejected"} <= names:
        return "dpo"
    if "messages" in names:
        return _match_messages(row, names)
    if "conversations" in names:
        return "sharegpt"
    if {"instruction", "output"} <= names:
        return "alpaca"
    if any(set(pair) <= names for pair in PAIRS):
        return "completion"
    if "text" in names:
        return "text"
    if names and names <= {"id", "prompt"} and "prompt" in names:
        return "rft"
    metadata = row.get("metadata")
    return "rft" if isinstance(metadata, Mapping) and metadata.get("prompt") is not None else None


def _match_messages(row: Row, names: set[str]) -> RowFormat:
    if "reference_answer" in names:
        return "rft"
    return "converse" if _is_converse(row) else "messages"


def _is_converse(row: Row) -> bool:
    if row.get("schemaVersion") or row.get("toolConfig") or isinstance(row.get("system"), list):
        return True
    blocks = [
        block
        for message in _as_list(row.get("messages"), "messages")
        if isinstance(message, Mapping)
        for block in _as_list(message.get("content"), "content")
    ]
    return bool(blocks) and all(isinstance(b, Mapping) and not b.get("type") for b in blocks)


def _as_list(value: Any, name: str) -> list[Any]:
    try:
        found = as_objects(value, name)
    except Unusable:
        return []
    return found if isinstance(found, list) else []


def _refuse_unclear(column: str, columns: Sequence[str], where: str) -> None:
    other, why, instead = _UNCLEAR[column]
    if column in columns and other in columns:
        raise SourceError(
            f"the columns {list_columns(columns)} can be read in two ways: {why}.",
            where=where,
            fix=f"say which: {instead}",
        )


def _refuse_thumbs(rows: Sequence[Row], columns: Sequence[str], where: str) -> None:
    """Refuse answers that are marked as good or bad: the bad ones would be learnt, too."""
    if any(isinstance(row.get("label"), bool) for row in rows):
        raise SourceError(
            f"the columns {list_columns(columns)} can be read in two ways: 'label' is true or "
            "false, so the answers may be marked as good or bad (as for KTO), or be labelled.",
            where=where,
            fix="leave out the rows whose label is false, and the column; or map the columns, for "
            "example columns: {prompt: prompt, completion: completion, label: label}.",
        )


def _unknown_error(rows: Sequence[Row], columns: Sequence[str], where: str) -> SourceError:
    turns = [n for n in columns if any(holds_turns(row.get(n)) for row in rows)]
    tables = [n for n in columns if len(rows) == 1 and _as_list(rows[0].get(n), n)]
    if turns or tables:
        return SourceError(
            f"no known row format has the columns there are: {list_columns(columns)}.",
            where=where,
            fix=f"map the conversation: columns: {{messages: {turns[0]}}}."
            if turns
            else f"say where the rows are: field: {tables[0]}.",
        )
    return SourceError(
        f"no known row format has the columns there are: {list_columns(columns)}.",
        where=where,
        fix="map them, for example columns: {prompt: 'Classify: {review}', completion: category}.",
    )
