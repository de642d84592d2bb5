"""Clean training rows rendered, tokenised and masked, without what may not be trained on."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.artifacts import CleanSource, Filter, LocalModel, SplitName, TokenizedSource
from tasks.errors import DataError
from tasks.mixture.gather import row_hashes
from tasks.mixture.rows import write_rows
from tasks.storage import building, commit, digest_of, find, home, stage_key
from tasks.text.chat import Tokenizer, load_tokenizer, render
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


def tokenise(
    clean: CleanSource,
    model: LocalModel,
    sequence_length: int,
    exclusions: Exclusions,
) -> TokenizedSource:
    """Return the training rows of a source as tokens with their loss mask.

    Rows longer than ``sequence_length`` tokens, rows without a supervised token, and rows that
    contain an item of an excluded suite are left out and counted by reason.

    Args:
        clean: The source after quality.
        model: Its tokenizer and chat template render the rows.
        sequence_length: Longest row that is kept, in tokens.
        exclusions: Test items by suite name.

    Raises:
        DataError: A row is a pair or a question, which supervised fine-tuning has no use for.
    """
    key = stage_key("tokens", {
        "clean": clean.digest, "tokenizer": model.tokenizer_digest, "length": sequence_length,
        "exclusions": {name: items_digest(items) for name, items in exclusions.items()},
    }, "tasks.mixture.tokens", "tasks.text")  # fmt: skip
    folder = home("tokens", f"{clean.name}-{key[:16]}")
    if (done := find(folder, TokenizedSource)) is not None:
        # The same rows may come from elsewhere this time.
        named = ("role", "category", "licence", "uri", "revision")
        return done.model_copy(update={name: getattr(clean, name) for name in named})
    indexes = {name: index_of(items) for name, items in exclusions.items()}
    kept = _Kept(Counter({f"overlap:{name}": 0 for name in exclusions}))
    tokenizer = load_tokenizer(model.path)
    rows = _kept(clean, tokenizer, sequence_length, (indexes, kept.left_out))
    with building(folder) as aside:
        write_rows(aside / "rows.arrow", kept.counted(rows), SCHEMA)
        return commit(aside, _receipt(folder, clean, kept))


@dataclass
class _Kept:
    """What is known of the rows that have been written, so that none need stay in memory."""

    left_out: Counter[str]
    rows: int = 0
    tokens: int = 0
    supervised: int = 0
    state: Any = field(default_factory=hashlib.sha256)

    def counted(self, rows: Iterator[dict[str, object]]) -> Iterator[Any]:
        """Yield the rows as tables, counting them and taking their digest."""
        while batch := list(islice(rows, BATCH)):
            table = pa.Table.from_pylist(batch, schema=SCHEMA)
            self.rows += len(table)
            self.tokens += pc.sum(table["tokens"]).as_py()
            self.supervised += pc.sum(table["supervised_tokens"]).as_py()
            self.state.update(row_hashes(table).astype("<u8").tobytes())
            yield table


def _kept(
    clean: CleanSource,
    tokenizer: Tokenizer,
    limit: int,
    filters: tuple[Mapping[str, OverlapIndex], Counter[str]],
) -> Iterator[dict[str, object]]:
    indexes, left_out = filters
    for row, found in _judged(read_rows(clean.split("train")), indexes):
        if found:
            left_out[f"overlap:{found}"] += 1
            continue
        _check_supervised(row)
        done = render(tokenizer, row["messages"], row.get("tools"))
        if len(done.input_ids) > limit or not done.supervised:
            left_out["too_long" if done.supervised else "nothing_supervised"] += 1
            continue
        yield {"row_id": row["row_id"], "input_ids": done.input_ids, "labels": done.labels,
               "tokens": len(done.input_ids), "supervised_tokens": done.supervised}  # fmt: skip


def _check_supervised(row: ChatRow) -> None:
    kinds = {"rejected": "a pair (chosen and rejected)", "reference": "a question to be sampled"}
    found = next((text for name, text in kinds.items() if row.get(name) is not None), None)
    if found is not None:
        raise DataError(
            f"the row is {found}, and supervised fine-tuning learns from answers alone.",
            where=row["origin"],
            fix="train its source by the method it was made for, or give a source of answers.",
        )


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


def _receipt(folder: Path, clean: CleanSource, kept: _Kept) -> TokenizedSource:
    return TokenizedSource(
        path=folder, digest=kept.state.hexdigest(),
        name=clean.name, role=clean.role, category=clean.category, licence=clean.licence,
        uri=clean.uri, revision=clean.revision, clean_digest=clean.digest,
        rows_in=clean.rows_in, findings=clean.findings, rows=kept.rows, tokens=kept.tokens,
        supervised_tokens=kept.supervised, left_out=dict(sorted(kept.left_out.items())),
        filters=_filters(clean, kept.left_out),
    )  # fmt: skip


def _filters(clean: CleanSource, left_out: Mapping[str, int]) -> tuple[Filter, ...]:
    left, steps = clean.splits.get("train", 0), list(clean.filters)
    steps.append(Filter(name="held_out", rows_in=clean.rows_out, rows_out=left,
                        settings={n: clean.splits.get(n, 0) for n in HELD_OUT}))  # fmt: skip
    for name, rows in sorted(left_out.items()):
        settings = {"rules": RULES} if name.startswith("overlap:") else {}
        steps.append(Filter(name=name, rows_in=left, rows_out=left - rows, settings=settings))
        left -= rows
    return tuple(steps)
