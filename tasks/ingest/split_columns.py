"""The columns that say how rows may be divided: whose they are, and when they were written."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from configs.sources import Split
from tasks.errors import Unusable
from tasks.text.rows import ChatRow


def add_split_columns(made: ChatRow, row: Mapping[str, Any], split: Split) -> ChatRow:
    """Return the chat row with the group and time of the record it was made of.

    Raises:
        Unusable: The column of the group or time is missing or empty, or holds no time. Rows
            that the source's own files put into a split may lack them: nobody divides those.
    """
    needed = made["split"] is None
    if split.group_by is not None and (needed or _is_given(row, split.group_by)):
        made["group"] = str(_require_value(row, split.group_by))
    if split.time is not None and (needed or _is_given(row, split.time)):
        made["time"] = parse_time(_require_value(row, split.time), split.time)
    return made


def parse_time(value: Any, column: str) -> float:
    """Return a point in time as a number that grows with it.

    Numbers stay as they are; dates and ISO 8601 texts become seconds since 1970, in UTC where
    they name no zone.

    Raises:
        Unusable: It is neither.
    """
    if isinstance(value, str):
        value = _parse_text(value.strip(), column)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if isinstance(value, datetime):
        value = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise Unusable(f"column '{column}' holds no time")
    return float(value)


def _parse_text(text: str, column: str) -> datetime | float:
    try:
        return float(text) if text.replace(".", "", 1).isdigit() else datetime.fromisoformat(text)
    except ValueError as error:
        raise Unusable(f"column '{column}' holds no time (ISO 8601 or a number)") from error


def _is_given(row: Mapping[str, Any], column: str) -> bool:
    return row.get(column) not in (None, "")


def _require_value(row: Mapping[str, Any], column: str) -> Any:
    if not _is_given(row, column):
        raise Unusable(f"column '{column}', by which rows are divided, is missing or empty")
    return row[column]
