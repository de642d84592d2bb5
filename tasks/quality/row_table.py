"""A snapshot's rows as tables that checks can be computed on at once."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tasks.quality.checks.texts import COLUMNS, Flags, Ints, flatten
from tasks.text.normal import normal
from tasks.text.rows import ROW_SCHEMA, Message, full_text, message_text, prompt_text

Uses = npt.NDArray[np.object_]
"""What each row is used for: train, dev or test (or limit); None for a row that was set aside."""


def are_classes(labels: "pd.Series[str]", *, mapped: bool) -> bool:
    """Return whether labels name classes, so that balance and contradiction mean something.

    Ingest takes the answer of a domain row as its label. Where a column was mapped as the label,
    or an answer occurs twice on average, these are classes; free answers differ from row to row,
    and two different ones to the same question contradict nobody.

    Args:
        labels: A label a row, null where there is none.
        mapped: Whether the recipe maps a column to ``label``.
    """
    given = labels.dropna()
    return bool(len(given)) and (mapped or given.nunique() * 2 <= len(given))


def find_unseen_labels(labels: "pd.Series[str]", names: Uses) -> Flags:
    """Return the test rows whose label no training row has (n).

    Args:
        labels: A label a row, null where there is none (n).
        names: train, dev or test; None for a row that was set aside (n).
    """
    seen = labels[names == "train"].dropna().unique()
    given = labels.notna().to_numpy(dtype=bool)
    known = labels.isin(seen).to_numpy(dtype=bool)
    return np.asarray((names == "test") & given & ~known, dtype=bool)


def describe_balance(
    counts: Mapping[str, Mapping[str, int]], min_rows: int, max_share: float
) -> list[str]:
    """Return what is wrong with the balance of classes in training rows, a sentence each.

    Args:
        counts: Label -> split -> rows.
        min_rows: Fewest training rows a class should have.
        max_share: Largest share of the training rows that a class should have.
    """
    rows = {label: splits["train"] for label, splits in counts.items()}
    total = sum(rows.values())
    if not total:
        return []
    most, least = max(rows, key=lambda n: rows[n]), min(rows, key=lambda n: rows[n])
    few = [label for label, number in rows.items() if number < min_rows]
    found = []
    if rows[most] / total > max_share:
        found.append(
            f"The largest class, '{most}', has {rows[most] / total:.1%} of the training rows "
            f"({rows[most]:,} of {total:,}), so naming it always looks right."
        )
    if few:
        found.append(
            f"{len(few):,} of {len(rows):,} classes have fewer than {min_rows} training rows; "
            f"the smallest, '{least}', has {rows[least]:,} ({rows[least] / total:.2%})."
        )
    return found


def read_rows(snapshot: Path) -> Any:
    """Return a snapshot's rows as one Arrow table in the chat-row schema."""
    import pyarrow.parquet as pq

    shards = sorted((snapshot / "rows").glob("*.parquet"))
    tables = [pq.read_table(shard, schema=ROW_SCHEMA) for shard in shards]
    return pa.concat_tables(tables) if tables else ROW_SCHEMA.empty_table()


def build_identities(table: Any) -> pd.DataFrame:
    """Return row_id, label, group, split, time, ``prompt_key`` and ``text_key`` of every row.

    The keys are digests: equal for rows whose prompts (or whole texts) are equal in normal form.
    """
    columns = table.select(["row_id", "label", "group", "split"])
    # A column of nulls alone would otherwise lose that it holds text.
    frame: pd.DataFrame = columns.to_pandas(types_mapper=lambda _: pd.StringDtype("pyarrow"))
    keys = [_digest_row(row) for batch in _batches(table, _BESIDE) for row in batch.to_pylist()]
    frame["time"] = table["time"].to_pandas().to_numpy(dtype=float)
    frame["prompt_key"] = [prompt for prompt, _ in keys]
    frame["text_key"] = [text for _, text in keys]
    return frame


def read_columns(table: Any) -> pd.DataFrame:
    """Return the columns that a suite of the user's own can name, besides the checks.

    text, prompt, answer (last assistant turn), label, chars and words (of text), turns, split (as
    the source's own files give it).
    """
    rows = [row["messages"] for batch in _batches(table) for row in batch.to_pylist()]
    whole = [full_text(messages) for messages in rows]
    return pd.DataFrame(
        {
            "text": whole,
            "prompt": [prompt_text(messages) for messages in rows],
            "answer": [_last_answer(messages) for messages in rows],
            "label": table["label"].to_pandas(),
            "chars": [len(text) for text in whole],
            "words": [len(text.split()) for text in whole],
            "turns": [sum(m["role"] != "system" for m in messages) for messages in rows],
            "split": table["split"].to_pandas(),
        }
    )


