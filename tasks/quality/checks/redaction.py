"""Rows rewritten without the personal data or secrets that a recipe wants redacted."""

from typing import Any

import numpy as np
import pyarrow as pa

from configs.stages import Quality
from tasks.quality.checks.engines import Engine, Found, PatternEngine, personal_engine, redacted
from tasks.quality.checks.texts import Flags, texts_of
from tasks.text.rows import row_id

_BATCH = 50_000


def redact(table: Any, quality: Quality) -> tuple[Any, dict[str, Flags]]:
    """Return the rows with what is to be redacted written as ``[EMAIL]`` and the like.

    A row that changes gets the identity of what it says now.

    Args:
        table: Chat rows (n).
        quality: The recipe's section.

    Returns:
        The table, and check -> the rows it changed (n); empty where nothing is to be redacted.

    Raises:
        DataError: Presidio is asked for and isn't installed.
    """
    engines = _engines(quality)
    if not engines:
        return table, {}
    batches, flags = [], [{name: np.zeros(0, dtype=bool) for kinds, _ in engines for name in kinds}]
    for batch in table.to_batches(max_chunksize=_BATCH):
        for kinds, engine in engines:
            batch, found = _redacted(batch, engine, kinds)
            flags.append(found)
        batches.append(batch)
    names = [name for kinds, _ in engines for name in kinds]
    whole = {name: np.concatenate([f[name] for f in flags if name in f]) for name in names}
    return pa.Table.from_batches(batches, schema=table.schema), whole


def _engines(quality: Quality) -> list[tuple[dict[str, str], Engine]]:
    made: list[tuple[dict[str, str], Engine]] = []
    if quality.pii is not None and quality.pii.action == "redact":
        made.append((_names("pii", quality.pii.kinds), personal_engine(quality.pii)))
    if quality.secrets is not None and quality.secrets.action == "redact":
        kinds = quality.secrets.kinds
        made.append((_names("secret", kinds), PatternEngine(kinds)))
    return made


def _names(family: str, kinds: tuple[str, ...]) -> dict[str, str]:
    return {f"{family}_{kind}": kind for kind in kinds}


def _redacted(batch: Any, engine: Engine, kinds: dict[str, str]) -> tuple[Any, dict[str, Flags]]:
    texts = texts_of(batch)
    found = Found(engine, texts.distinct)
    flags = {name: texts.rows_with(found.flags(kind)) for name, kind in kinds.items()}
    held = np.zeros(len(texts.distinct), dtype=bool)
    held[list(found.spans)] = True
    changed = np.flatnonzero(texts.rows_with(held))
    if not len(changed):
        return batch, flags
    clean = {texts.distinct[place].as_py(): spans for place, spans in found.spans.items()}
    return _rewritten(batch, changed, clean), flags


def _rewritten(batch: Any, changed: Any, clean: dict[str, Any]) -> Any:
    messages, ids = batch.column("messages"), batch.column("row_id").to_pylist()
    columns = {name: batch.column(name) for name in batch.schema.names}
    rows = messages.to_pylist()
    beside = batch.select(["tools", "rejected", "reference"]).to_pylist()
    for place in changed:
        rows[place] = [{**m, "content": _said(m["content"], clean)} for m in rows[place]]
        ids[place] = row_id(rows[place], **beside[place])
    columns["messages"] = pa.array(rows, messages.type)
    columns["row_id"] = pa.array(ids, pa.string())
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=batch.schema)


def _said(text: str, clean: dict[str, Any]) -> str:
    return redacted(text, clean[text]) if text in clean else text
