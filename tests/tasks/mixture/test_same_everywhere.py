"""The digests of a known plan and of its rows: the same on every machine and under every numpy."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.mixture.plan import Plan, make_plan
from tasks.mixture.rows import MappedRows, gather_rows, hash_rows, write_rows

SCHEMA = pa.schema([("row_id", pa.string()), ("input_ids", pa.list_(pa.int32()))])
BY_ROWS = "034057c940d64a5c010631cf177d5b5d7bd82792d94ff7af1c4988c59bc122e5"
BY_TOKENS = "d92490e9dea67e958a999957cc7e890da2e52af0b54c08449eb2ae7c54e698c6"
ROWS = "e4f0024403349cd88ed8d4aa02f6fcd10e6e5392222b33322d04eed36b4ed402"
SIZES = {
    name: (np.arange(rows) * step) % 97 + 1
    for name, rows, step in (("a", 5_000, 31), ("b", 70_000, 57), ("c", 900, 13))
}


def _plan(rows_exact: bool) -> Plan:
    quotas = {"a": 11_000, "b": 60_000, "c": 2_500}
    return make_plan(
        [quotas if rows_exact else {n: q * 40 for n, q in quotas.items()}], SIZES, 17, rows_exact
    )


def _rows(folder: Path, name: str) -> MappedRows:
    sizes = SIZES[name].tolist()
    table = pa.table(
        {
            "row_id": [f"{name}{i}" for i in range(len(sizes))],
            "input_ids": [list(range(n)) for n in sizes],
        },
        schema=SCHEMA,
    )
    write_rows(folder / f"{name}.arrow", [table], SCHEMA)
    return MappedRows(folder / f"{name}.arrow")


def test_a_plan_by_rows_has_the_digest_it_always_had() -> None:
    assert _plan(rows_exact=True).digest() == BY_ROWS


def test_a_plan_by_tokens_has_the_digest_it_always_had() -> None:
    assert _plan(rows_exact=False).digest() == BY_TOKENS


def test_the_rows_of_a_plan_have_the_digest_they_always_had(tmp_path: Path) -> None:
    plan = _plan(rows_exact=False)
    rows = [_rows(tmp_path, name) for name in plan.names]
    table = gather_rows(plan.rows(60_000, 70_000), plan.names, rows, SCHEMA.names)
    hashed = hashlib.sha256(hash_rows(table).astype("<u8").tobytes())
    assert hashed.hexdigest() == ROWS
