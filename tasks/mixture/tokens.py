"""Clean training rows rendered, tokenised and masked, without what may not be trained on."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.artifacts import CleanSource, Filter, LocalModel, SplitName, TokenizedSource
from tasks.mixture.gather import row_hashes
from tasks.mixture.methods import SFT, How, Record, columns_of, fitted, records
from tasks.mixture.rows import write_rows
from tasks.storage import building, commit, digest_of, find, home, stage_key
from tasks.text.chat import Tokenizer, load_tokenizer
from tasks.text.overlap import RULES, Item, OverlapIndex
from tasks.text.rows import ChatRow

Exclusions = Mapping[str, Sequence[str | Item]]
BATCH = 4096
_INDEXING = Lock()
HELD_OUT: tuple[SplitName, ...] = ("dev", "test")
SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("input_ids", pa.list_(pa.int32())),
        pa.field("labels", pa.list_(pa.int32())),
        pa.field("tokens", pa.int64()),
        pa.field("supervised_tokens", pa.int64()),
    ]
)
_MORE = {
    "rejected_ids": pa.list_(pa.int32()),
    "rejected_labels": pa.list_(pa.int32()),
    "reference": pa.string(),
}


def schema_of(how: How) -> pa.Schema:
    """Return the columns of a source's training rows."""
    more = [pa.field(name, _MORE[name]) for name in columns_of(how.method)]
    return pa.schema([*SCHEMA, *more])


def tokenise(
    clean: CleanSource,
    model: LocalModel,
    sequence_length: int,
    exclusions: Exclusions,
    how: How = SFT,
) -> TokenizedSource:
    """Return the training rows of a source as tokens with their loss mask.

    Rows longer than ``sequence_length`` tokens (unless they are split), rows without a supervised
    token, and rows that contain an item of an excluded suite are left out and counted by reason.

    Args:
        clean: The source after quality.
        model: Its tokenizer and chat template render the rows.
        sequence_length: Longest row that is kept, in tokens.
        exclusions: Test items by suite name.
        how: Training method, and what becomes of rows that are too long.

    Raises:
        DataError: A row is of a kind that the method has no use for (a pair, say), or too long
            where that is an error.
    """
    key = stage_key(
        "tokens",
        {
            "clean": clean.digest,
            "tokenizer": model.tokenizer_digest,
            "length": sequence_length,
            "exclusions": {name: items_digest(items) for name, items in exclusions.items()},
            "how": how._asdict(),
        },
        "tasks.mixture.tokens",
        "tasks.mixture.methods",
        "tasks.text",
    )
    folder = home("tokens", f"{clean.name}-{key[:16]}")
    if (done := find(folder, TokenizedSource)) is not None:
        # The same rows may come from elsewhere this time.
        return done.model_copy(update={"origin": clean.origin})
    indexes = {name: index_of(items) for name, items in exclusions.items()}
    out = _Out(Counter({f"overlap:{name}": 0 for name in exclusions}))
    rows = _kept(clean, _Shape(load_tokenizer(model.path), sequence_length, how), indexes, out)
    schema = schema_of(how)
    with building(folder) as aside:
        write_rows(aside / "rows.arrow", out.counted(rows, schema), schema)
        return commit(aside, _receipt(folder, clean, out))


class _Shape(NamedTuple):
    tokenizer: Tokenizer
    length: int
    how: How


@dataclass
class _Out:
    """What is known of the rows gone through, so that none need stay in memory.

    Attributes:
        rows: Rows left out, by reason.
        lost: ``rows_cut`` and the ``parts`` they gave, and the ``tokens_lost`` and
            ``supervised_tokens_lost`` that are in no training row.
        kept: ``rows``, ``tokens`` and ``supervised_tokens`` of those written.
        state: Digest of those written.
    """

    rows: Counter[str]
    lost: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    state: Any = field(default_factory=hashlib.sha256)

    def counted(self, rows: Iterator[dict[str, object]], schema: pa.Schema) -> Iterator[Any]:
        """Yield the rows as tables, counting them and taking their digest."""
        while batch := list(islice(rows, BATCH)):
            table = pa.Table.from_pylist(batch, schema=schema)
            self.kept["rows"] += len(table)
            for name in ("tokens", "supervised_tokens"):
                self.kept[name] += pc.sum(table[name]).as_py()
            self.state.update(row_hashes(table).astype("<u8").tobytes())
            yield table


