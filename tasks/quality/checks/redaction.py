"""Rows rewritten without the personal data or secrets that a recipe wants redacted."""

import json
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from configs.quality import Quality
from tasks.quality.checks.detectors import (
    Detections,
    Detector,
    PatternDetector,
    Span,
    open_personal_detector,
    redact_text,
)
from tasks.quality.checks.texts import SAID, Flags, read_all_texts
from tasks.text.rows import compact, row_id

_BATCH = 50_000
_BESIDE = ("tools", "rejected", "reference")
_CHANGED = ("row_id", "messages", *_BESIDE)


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
    engines = _open_detectors(quality)
    if not engines:
        return table, {}
    batches, flags = [], [{name: np.zeros(0, dtype=bool) for kinds, _ in engines for name in kinds}]
    for batch in table.to_batches(max_chunksize=_BATCH):
        for kinds, engine in engines:
            batch, found = _redact_batch(batch, engine, kinds)
            flags.append(found)
        batches.append(batch)
    names = [name for kinds, _ in engines for name in kinds]
    whole = {name: np.concatenate([f[name] for f in flags if name in f]) for name in names}
    return pa.Table.from_batches(batches, schema=table.schema), whole


def _open_detectors(quality: Quality) -> list[tuple[dict[str, str], Detector]]:
    made: list[tuple[dict[str, str], Detector]] = []
    if quality.pii is not None and quality.pii.action == "redact":
        made.append((_names("pii", quality.pii.kinds), open_personal_detector(quality.pii)))
    if quality.secrets is not None and quality.secrets.action == "redact":
        kinds = quality.secrets.kinds
        made.append((_names("secret", kinds), PatternDetector(kinds)))
    return made


def _names(family: str, kinds: tuple[str, ...]) -> dict[str, str]:
    return {f"{family}_{kind}": kind for kind in kinds}


def _redact_batch(
    batch: Any, engine: Detector, kinds: dict[str, str]
) -> tuple[Any, dict[str, Flags]]:
    texts = read_all_texts(batch)
    found = Detections(engine, texts.distinct)
    flags = {name: texts.rows_with(found.flags(kind)) for name, kind in kinds.items()}
    held = np.zeros(len(texts.distinct), dtype=bool)
    held[list(found.spans)] = True
    changed = np.flatnonzero(texts.rows_with(held))
    if not len(changed):
        return batch, flags
    known = {texts.distinct[place].as_py(): spans for place, spans in found.spans.items()}
    return _rewrite_rows(batch, changed, _Cleaner(engine, known)), flags


class _Cleaner(NamedTuple):
    """What takes finds out of texts.

    Attributes:
        engine: Looks inside JSON texts, whose values it hasn't seen by themselves.
        known: What it found in the batch's texts; others hold nothing.
    """

    engine: Detector
    known: dict[str, list[Span]]


def _rewrite_rows(batch: Any, changed: Any, cleaner: _Cleaner) -> Any:
    rows = {name: batch.column(name).to_pylist() for name in _CHANGED if name in batch.schema.names}
    for place in changed:
        row = {name: values[place] for name, values in rows.items()}
        clean = _clean_row(row, cleaner)
        clean["row_id"] = row_id(clean["messages"], *(clean.get(n) for n in _BESIDE))
        for name, values in rows.items():
            values[place] = clean[name]
    columns = {
        name: pa.array(rows[name], field.type) if name in rows else batch.column(name)
        for name, field in zip(batch.schema.names, batch.schema, strict=True)
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=batch.schema)


def _clean_row(row: dict[str, Any], cleaner: _Cleaner) -> dict[str, Any]:
    clean = row | {"messages": [_clean_message(m, cleaner) for m in row["messages"]]}
    if row.get("rejected") is not None:
        clean["rejected"] = _clean_message(row["rejected"], cleaner)
    return clean | {
        name: _clean_json(row[name], cleaner.engine)
        for name in ("tools", "reference")
        if row.get(name) is not None
    }


def _clean_message(message: dict[str, Any], cleaner: _Cleaner) -> dict[str, Any]:
    said = {name: message[name] for name in SAID if message.get(name)}
    return message | {
        name: _clean_json(text, cleaner.engine)
        if name == "tool_calls"
        else redact_text(text, cleaner.known.get(text, ()))
        for name, text in said.items()
    }


def _clean_json(text: str, engine: Detector) -> str:
    # Inside the JSON text a number would be replaced by what is no JSON any more.
    return compact(_clean_value(json.loads(text), engine))


def _clean_value(value: Any, engine: Detector) -> Any:
    if isinstance(value, dict):
        return {name: _clean_value(inner, engine) for name, inner in value.items()}
    if isinstance(value, list):
        return [_clean_value(inner, engine) for inner in value]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    clean = redact_text(str(value), engine.spans(str(value)))
    return value if clean == str(value) else clean
