"""Packing, against ``trl.pack_dataset(strategy="bfd")``."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pair import Benchmark

SEQUENCES, CAPACITY = 200_000, 4096


def rows() -> pa.Table:
    """Return input_ids and labels: nine in ten of chat length, one in ten of a long tail.

    Lognormal with medians of about 300 and 1,480 tokens, cut to 8 to 4,096, so that neither side
    has to drop or truncate anything.
    """
    draw = np.random.default_rng(0)
    long = draw.random(SEQUENCES) < 0.1
    chat, tail = draw.lognormal(5.7, 0.9, SEQUENCES), draw.lognormal(7.3, 0.7, SEQUENCES)
    lengths = np.clip(np.where(long, tail, chat), 8, CAPACITY).astype(np.int64)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    ids = draw.integers(0, 50_000, int(lengths.sum())).astype(np.int32)
    labels = np.where(draw.random(len(ids)) < 0.5, ids, -100).astype(np.int32)
    columns = (pa.ListArray.from_arrays(offsets, pa.array(v)) for v in (ids, labels))
    return pa.table(dict(zip(("input_ids", "labels"), columns, strict=True)))


def pack() -> Benchmark:
    """Pack 200,000 sequences into 4,096 tokens, from and to Arrow tables in memory.

    Raises:
        AssertionError: A token is missing, or we need more packs than TRL at its defaults.
    """
    from datasets import Dataset
    from trl import pack_dataset

    from tasks.mixture.packing import pack_table

    table = rows()
    theirs = Dataset(table)
    counts = {
        "ours": pack_table(table, CAPACITY).num_rows,
        "trl": len(pack_dataset(theirs, CAPACITY, map_kwargs={"keep_in_memory": True})),
        "trl in one batch": len(
            pack_dataset(theirs, CAPACITY, map_kwargs={"batch_size": None, "keep_in_memory": True})
        ),
    }
    print(f"packs: {counts}")
    assert counts["ours"] <= counts["trl"]
    tokens = [
        pc.sum(pc.list_value_length(t["input_ids"])).as_py()
        for t in (table, pack_table(table, CAPACITY))
    ]
    assert tokens[0] == tokens[1]
    return Benchmark(
        metric="sequences/s, 200,000 packed into 4,096 tokens",
        units=SEQUENCES,
        ours=lambda: pack_table(table, CAPACITY),
        peer=lambda: pack_dataset(theirs, CAPACITY, map_kwargs={"keep_in_memory": True}),
        peer_name="trl",
        target=10.0,
    )
