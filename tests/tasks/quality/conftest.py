"""Snapshots made of a few rows, as ingest would leave them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from configs.sources import FilesSource
from tasks.artifacts import Origin, Snapshot
from tasks.storage import digest_of
from tasks.text.rows import ROW_SCHEMA, row_id

Rows = Sequence[dict[str, Any]]


@pytest.fixture
def row() -> Callable[..., dict[str, Any]]:
    """Makes a chat row of a prompt and an answer (or of messages), labelled where asked."""

    def make(prompt: str, answer: str = "yes", **fields: Any) -> dict[str, Any]:
        messages = fields.pop("messages", None) or [
            {"role": "user", "content": prompt},
            {"role": "assistant", "content": answer},
        ]
        return {
            "row_id": row_id(messages),
            "messages": messages,
            "label": None,
            "group": None,
            "split": None,
            "origin": "a.jsonl:1",
        } | fields

    return make


@pytest.fixture
def snapshot_of(tmp_path: Path, temper_home: Path) -> Callable[..., Snapshot]:
    """Writes rows (and rejected ones) as a snapshot."""

    def make(rows: Rows, rejected: Rows = (), role: str = "domain") -> Snapshot:
        digest = digest_of([[r["row_id"], r["label"], r["group"], r["split"]] for r in rows])
        folder = tmp_path / "snapshots" / f"voc-{digest[:12]}-{len(rejected)}-{role}"
        (folder / "rows").mkdir(parents=True)
        table = pa.Table.from_pylist(list(rows), schema=ROW_SCHEMA)
        pq.write_table(table, folder / "rows" / "part-00000.parquet")
        fields = [pa.field(n, pa.string()) for n in ("origin", "raw", "reason")]
        pq.write_table(
            pa.Table.from_pylist(list(rejected), schema=pa.schema(fields)),
            folder / "rejected.parquet",
        )
        return Snapshot(
            path=folder,
            digest=digest,
            origin=Origin(name="voc", role=role, uri="a.jsonl"),
            rows=len(rows),
            rejected=len(rejected),
        )

    return make


@pytest.fixture
def source() -> Callable[..., FilesSource]:
    """Makes a source of files; its label column is mapped unless it is told otherwise."""

    def make(**fields: Any) -> FilesSource:
        base = {
            "name": "voc",
            "role": "domain",
            "kind": "files",
            "path": "a.jsonl",
            "columns": {"prompt": "q", "completion": "a", "label": "l"},
        }
        return TypeAdapter(FilesSource).validate_python(base | fields)

    return make
