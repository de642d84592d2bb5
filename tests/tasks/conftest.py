"""Per-item tables and scores as suites write them, from plain lists."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.suites.labels import SINGLE
from configs.suites.mmlu import CLOZE, LETTERS
from tasks.metrics.estimates import BY_KIND, estimate_all
from tasks.scores import SuiteScores

SCHEMA = pa.schema(
    [
        ("item_id", pa.string()),
        ("suite", pa.string()),
        ("form", pa.string()),
        ("cluster", pa.string()),
        ("stratum", pa.string()),
        ("prompt_digest", pa.string()),
        ("prompt_tokens", pa.int64()),
        ("gold", pa.string()),
        ("prediction", pa.string()),
        ("raw_output", pa.string()),
        ("choice_logprobs", pa.list_(pa.float64())),
        ("choice_bytes", pa.list_(pa.int64())),
        ("gold_index", pa.int64()),
        ("score", pa.float64()),
        ("scores", pa.map_(pa.string(), pa.float64())),
        ("nats", pa.float64()),
        ("bytes", pa.int64()),
        ("latency_s", pa.float64()),
        ("truncated", pa.bool_()),
        ("error", pa.string()),
    ]
)


def _table(rows: list[dict[str, Any]], labels: list[str] | None = None) -> pa.Table:
    plain = {name: None for name in SCHEMA.names} | {"suite": "s", "truncated": False}
    full = [plain | {"item_id": f"i{i}"} | row for i, row in enumerate(rows)]
    schema = SCHEMA.with_metadata({b"labels": json.dumps(labels).encode()} if labels else None)
    return pa.Table.from_pylist(full, schema=schema)


@pytest.fixture(scope="session")
def table() -> Callable[..., pa.Table]:
    """A function from rows (and a label list) to a per-item table."""
    return _table


@pytest.fixture
def suite_scores(tmp_path: Path) -> Callable[..., SuiteScores]:
    """A function from a suite's name, kind and rows to its stored scores."""
    made = 0

    def make(
        suite: str,
        kind: str,
        rows: list[dict[str, Any]],
        labels: list[str] | None = None,
        fingerprint: str = "f" * 64,
    ) -> SuiteScores:
        nonlocal made
        made += 1
        path = tmp_path / "scores" / str(made)
        path.mkdir(parents=True)
        pq.write_table(_table([{"suite": suite} | r for r in rows], labels), path / "items.parquet")
        cloze = any(r["form"] == "cloze" for r in rows)
        tables = {
            "classification": SINGLE,
            "mmlu": {**LETTERS, **CLOZE} if cloze else LETTERS,
        }
        metrics = tables.get(kind) or BY_KIND[kind]
        return SuiteScores(
            path=path,
            digest=f"{made:064x}",
            suite=suite,
            kind=kind,
            fingerprint=fingerprint,
            weights_digest=f"{made:064x}",
            metrics=estimate_all(path / "items.parquet", metrics),
        )

    return make
