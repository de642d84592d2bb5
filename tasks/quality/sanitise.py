"""Rows with reserved tokens taken out of their texts, and what was taken."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from tasks.quality.checks.reserved import Sanitiser, reserved_pattern
from tasks.quality.checks.texts import COLUMNS, flatten
from tasks.text.rows import ROW_SCHEMA, compact, row_id


class Sanitised(NamedTuple):
    """Rows after sanitising, how many were changed, and token -> how often it was found."""

    table: Any
    rows: int
    tokens: dict[str, int]


def sanitise(table: Any, target: str, control_tokens: Sequence[str] = ()) -> Sanitised:
    """Return chat rows without the tokens that a target or the model's tokenizer reserves.

    A changed row is another row: its ``row_id`` is made anew. Its label changes with the answer
    that it was taken from.
    """
    batches = table.select(COLUMNS).to_batches(max_chunksize=50_000)
    pattern = reserved_pattern(target, control_tokens)
    flags = [flatten(batch).find_pattern(pattern) for batch in batches]
    hit = np.flatnonzero(np.concatenate(flags)) if flags else np.zeros(0, dtype=np.int64)
    if not len(hit):
        return Sanitised(table, 0, {})
    work = Sanitiser(target, control_tokens)
    changed = [_sanitise_row(row, work) for row in table.take(hit).to_pylist()]
    whole = pa.concat_tables([table, pa.Table.from_pylist(changed, schema=ROW_SCHEMA)])
    order = np.arange(len(table))
    order[hit] = len(table) + np.arange(len(hit))
    return Sanitised(whole.take(order), len(hit), dict(work.counts.most_common()))


def _sanitise_row(row: Mapping[str, Any], work: Sanitiser) -> dict[str, Any]:
    before = _answer(row)
    done = dict(row) | {
        "messages": [_sanitise_message(m, work) for m in row["messages"]],
        "tools": _sanitise_json(row["tools"], work),
        "rejected": _sanitise_message(row["rejected"], work) if row["rejected"] else None,
    }
    if row["label"] is not None and row["label"] == before:
        done["label"] = _answer(done) or None
    done["row_id"] = row_id(done["messages"], done["tools"], done["rejected"], row["reference"])
    return done


def _answer(row: Mapping[str, Any]) -> str:
    last = row["messages"][-1] if row["messages"] else None
    return last["content"].strip() if last and last["role"] == "assistant" else ""


def _sanitise_message(message: Mapping[str, Any], work: Sanitiser) -> dict[str, Any]:
    clean = {
        name: work.clean(message[name])
        for name in ("content", "reasoning")
        if message[name] is not None
    }
    return dict(message) | clean | {"tool_calls": _sanitise_json(message["tool_calls"], work)}


def _sanitise_json(text: str | None, work: Sanitiser) -> str | None:
    if text is None:
        return None
    done = _sanitise_value(json.loads(text), work)
    return compact(done)


def _sanitise_value(value: Any, work: Sanitiser) -> Any:
    if isinstance(value, str):
        return work.clean(value)
    if isinstance(value, list):
        return [_sanitise_value(v, work) for v in value]
    if isinstance(value, dict):
        return {name: _sanitise_value(v, work) for name, v in value.items()}
    return value
