"""Finding rows in Parquet and Arrow files, by id or by text in normal form."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.text.normal import normal
from tasks.text.rows import full_text, prompt_text

_BATCH = 20_000


class ById:
    """A row by its id, or several."""

    def __init__(self, *row_ids: str) -> None:
        self.ids = frozenset(row_ids)

    def matches(self, path: Path) -> list[str]:
        """Return the ids found in a file of chat rows, one a row."""
        return list(count_ids([path], self.ids).elements())

    def rejected(self, path: Path, column: str) -> int:
        """Return 0: rows that could not be read have no id."""
        return 0


class ByText:
    """A row by its text: all of it, its prompt, or one of its messages, in normal form.

    With ``contains`` a row is found, too, when the text is part of it: whole words in a row, as
    when a source's template puts words around a text.
    """

    def __init__(self, text: str, *, contains: bool = False) -> None:
        self.ids: frozenset[str] = frozenset()
        self._wanted, self._contains = normal(text), contains
        self._text = text.strip()
        # The rarest word is likely the longest; only texts with it can match.
        self._word = max(self._wanted.split(), key=len, default="")

    def matches(self, path: Path) -> list[str]:
        """Return the ids of the rows of a file that say the text, one a row."""
        found = []
        file = pq.ParquetFile(path)
        for batch in file.iter_batches(_BATCH, columns=["row_id", "messages"]):
            for row in batch.filter(self._candidates(batch.column("messages"))).to_pylist():
                if row["messages"] and self._says(row["messages"]):
                    found.append(row["row_id"])
        return found

    def rejected(self, path: Path, column: str) -> int:
        """Return how many rows that could not be read hold the text anywhere in their raw form."""
        texts = pq.read_table(path, columns=[column])[column].drop_null()
        return sum(
            self._within(normal(plain)) if self._wanted else self._text in plain
            for plain in map(_unquoted, texts.to_pylist())
        )

    def _candidates(self, lists: Any) -> Any:
        texts = lists.flatten().field("content")
        # Only ASCII is sure to keep its letters in normal form; all else is looked at in full.
        foreign = pc.not_equal(pc.binary_length(texts), pc.utf8_length(texts))
        has_word = pc.match_substring(pc.ascii_lower(texts), self._word)
        hits = np.asarray(pc.fill_null(pc.or_(foreign, has_word), False), dtype=bool)
        rows = np.asarray(pc.list_parent_indices(lists))[hits]
        return pa.array(np.bincount(rows, minlength=len(lists)) > 0)

    def _says(self, messages: Sequence[Any]) -> bool:
        if not self._wanted:  # a text of signs alone is compared as it is
            texts = [full_text(messages), prompt_text(messages), *(m["content"] for m in messages)]
            return any(text.strip() == self._text for text in texts)
        parts = [normal(m["content"]) for m in messages]
        # Joining normal forms of messages is the normal form of their join.
        whole = " ".join(filter(None, parts))
        if self._contains:
            return self._within(whole)
        return self._wanted in (whole, normal(prompt_text(messages)), *parts)

    def _within(self, text: str) -> bool:
        return f" {self._wanted} " in f" {text} "


def _unquoted(raw: str) -> str:
    """Return the strings of a raw row without JSON's escapes; the row itself if it isn't JSON."""
    try:
        return "\n".join(_strings(json.loads(raw)))
    except json.JSONDecodeError:
        return raw


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)
    elif isinstance(value, str):
        yield value


def count_ids(paths: Iterable[Path], ids: Iterable[str]) -> Counter[str]:
    """Return how often each of ``ids`` stands in the ``row_id`` columns of files."""
    wanted = pa.array(sorted(ids), pa.string())
    found: Counter[str] = Counter()
    for path in paths if len(wanted) else ():
        for column in _id_columns(path):
            found.update(column.filter(pc.is_in(column, value_set=wanted)).to_pylist())
    return found


def _id_columns(path: Path) -> Iterator[Any]:
    if path.suffix == ".arrow":
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        yield from (reader.get_batch(i).column("row_id") for i in range(reader.num_record_batches))
        return
    file = pq.ParquetFile(path, memory_map=True)
    for batch in file.iter_batches(2_000_000, columns=["row_id"]):
        yield batch.column("row_id")
