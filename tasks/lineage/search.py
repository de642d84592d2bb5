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

from tasks.storage import MANIFEST, home
from tasks.text.normal import normal
from tasks.text.rows import full_text, prompt_text

BATCH = 20_000
MANY = 2_000_000


class ById:
    """A row by its id, or several."""

    def __init__(self, *row_ids: str) -> None:
        self.ids = frozenset(row_ids)

    def matches(self, path: Path) -> list[str]:
        """Return the ids found in a file of chat rows, one a row."""
        return list(count_ids([path], self.ids).elements())

    def find_rejected(self, path: Path) -> list[int]:
        """Return nothing: rows that could not be read have no id."""
        return []


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
        for batch in file.iter_batches(BATCH, columns=["row_id", "messages"]):
            near = _have_word(batch.column("messages"), self._word)
            for row in batch.filter(near).to_pylist():
                if row["messages"] and self._says(row["messages"]):
                    found.append(row["row_id"])
        return found

    def find_rejected(self, path: Path) -> list[int]:
        """Return which rows of a file could not be read and hold the text in their raw form."""
        texts = pq.read_table(path, columns=["raw"])["raw"].to_pylist()
        plain = {i: _unquote(text) for i, text in enumerate(texts) if text is not None}
        if not self._wanted:
            return [i for i, text in plain.items() if self._text in text]
        return [i for i, text in plain.items() if self._is_within(normal(text))]

    def _says(self, messages: Sequence[Any]) -> bool:
        if not self._wanted:  # a text of signs alone is compared as it is
            texts = [full_text(messages), prompt_text(messages), *(m["content"] for m in messages)]
            return any(text.strip() == self._text for text in texts)
        parts = [normal(m["content"]) for m in messages]
        # Joining normal forms of messages is the normal form of their join.
        whole = " ".join(filter(None, parts))
        if self._contains:
            return self._is_within(whole)
        return self._wanted in (whole, normal(prompt_text(messages)), *parts)

    def _is_within(self, text: str) -> bool:
        return f" {self._wanted} " in f" {text} "


def find_same(path: Path, messages: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the rows of a file that say the same in normal form: id, origin, messages, reasons."""
    wanted, texts = normal(full_text(messages)), [normal(m["content"]) for m in messages]
    word = max((word for text in texts for word in text.split()), key=len, default="")
    found = []
    file = pq.ParquetFile(path)
    names = ("row_id", "origin", "messages", "reasons")
    kept = [name for name in names if name in file.schema_arrow.names]
    for batch in file.iter_batches(BATCH, columns=kept):
        for row in batch.filter(_have_word(batch.column("messages"), word)).to_pylist():
            if row["messages"] and normal(full_text(row["messages"])) == wanted:
                found.append(row)
    return found


def _have_word(lists: Any, word: str) -> Any:
    """Return which rows may hold a word that is in normal form."""
    texts = lists.flatten().field("content")
    # Only ASCII is sure to keep its letters in normal form; all else is looked at in full.
    foreign = pc.not_equal(pc.binary_length(texts), pc.utf8_length(texts))
    has_word = pc.match_substring(pc.ascii_lower(texts), word)
    hits = np.asarray(pc.fill_null(pc.or_(foreign, has_word), False), dtype=bool)
    rows = np.asarray(pc.list_parent_indices(lists))[hits]
    return pa.array(np.bincount(rows, minlength=len(lists)) > 0)


def _unquote(raw: str) -> str:
    """Return the strings of a raw row without JSON's escapes; the row itself if it isn't JSON."""
    try:
        return "\n".join(_walk_strings(json.loads(raw)))
    except json.JSONDecodeError:
        return raw


def _walk_strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _walk_strings(part)
    elif isinstance(value, str):
        yield value


def count_ids(paths: Iterable[Path], ids: Iterable[str]) -> Counter[str]:
    """Return how often each of ``ids`` stands in the ``row_id`` columns of files."""
    wanted = pa.array(sorted(ids), pa.string())
    found: Counter[str] = Counter()
    for path in paths if len(wanted) else ():
        for column in _read_ids(path):
            found.update(column.filter(pc.is_in(column, value_set=wanted)).to_pylist())
    return found


def find_parts(path: Path, ids: Iterable[str]) -> set[str]:
    """Return the ids in a file of training rows that are of these rows, or of a part of them.

    A long row that was cut has parts ``id``, ``id.1``, ``id.2``, ...
    """
    wanted = pa.array(sorted(ids), pa.string())
    found: set[str] = set()
    for column in _read_ids(path) if len(wanted) else ():
        whole = pc.replace_substring_regex(column, r"\.[0-9]+$", "")
        found.update(column.filter(pc.is_in(whole, value_set=wanted)).to_pylist())
    return found


def read_rows(path: Path, ids: Iterable[str], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Return some columns of the rows of a Parquet file that have one of these ids.

    Columns that the file has not are left out.
    """
    wanted = pa.array(sorted(ids), pa.string())
    if not len(wanted):
        return []
    file = pq.ParquetFile(path)
    kept = [name for name in columns if name in file.schema_arrow.names]
    found = []
    for batch in file.iter_batches(BATCH, columns=kept):
        found += batch.filter(pc.is_in(batch.column("row_id"), value_set=wanted)).to_pylist()
    return found


def list_artifacts(kind: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield folder and receipt of every artifact of a kind under TEMPER_HOME."""
    for manifest in sorted(home(kind).glob(f"[!.]*/{MANIFEST}")):
        yield manifest.parent, json.loads(manifest.read_text())["receipt"]


def _read_ids(path: Path) -> Iterator[Any]:
    if path.suffix == ".arrow":
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        yield from (reader.get_batch(i).column("row_id") for i in range(reader.num_record_batches))
        return
    file = pq.ParquetFile(path, memory_map=True)
    for batch in file.iter_batches(MANY, columns=["row_id"]):
        yield batch.column("row_id")
