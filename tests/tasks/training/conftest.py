import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.backends import LocalBackend
from configs.training import Lora, Training
from tasks.artifacts import MixtureReceipt
from tasks.text.masks import IGNORED
from tasks.training.job import Extras, make_job

TOKENS = pa.list_(pa.int32())
ROWS = 48


def ids_of(i, extra=0):
    return [7 + (i * j) % 190 for j in range(1, 12 + i % 9 + extra)]


def masked(ids, prompt=4):
    return [IGNORED] * prompt + ids[prompt:]


def columns_of(method, rows):
    """What the mixture stage gives for each method, from made-up tokens."""
    ids = [ids_of(i) for i in range(rows)]
    table = {
        "row_id": [f"r{i}" for i in range(rows)],
        "source": ["a" if i % 3 else "b" for i in range(rows)],
        "input_ids": pa.array(ids, TOKENS),
        "labels": pa.array([masked(row) for row in ids], TOKENS),
    }
    if method == "dpo":
        # Worse answers end in tokens of their own, so there is something to learn.
        worse = [[*row[:4], *[200 + (i + k) % 9 for k in range(6)]] for i, row in enumerate(ids)]
        table["rejected_ids"] = pa.array(worse, TOKENS)
        table["rejected_labels"] = pa.array([masked(row) for row in worse], TOKENS)
    if method == "rft":
        table["labels"] = pa.array([[IGNORED] * len(row) for row in ids], TOKENS)
        table["reference"] = [json.dumps("plus") for _ in range(rows)]
    return pa.table(table)


@pytest.fixture
def make_mixture(temper_home):
    """A function that writes a mixture of a method's rows, as the mixture stage would."""

    def make(method="sft", rows=ROWS):
        folder = temper_home / "mixtures" / f"{method}-{rows}"
        folder.mkdir(parents=True)
        table = columns_of(method, rows)
        table = table.append_column("position", pa.array(range(rows)))
        pq.write_table(table, folder / "shard-00000.parquet")
        tokens = sum(len(ids_of(i)) for i in range(rows))
        return MixtureReceipt(
            path=folder,
            digest=f"digest-{method}-{rows}",
            rows=rows,
            tokens=tokens,
            supervised_tokens=tokens - 4 * rows,
            shards=("shard-00000.parquet",),
            sources=("a", "b"),
        )

    return make


@pytest.fixture
def mixture(make_mixture):
    return make_mixture()


@pytest.fixture
def make_training_job(tiny_model):
    """A function that makes a quick job on a mixture."""

    def make(mixture, packs=None, held_out=None, **fields):
        training = Training(
            **{
                "batch_rows": 4,
                "save_steps": 2,
                "learning_rate": 1e-3,
                "dtype": "float32",
                "adapter": Lora(rank=4),
                "backend": LocalBackend(threads=1),
                **fields,
            }
        )
        return make_job(tiny_model, mixture, training, 7, Extras(packs, held_out))

    return make


@pytest.fixture
def records():
    """A function that reads a job's metrics stream."""

    def read(folder):
        return [json.loads(line) for line in (folder / "losses.jsonl").open()]

    return read
