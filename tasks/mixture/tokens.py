"""Clean training rows rendered, tokenised and masked, without what may not be trained on."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.artifacts import CleanSource, LocalModel, TokenizedSource
from tasks.errors import DataError
from tasks.mixture.rows import write_rows
from tasks.storage import building, commit, digest_of, find, home, stage_key
from tasks.text.chat import Tokenizer, load_tokenizer, render
from tasks.text.overlap import OverlapIndex
from tasks.text.rows import ChatRow

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
    exclusions: Mapping[str, Sequence[str]],
) -> TokenizedSource:
    """Return the training rows of a source as tokens with their loss mask.

    Rows longer than ``sequence_length`` tokens, rows without a supervised token, and rows that
    contain an item of an excluded suite are left out and counted by reason.

    Args:
        clean: The source after quality.
        model: Its tokenizer and chat template render the rows.
        sequence_length: Longest row that is kept, in tokens.
        exclusions: Test item texts by suite name.

    Raises:
        DataError: A row is a pair or a question, which supervised fine-tuning has no use for.
    """
    key = stage_key("tokens", {
        "clean": clean.digest, "tokenizer": model.tokenizer_digest, "length": sequence_length,
        "exclusions": {name: digest_of(sorted(texts)) for name, texts in exclusions.items()},
    }, "tasks.mixture.tokens", "tasks.text")  # fmt: skip
    folder = home("tokens", f"{clean.name}-{key[:16]}")
    if (done := find(folder, TokenizedSource)) is not None:
        return done
    indexes = {name: OverlapIndex(texts) for name, texts in exclusions.items()}
    left_out: Counter[str] = Counter()
    tokenizer = load_tokenizer(model.path)
    rows = [row for row in _kept(clean, tokenizer, sequence_length, (indexes, left_out))]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    with building(folder) as aside:
        write_rows(aside / "rows.arrow", [table], SCHEMA)
        return commit(aside, _receipt(folder, clean, table, left_out))


def _kept(
    clean: CleanSource,
    tokenizer: Tokenizer,
    limit: int,
    filters: tuple[Mapping[str, OverlapIndex], Counter[str]],
) -> Iterator[dict[str, object]]:
    indexes, left_out = filters
    for row in read_rows(clean.split("train")):
        overlaps = [f"overlap:{n}" for n, index in indexes.items() if index.hits(row["messages"])]
        if overlaps:
            left_out[overlaps[0]] += 1
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


def read_rows(path: Path) -> Iterator[ChatRow]:
    """Yield the chat rows of a Parquet file, a batch in memory at a time."""
    for batch in pq.ParquetFile(path).iter_batches(4096):
        yield from batch.to_pylist()


def _receipt(
    folder: Path, clean: CleanSource, table: pa.Table, left_out: Mapping[str, int]
) -> TokenizedSource:
    return TokenizedSource(
        path=folder,
        digest=digest_of([table["row_id"].to_pylist(), table["input_ids"].to_pylist(),
                          table["supervised_tokens"].to_pylist()]),
        name=clean.name, role=clean.role, category=clean.category, licence=clean.licence,
        uri=clean.uri, revision=clean.revision, clean_digest=clean.digest,
        rows_in=clean.rows_in, findings=clean.findings, rows=table.num_rows,
        tokens=sum(table["tokens"].to_pylist()),
        supervised_tokens=sum(table["supervised_tokens"].to_pylist()),
        left_out=dict(sorted(left_out.items())),
    )  # fmt: skip
