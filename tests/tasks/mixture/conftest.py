"""A materialised mixture without a model: shards as the build stage writes them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.artifacts import MixtureReceipt
from tasks.mixture.shards import write_shard

NAMES = ("chat", "code", "voc")


def _rows(start: int, stop: int) -> pa.Table:
    positions = np.arange(start, stop)
    lengths = positions * 7919 % 23 + 1
    ids = [[int(p) * 100 + i for i in range(n)] for p, n in zip(positions, lengths, strict=True)]
    tokens = pa.list_(pa.int32())
    # Another order of names in every shard, as a dictionary may have.
    turned = NAMES[start % 3 :] + NAMES[: start % 3]
    sources = pa.array([turned.index(NAMES[p % 3]) for p in positions], pa.int32())
    return pa.table(
        {
            "row_id": [f"{p:032x}" for p in positions],
            "input_ids": pa.array(ids, tokens),
            "labels": pa.array([[-100, *row[1:]] for row in ids], tokens),
            "position": positions,
            "source": pa.DictionaryArray.from_arrays(sources, pa.array(turned)),
            "epoch": pa.array(positions % 2, pa.int32()),
        }
    )


@pytest.fixture
def make_mixture(tmp_path: Path, temper_home: Path) -> Callable[..., MixtureReceipt]:
    """A function from rows, rows per shard and per row group to a mixture's receipt.

    Row p is of source p mod 3 and has the tokens 100 p, 100 p + 1, ..., 23 at the most.
    """

    def make(rows: int, per_shard: int = 16, per_group: int = 5) -> MixtureReceipt:
        folder = tmp_path / f"mixture-{rows}-{per_shard}-{per_group}"
        folder.mkdir()
        names = []
        for start in range(0, rows, per_shard):
            names.append(f"shard-{len(names):05d}.parquet")
            shard = _rows(start, min(start + per_shard, rows))
            write_shard(shard, folder / names[-1], per_group)
        tokens = sum(p * 7919 % 23 + 1 for p in range(rows))
        return MixtureReceipt(
            path=folder,
            digest=folder.name,
            rows=rows,
            tokens=tokens,
            supervised_tokens=tokens - rows,
            shards=tuple(names),
            sources=NAMES,
        )

    return make
