"""Held-out rows of the mixture's sources, as training sees rows: to validate on as it goes."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.artifacts import CleanSource, HeldOut, LocalModel
from tasks.mixture.methods import How, fitted, records
from tasks.mixture.tokens import SCHEMA, read_rows
from tasks.storage import building, commit, digest_of, find, home, stage_key
from tasks.text.chat import load_tokenizer
from tasks.text.keyed import key_of, keyed_rank

COLUMNS = ("row_id", "input_ids", "labels")


def hold_out(
    sources: Sequence[CleanSource], model: LocalModel, length: int, how: How, rows: int
) -> HeldOut:
    """Return the dev rows of each role, at most ``rows`` of them, made now or found from before.

    Which rows is decided by their ids alone, so that the same are validated on whatever the seed.

    Args:
        sources: After quality; those without dev rows give none.
        model: Its tokenizer and chat template render the rows.
        length: Tokens; longer rows are treated as training treats them.
        how: The training method, and what becomes of longer rows.
        rows: Most rows of a role.
    """
    key = stage_key(
        "held_out",
        {
            "sources": [[s.name, s.role, s.digest] for s in sources],
            "length": length,
            "rows": rows,
            "how": how._asdict(),
            "tokenizer": model.tokenizer_digest,
        },
        __name__,
    )
    folder = home("held_out", key[:32])
    if (done := find(folder, HeldOut)) is not None:
        return done
    tokenizer = load_tokenizer(model.path)
    found: list[dict[str, Any]] = []
    for role in sorted({s.role for s in sources}):
        of_role = [s for s in sources if s.role == role]
        found += _first(_rendered(of_role, tokenizer, length, how), rows)
    schema = pa.schema(
        [
            *(SCHEMA.field(name) for name in COLUMNS),
            pa.field("source", pa.string()),
            pa.field("role", pa.string()),
        ]
    )
    counts = {role: sum(r["role"] == role for r in found) for role in {s.role for s in sources}}
    with building(folder) as aside:
        pq.write_table(pa.Table.from_pylist(found, schema=schema), aside / "rows.parquet")
        digest = digest_of([[r["row_id"], r["input_ids"], r["role"]] for r in found])
        return commit(aside, HeldOut(path=folder, digest=digest, rows=counts))


def _rendered(
    sources: Sequence[CleanSource], tokenizer: Any, length: int, how: How
) -> Iterator[dict[str, Any]]:
    for source in sources:
        if not source.splits.get("dev"):
            continue
        for row in read_rows(source.split("dev")):
            for record in records(tokenizer, row, how):
                for part in fitted(record, length, how, row["origin"])[:1]:
                    if part["supervised_tokens"]:
                        kept = {name: part[name] for name in COLUMNS if name in part}
                        yield {
                            "row_id": row["row_id"],
                            **kept,
                            "source": source.name,
                            "role": source.role,
                        }


def _first(rows: Iterator[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    order = key_of(0, "held_out")
    return sorted(rows, key=lambda r: keyed_rank(order, r["row_id"]))[:limit]