def build_verdict_table(
    table: Any, frame: pd.DataFrame, flags: Mapping[str, Flags], use: Uses, rejected: int
) -> pd.DataFrame:
    """Return the table that a source's verdict is about: a row for every row read.

    Its columns are ``row_id``, ``label``, ``identity`` (of the whole text in normal form, within
    the split that the source's own files give), ``chars`` and ``longest`` (of all messages, and of
    the longest text), ``use`` (train, dev, test or limit; null where set aside), ``set_aside``,
    and one for each check, true where it found the row.

    Args:
        table: Chat rows (n).
        frame: Their identities (:func:`build_identities`).
        flags: Check -> rows it found (n), set aside or not.
        use: What each row is used for, None where it was set aside (n).
        rejected: Rows that could not be read; they come last.
    """
    chars, longest = measure_rows(table)
    label = frame["label"].astype(object).where(frame["label"].fillna("").str.strip() != "", None)
    columns: dict[str, Any] = {
        "row_id": frame["row_id"].astype(object),
        "label": label,
        "identity": [
            f"{split}:{key}"
            for split, key in zip(frame["split"].fillna(""), frame["text_key"], strict=True)
        ],
        "chars": chars,
        "longest": longest,
        "use": use,
        "set_aside": np.asarray([name is None for name in use], dtype=bool),
        "format": np.zeros(len(frame), dtype=bool),
    }
    made = pd.DataFrame({**columns, **flags}, index=frame.index)
    made["identity"] = made["identity"].astype(object)
    none: dict[str, Any] = dict.fromkeys(flags, False)
    none |= {"row_id": None, "label": None, "identity": None, "chars": 0, "longest": 0, "use": None}
    unread = pd.DataFrame(none | {"set_aside": True, "format": True}, index=range(rejected))
    # Types are the chat rows': without any, pandas would guess them from what is missing.
    whole = {name: (made[name].to_numpy(), unread[name]) for name in made}
    return pd.DataFrame(
        {name: np.concatenate([a, b.to_numpy(dtype=a.dtype)]) for name, (a, b) in whole.items()}
    )


def measure_rows(table: Any) -> tuple[Ints, Ints]:
    """Return the characters of each row's messages together, and of its longest text (n, n)."""
    chars, longest = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for batch in table.select(COLUMNS).to_batches(max_chunksize=50_000):
        flat = flatten(batch)
        most = np.zeros(flat.rows, dtype=np.int64)
        for texts, row in flat.all_texts():
            np.maximum.at(most, row, _count_chars(texts))
        longest.append(most)
        size = _count_chars(flat.texts)
        total = np.bincount(flat.row, weights=size, minlength=flat.rows)
        chars.append(total.astype(np.int64))
    return np.concatenate(chars), np.concatenate(longest)


def _count_chars(texts: Any) -> Ints:
    return np.asarray(pc.fill_null(pc.utf8_length(texts), 0), dtype=np.int64)


_BESIDE = ("tools", "rejected", "reference")


def _batches(table: Any, more: Sequence[str] = ()) -> Any:
    return table.select(["messages", *more]).to_batches(max_chunksize=10_000)


def _last_answer(messages: list[Message]) -> str:
    last = messages[-1] if messages else None
    return last["content"] if last and last["role"] == "assistant" else ""


def _digest_row(row: Mapping[str, Any]) -> tuple[str, str]:
    messages: list[Message] = row["messages"]
    last = len(messages) - 1
    given = [
        m
        for i, m in enumerate(messages)
        if m["role"] != "system" and not (i == last and m["role"] == "assistant")
    ]
    beside = [str(row[name]) for name in _BESIDE if row[name] is not None]
    whole = [*messages, *(Message(role="", content=text) for text in beside)]
    return _digest_messages(given), _digest_messages(whole)


def _digest_messages(messages: list[Message]) -> str:
    # Joining normal forms of messages is the normal form of their join, and labels repeat.
    text = " ".join(filter(None, (_normal(message_text(m)) for m in messages)))
    # Texts without a single word (only signs) are told apart by what they are.
    text = text or full_text(messages).strip()
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@lru_cache(maxsize=4096)
def _normal(text: str) -> str:
    return normal(text)
