"""Per-item tables as suites write them, from plain lists."""

import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

SCHEMA = pa.schema([
    ("item_id", pa.string()), ("suite", pa.string()), ("form", pa.string()),
    ("cluster", pa.string()), ("prompt_digest", pa.string()), ("prompt_tokens", pa.int64()),
    ("gold", pa.string()), ("prediction", pa.string()), ("raw_output", pa.string()),
    ("choice_logprobs", pa.list_(pa.float64())), ("choice_bytes", pa.list_(pa.int64())),
    ("gold_index", pa.int64()), ("score", pa.float64()), ("nats", pa.float64()),
    ("bytes", pa.int64()), ("latency_s", pa.float64()), ("truncated", pa.bool_()),
])  # fmt: skip


def _table(rows: list[dict[str, Any]], labels: list[str] | None = None) -> pa.Table:
    plain = {name: None for name in SCHEMA.names} | {"suite": "s", "truncated": False}
    full = [plain | {"item_id": f"i{i}"} | row for i, row in enumerate(rows)]
    schema = SCHEMA.with_metadata({b"labels": json.dumps(labels).encode()} if labels else None)
    return pa.Table.from_pylist(full, schema=schema)


@pytest.fixture(scope="session")
def table() -> Callable[..., pa.Table]:
    """A function from rows (and a label list) to a per-item table."""
    return _table