def _kept(
    clean: CleanSource, shape: _Shape, indexes: Mapping[str, OverlapIndex], out: _Out
) -> Iterator[dict[str, object]]:
    for row, found in _judged(read_rows(clean.split("train")), indexes):
        if found:
            out.rows[f"overlap:{found}"] += 1
            continue
        for record in records(shape.tokenizer, row, shape.how):
            if not record["supervised_tokens"]:
                out.rows["nothing_supervised"] += 1
                continue
            parts = fitted(record, shape.length, shape.how, row["origin"])
            parts = [part for part in parts if part["supervised_tokens"]]
            _count(out, record, parts)
            for i, part in enumerate(parts):
                yield {"row_id": f"{row['row_id']}.{i}" if i else row["row_id"], **part}


def _count(out: _Out, record: Record, parts: Sequence[Record]) -> None:
    if len(parts) == 1 and parts[0] is record:
        return
    if parts:
        out.lost.update(rows_cut=1, parts=len(parts))
    else:
        out.rows["too_long"] += 1
    for name in ("tokens", "supervised_tokens"):
        out.lost[f"{name}_lost"] += record[name] - sum(part[name] for part in parts)


def _judged(
    rows: Iterator[ChatRow], indexes: Mapping[str, OverlapIndex]
) -> Iterator[tuple[ChatRow, str]]:
    """Yield each row with the first suite of which it contains an item, or nothing."""
    while batch := list(islice(rows, BATCH)):
        found = [""] * len(batch)
        for name, index in indexes.items():
            hits = index.rows_hit([row["messages"] for row in batch])
            found = [f or (name if hit else "") for f, hit in zip(found, hits, strict=True)]
        yield from zip(batch, found, strict=True)


def index_of(items: Sequence[str | Item]) -> OverlapIndex:
    """Return the index of test items, made once for all sources of a run."""
    # Sources are tokenised by threads at once, and the first of them makes it.
    with _INDEXING:
        return _made(tuple(items))


@lru_cache(maxsize=8)
def _made(items: tuple[str | Item, ...]) -> OverlapIndex:
    return OverlapIndex(items)


def items_digest(items: Sequence[str | Item]) -> str:
    """Return the digest of test items, whatever their order."""
    return digest_of(sorted(digest_of(item) for item in items))


def read_rows(path: Path) -> Iterator[ChatRow]:
    """Yield the chat rows of a Parquet file, a batch in memory at a time."""
    for batch in pq.ParquetFile(path).iter_batches(4096):
        yield from batch.to_pylist()


def _receipt(folder: Path, clean: CleanSource, out: _Out) -> TokenizedSource:
    return TokenizedSource(
        path=folder,
        digest=out.state.hexdigest(),
        origin=clean.origin,
        clean_digest=clean.digest,
        rows_in=clean.rows_in,
        findings=clean.findings,
        rows=out.kept["rows"],
        tokens=out.kept["tokens"],
        supervised_tokens=out.kept["supervised_tokens"],
        left_out=dict(sorted(out.rows.items())),
        filters=_filters(clean, out),
    )


def _filters(clean: CleanSource, out: _Out) -> tuple[Filter, ...]:
    left, steps = clean.splits.get("train", 0), list(clean.filters)
    steps.append(
        Filter(
            name="held_out",
            rows_in=clean.rows_out,
            rows_out=left,
            settings={n: clean.splits.get(n, 0) for n in HELD_OUT},
        )
    )
    lost = {name: count for name, count in out.lost.items() if count}
    for name, rows in sorted(out.rows.items()):
        settings: dict[str, Any] = {"rules": RULES} if name.startswith("overlap:") else {}
        if name == "too_long":
            settings = lost
        steps.append(Filter(name=name, rows_in=left, rows_out=left - rows, settings=settings))
        left -= rows
    if out.lost["rows_cut"]:
        more = out.lost["parts"] - out.lost["rows_cut"]
        steps.append(Filter(name="split", rows_in=left, rows_out=left + more, settings=lost))
    return tuple(steps)
