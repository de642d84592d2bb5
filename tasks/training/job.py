"""The contract between whoever starts a training job and the trainer."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from configs.stages import Training
from tasks.artifacts import LocalModel, MixtureReceipt
from tasks.storage import home, stage_key, write_text


class TrainingJob(BaseModel):
    """What the trainer is told, as ``job.json`` in the job's own folder.

    Attributes:
        key: Digest of everything that changes the weights: base model, mixture, training
            section, seed and trainer code. Placement (the backend) is not part of it.
        folder: Where the trainer works and leaves ``result.json``.
        steps: Optimiser steps: the mixture is passed over once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    folder: Path
    model: LocalModel
    mixture: MixtureReceipt
    training: Training
    seed: int
    steps: int

    def write(self) -> Path:
        """Write ``job.json`` and return its path."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "job.json"
        write_text(path, self.model_dump_json(indent=1))
        return path


class JobHandle(BaseModel):
    """How a submitted job is found again; JSON, persisted before anyone waits for it.

    Attributes:
        name: What a remote service calls the job; empty for a local one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: str
    key: str
    folder: Path
    pid: int | None = None
    name: str = ""


class JobStatus(BaseModel):
    """Where a job stands.

    Attributes:
        state: ``lost`` is a job that ended without a result: killed, or its machine went away.
        step: Last finished optimiser step.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: Literal["running", "completed", "failed", "lost"]
    step: int = 0
    steps: int = 0
    message: str = ""
    latest: dict[str, Any] = {}


def make_job(
    model: LocalModel, mixture: MixtureReceipt, training: Training, seed: int
) -> TrainingJob:
    """Return the job that trains ``model`` on ``mixture``."""
    key = stage_key("training", {
        "model": model.digest, "mixture": mixture.digest, "seed": seed,
        "training": training.model_dump(mode="json", exclude={"backend", "save_steps"}),
    }, "tasks.training.trainer", "tasks.training.loop", "tasks.training.batches")  # fmt: skip
    return TrainingJob(
        key=key, folder=home("jobs", key[:32]), model=model, mixture=mixture,
        training=training, seed=seed, steps=-(-mixture.rows // training.batch_rows),
    )  # fmt: skip
