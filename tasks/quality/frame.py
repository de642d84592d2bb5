"""A snapshot's rows as tables that checks can be computed on at once."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from tasks.text.normal import normal
from tasks.text.rows import ROW_SCHEMA, Message, full_text, message_text, prompt_text


def read_rows(snapshot: Path) -> Any:
    """Return a snapshot's rows as one Arrow table in the chat-row schema."""
    import pyarrow.parquet as pq

    shards = sorted((snapshot / "rows").glob("*.parquet"))
    tables = [pq.read_table(shard, schema=ROW_SCHEMA) for shard in shards]
    return pa.concat_tables(tables) if tables else ROW_SCHEMA.empty_table()


def identities(table: Any) -> pd.DataFrame:
    """Return row_id, label, group, split, time, ``prompt_key`` and ``text_key`` of every row.

    The keys are digests: equal for rows whose prompts (or whole texts) are equal in normal form.
    """
    columns = table.select(["row_id", "label", "group", "split"])
    # A column of nulls alone would otherwise lose that it holds text.
    frame: pd.DataFrame = columns.to_pandas(types_mapper=lambda _: pd.StringDtype("pyarrow"))
    keys = [_keys(row) for batch in _batches(table, _BESIDE) for row in batch.to_pylist()]
    frame["time"] = table["time"].to_pandas().to_numpy(dtype=float)
    frame["prompt_key"] = [prompt for prompt, _ in keys]
    frame["text_key"] = [text for _, text in keys]
    return frame


def texts(table: Any) -> pd.DataFrame:
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
            "answer": [_answer(messages) for messages in rows],
            "label": table["label"].to_pandas(),
            "chars": [len(text) for text in whole],
            "words": [len(text.split()) for text in whole],
            "turns": [sum(m["role"] != "system" for m in messages) for messages in rows],
            "split": table["split"].to_pandas(),
        }
    )


_BESIDE = ("tools", "rejected", "reference")


def _batches(table: Any, more: Sequence[str] = ()) -> Any:
    return table.select(["messages", *more]).to_batches(max_chunksize=10_000)


def _answer(messages: list[Message]) -> str:
    last = messages[-1] if messages else None
    return last["content"] if last and last["role"] == "assistant" else ""


def _keys(row: Mapping[str, Any]) -> tuple[str, str]:
    messages: list[Message] = row["messages"]
    last = len(messages) - 1
    given = [
        m
        for i, m in enumerate(messages)
        if m["role"] != "system" and not (i == last and m["role"] == "assistant")
    ]
    beside = [str(row[name]) for name in _BESIDE if row[name] is not None]
    whole = [*messages, *(Message(role="", content=text) for text in beside)]
    return _key(given), _key(whole)


def _key(messages: list[Message]) -> str:
    # Joining normal forms of messages is the normal form of their join, and labels repeat.
    text = " ".join(filter(None, (_normal(message_text(m)) for m in messages)))
    # Texts without a single word (only signs) are told apart by what they are.
    text = text or full_text(messages).strip()
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@lru_cache(maxsize=4096)
def _normal(text: str) -> str:
    return normal(text)
