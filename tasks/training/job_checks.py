"""What can be told wrong of a job from its files, before anything is started or bought."""

import json
from pathlib import Path

import pyarrow.parquet as pq

from configs.training import Lora
from tasks.errors import TrainingError
from tasks.training.backends.base import Job
from tasks.training.job import TrainingJob
from tasks.training.memory import tensor_shapes
from tasks.training.rewards import verify_all


def check_job(job: Job) -> None:
    """Refuse a job that would fail, or learn less than it says, wherever it runs.

    Raises:
        TrainingError: The adapter names layers that the model doesn't have, or a reward function
            can't be imported, fails on sample rows, or can teach nothing.
    """
    if not isinstance(job, TrainingJob):
        return  # the service checks what it is sent
    if job.training.adapter is not None and job.model.has_weights:
        check_targets(job.model.path, job.training.adapter)
    if job.training.method == "rft":
        _check_rewards(job)


def check_targets(folder: Path, lora: Lora) -> None:
    """Refuse an adapter for layers that aren't there: of the rest it would be made silently.

    Raises:
        TrainingError: A target is the name of no layer with weights.
    """
    if isinstance(lora.targets, str):
        return
    shapes = tensor_shapes(folder)
    layers = {name.removesuffix(".weight") for name, shape in shapes.items() if len(shape) == 2}
    known = {layer.rpartition(".")[2] for layer in layers}
    absent = [
        t
        for t in lora.targets
        if not any(layer == t or layer.endswith(f".{t}") for layer in layers)
    ]
    if absent:
        raise TrainingError(
            f"the model has no layer named {', '.join(absent)}.",
            where="training.adapter.targets",
            fix=f"name layers that it has ({', '.join(sorted(known))}), or all-linear.",
        )


def _check_rewards(job: TrainingJob) -> None:
    parts = [
        pq.read_table(job.mixture.path / name, columns=["row_id", "reference"])
        for name in job.mixture.shards
    ]
    references = [json.loads(text) for part in parts for text in part["reference"].to_pylist()]
    row_ids = [row for part in parts for row in part["row_id"].to_pylist()]
    verify_all(job.training.rft.functions, references, row_ids)
