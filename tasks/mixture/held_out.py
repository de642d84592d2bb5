"""Held-out rows of the mixture's sources, as training sees rows: to validate on as it goes."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.artifacts import CleanSource, HeldOut, LocalModel
from tasks.errors import RenderingError
from tasks.mixture.tokenize import SCHEMA, Record, RowFormat, fit_record, make_records, read_rows
from tasks.storage import building, commit, digest_of, find, home, stage_key
from tasks.text.chat import load_tokenizer
from tasks.text.keyed import key_of, keyed_rank
from tasks.text.template import Tokenizer

COLUMNS = ("row_id", "input_ids", "labels")


def hold_out(
    sources: Sequence[CleanSource], model: LocalModel, length: int, row_format: RowFormat, rows: int
) -> HeldOut:
    """Return the dev rows of each role, at most ``rows`` of them, made now or found from before.

    Which rows is decided by their ids alone, so that the same are validated on whatever the seed.

    Args:
        sources: After quality; those without dev rows give none.
        model: Its tokenizer and chat template render the rows.
        length: Tokens; longer rows are treated as training treats them.
        row_format: The training method, and what becomes of longer rows.
        rows: Most rows of a role.
    """
    key = stage_key(
        "held_out",
        {
            "sources": [[s.name, s.role, s.digest] for s in sources],
            "length": length,
            "rows": rows,
            "how": row_format._asdict(),
            "tokenizer": model.tokenizer_digest,
        },
        __name__,
    )
    folder = home("held_out", key[:32])
    if (done := find(folder, HeldOut)) is not None:
        return done
    tokenizer = load_tokenizer(model.path, model.chat)
    order = key_of(0, "held_out")
    found: list[Record] = []
    for role in sorted({s.role for s in sources}):
        of_role = [s for s in sources if s.role == role]
        rendered = _render_dev(of_role, tokenizer, length, row_format)
        found += sorted(rendered, key=lambda r: keyed_rank(order, r["row_id"]))[:rows]
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


def _render_dev(
    sources: Sequence[CleanSource], tokenizer: Tokenizer, length: int, row_format: RowFormat
) -> Iterator[Record]:
    """Yield the dev rows of sources that can be validated on; of a long row its first part.

    Of a row each answer of which makes a training row, the last is taken: it has the others before
    it. One that the chat template can't write gives none, as in training.
    """
    for source in sources:
        if not source.splits.get("dev"):
            continue
        for row in read_rows(source.split("dev")):
            try:
                record = make_records(tokenizer, row, row_format)[-1]
            except RenderingError:
                continue
            parts = fit_record(record, length, row_format, row["origin"])
            if not parts or not parts[0]["supervised_tokens"]:
                continue
            kept = {name: parts[0][name] for name in COLUMNS if name != "row_id"}
            yield {"row_id": row["row_id"], **kept, "source": source.name, "role": source.role}
