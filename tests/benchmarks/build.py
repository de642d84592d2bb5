"""Parquet in, mixed Parquet out, against ``datasets`` interleave and ``to_parquet``."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pair import Benchmark

ROWS, SHARES = 1_000_000, {"a": 0.7, "b": 0.2, "c": 0.1}
PER_SHARD = 131_072


def write_sources(folder: Path, rows: int) -> None:
    """Write three sources of distinct texts of 40 to 160 bytes, with a number beside each."""
    draw = np.random.default_rng(17)
    letters = "".join(chr(97 + n) for n in draw.integers(0, 26, 1_000_000))
    for name in SHARES:
        starts, sizes = draw.integers(0, 999_000, rows), draw.integers(32, 150, rows)
        texts = [
            f"{name}{i} {letters[s : s + n]}"
            for i, (s, n) in enumerate(zip(starts, sizes, strict=True))
        ]
        pq.write_table(pa.table({"text": texts, "n": np.arange(rows)}), folder / f"{name}.parquet")


def mixed(folder: Path, out: Path) -> int:
    """Mix the sources as the product does, in one worker; return the rows written."""
    from tasks.mixture.plan import make_plan
    from tasks.mixture.rows import MappedRows, gather_rows, hash_rows, write_rows

    mapped = []
    for name in sorted(SHARES):
        source = pq.ParquetFile(folder / f"{name}.parquet", pre_buffer=False)
        batches = (pa.Table.from_batches([b]) for b in source.iter_batches(65_536))
        write_rows(out / f"{name}.arrow", batches, source.schema_arrow)
        mapped.append(MappedRows(out / f"{name}.arrow"))
    rows = len(mapped[0])
    quotas = {n: round(rows / max(SHARES.values()) * s) for n, s in SHARES.items()}
    plan = make_plan([quotas], {n: np.ones(rows, np.int64) for n in quotas}, 17, rows_exact=True)
    for number, part in enumerate(plan.batches(PER_SHARD)):
        table = gather_rows(part, plan.names, mapped, ("text", "n"))
        hash_rows(table)
        pq.write_table(table, out / f"shard-{number}.parquet", compression="snappy")
    return len(plan)


def build() -> Benchmark:
    """Mix three sources of 1 M rows at 70/20/10, from Parquet to Parquet (snappy)."""
    import datasets

    folder = Path(tempfile.mkdtemp(prefix="bench-build-"))
    write_sources(folder, ROWS)
    parts = [
        datasets.Dataset.from_parquet(str(folder / f"{n}.parquet"), cache_dir=str(folder))
        for n in SHARES
    ]

    def ours() -> object:
        return _in_new_folder(folder, lambda out: mixed(folder, out))

    def peer() -> object:
        # Its input is read into its own cache before the clock starts; ours is read each time.
        whole = datasets.interleave_datasets(parts, probabilities=list(SHARES.values()), seed=17)
        return _in_new_folder(folder, lambda out: whole.to_parquet(out / "mixed.parquet"))

    return Benchmark(
        metric=f"rows/s, 3 sources of {ROWS:,} rows, Parquet to mixed Parquet",
        units=round(ROWS / max(SHARES.values())),
        ours=ours,
        peer=peer,
        peer_name="datasets",
        target=10,
    )


def _in_new_folder(folder: Path, work: Any) -> object:
    out = folder / "out"
    out.mkdir()
    try:
        return work(out)
    finally:
        shutil.rmtree(out)
