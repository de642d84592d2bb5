"""The mixture as a job reads it: rows or packs by position, and what can be wrong with them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.artifacts import MixtureReceipt, PackedMixture
from tasks.errors import TrainingError
from tasks.text.masks import IGNORED
from tasks.training.job import TrainingJob


def data_of(job: TrainingJob) -> MixtureReceipt | PackedMixture:
    """Return what the job is trained on: the packs, where there are any."""
    return job.packs or job.mixture


def open_dataset(job: TrainingJob) -> Any:
    """Return rows or packs as a memory-mapped ``datasets.Dataset``; lists come as arrays."""
    from datasets import Dataset

    data = data_of(job)
    shards = [str(data.path / name) for name in data.shards]
    return Dataset.from_parquet(shards, cache_dir=str(job.folder / "cache")).with_format("numpy")


def planned_rows(job: TrainingJob) -> Iterator[list[str]]:
    """Yield the row ids of each optimiser step as the shards have them, in plan order."""
    data, size = data_of(job), job.training.batch_rows
    name = "positions" if job.packs else "row_id"
    waiting: list[Any] = []
    for shard in data.shards:
        waiting += pq.read_table(data.path / shard, columns=[name])[name].to_pylist()
        while len(waiting) >= size:
            yield _flat(waiting[:size])
            waiting = waiting[size:]
    if waiting:
        yield _flat(waiting)


def _flat(values: list[Any]) -> list[str]:
    return [str(x) for v in values for x in (v if isinstance(v, list) else [v])]


def check_data(job: TrainingJob, context: int | None) -> None:
    """Refuse data that training can't end well on, before anything is computed.

    Args:
        job: The job.
        context: Tokens the model can see; None where its config doesn't say.

    Raises:
        TrainingError: A document is longer than the model's context, or no token carries loss.
    """
    data, carries = data_of(job), job.training.method == "rft"
    longest = 0
    for shard in data.shards:
        file = pq.ParquetFile(data.path / shard)
        for group in range(file.metadata.num_row_groups):
            table = file.read_row_group(group)
            longest = max(longest, _longest(table))
            carries = carries or _carries(table)
    if job.training.method == "rft":
        longest += job.training.rft.max_new_tokens
    if context is not None and longest > context:
        raise TrainingError(
            f"a sequence has {longest:,} tokens, and {job.model.name} can see {context:,}.",
            where="training.sequence_length",
            fix=f"set it to {context:,} or less"
            + (", less rft.max_new_tokens." if job.training.method == "rft" else "."),
        )
    if not carries:
        raise TrainingError(
            "no token of the mixture carries loss: all labels are masked.",
            where="mixture",
            fix="look at the rows (`temper export`): has the last turn of each an answer?",
        )


def _longest(table: pa.Table) -> int:
    if "seq_lengths" in table.column_names:
        return int(pc.max(pc.list_flatten(table["seq_lengths"])).as_py() or 0)
    names = [n for n in ("input_ids", "rejected_ids") if n in table.column_names]
    return max(int(pc.max(pc.list_value_length(table[n])).as_py() or 0) for n in names)


def _carries(table: pa.Table) -> bool:
    labels = np.asarray(pc.list_flatten(table["labels"]).combine_chunks())
    return bool((labels != IGNORED).any())
