"""Writing a snapshot: Parquet shards of chat rows, and the rows that could not be used."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.text.rows import ROW_SCHEMA, ChatRow

SHARD_ROWS = 50_000
_GROUP_ROWS = 5_000
REJECTED_SCHEMA = pa.schema(
    [pa.field("origin", pa.string()), pa.field("raw", pa.string()), pa.field("reason", pa.string())]
)


class RowDigest:
    """SHA-256 over the logical rows in order: ids, label, group, split, unused fields, any time."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, row: ChatRow) -> None:
        """Take in the next row."""
        parts: list[Any] = [row["row_id"], row["label"], row["group"], row["split"]]
        parts += [row["extra"]] if row.get("extra") else []
        if row.get("time") is not None:
            parts.append(repr(row.get("time")))
        self._hash.update((json.dumps(parts, separators=(",", ":")) + "\n").encode())

    def hex(self) -> str:
        """Return the digest so far."""
        return self._hash.hexdigest()


class SnapshotWriter:
    """Writes ``rows/part-*.parquet`` and ``rejected.parquet`` into a folder, a few rows at a time.

    Use as a context manager; ``rows``, ``rejected`` and ``digest`` hold afterwards.
    """

    def __init__(self, folder: Path) -> None:
        (folder / "rows").mkdir(parents=True)
        self.rows = self.rejected = 0
        self._digest, self._folder = RowDigest(), folder
        self._waiting: list[ChatRow] = []
        self._refused: list[dict[str, str]] = []
        self._shard: Any = None
        self._rejects = _writer(folder / "rejected.parquet", REJECTED_SCHEMA)

    def __enter__(self) -> "SnapshotWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._flush_rows()
        self._flush_rejected()
        self._rejects.close()
        if self._shard is not None:
            self._shard.close()

    @property
    def digest(self) -> str:
        """Digest of the rows written so far."""
        return self._digest.hex()

    def write(self, row: ChatRow) -> None:
        """Add a row."""
        self.rows += 1
        self._digest.add(row)
        self._waiting.append(row)
        if len(self._waiting) == _GROUP_ROWS:
            self._flush_rows()

    def reject(self, origin: str, raw: str, reason: str) -> None:
        """Add a row that can't be used, with its text and the reason."""
        self.rejected += 1
        self._refused.append({"origin": origin, "raw": raw, "reason": reason})
        if len(self._refused) == _GROUP_ROWS:
            self._flush_rejected()

    def _flush_rows(self) -> None:
        start = self.rows - len(self._waiting)
        if self._shard is None or (start % SHARD_ROWS == 0 and self._waiting):
            if self._shard is not None:
                self._shard.close()
            name = f"part-{start // SHARD_ROWS:05d}.parquet"
            self._shard = _writer(self._folder / "rows" / name, ROW_SCHEMA)
        self._shard.write_table(pa.Table.from_pylist(self._waiting, schema=ROW_SCHEMA))
        self._waiting = []

    def _flush_rejected(self) -> None:
        self._rejects.write_table(pa.Table.from_pylist(self._refused, schema=REJECTED_SCHEMA))
        self._refused = []


def _writer(path: Path, schema: Any) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetWriter(path, schema, compression="zstd")
