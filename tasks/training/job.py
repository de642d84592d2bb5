"""The contract between whoever starts a training job and the trainer."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from configs.backends import Backend
from configs.training import Training
from tasks.artifacts import Checkpoint, HeldOut, LocalModel, MixtureReceipt, PackedMixture
from tasks.errors import TrainingError
from tasks.locks import locked
from tasks.models.identity import weights_digest
from tasks.storage import building, commit, file_digest, find, home, stage_key, write_text
from tasks.training.rewards import own_modules

if TYPE_CHECKING:  # where a job runs decides nothing of what is learnt
    from tasks.training.backends.nova.job import NovaJob


class TrainingJob(BaseModel):
    """What the trainer is told, as ``job.json`` in the job's own folder.

    Attributes:
        key: Digest of everything that changes the weights: base model, mixture, training
            section, seed and trainer code. Placement (the backend) is not part of it.
        folder: Where the trainer works and leaves ``result.json``.
        steps: Optimiser steps: the mixture is passed over once.
        packs: What steps are of, where packing is on; of the same mixture.
        held_out: Rows to validate on, where there is validation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    folder: Path
    model: LocalModel
    mixture: MixtureReceipt
    training: Training
    seed: int
    steps: int
    packs: PackedMixture | None = None
    held_out: HeldOut | None = None

    @property
    def backend(self) -> Backend:
        """Where it runs."""
        return self.training.backend

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


State = Literal["running", "completed", "failed", "lost"]


class JobStatus(BaseModel):
    """Where a job stands.

    Attributes:
        state: ``lost`` is a job that ended without a result: killed, or its machine went away.
        step: Last finished optimiser step.
        steps: Of the whole job; 0 where the service counts none.
        message: What the service says of it, or why it ended.
        where: What to look at after a failure; the job's ``trainer.log`` when empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: State
    step: int = 0
    steps: int = 0
    message: str = ""
    where: str = ""
    latest: dict[str, Any] = {}


_NO_MATTER = {"backend", "save_steps", "blend", "validation", "max_overlong_loss"}
"""Fields of the section that don't change what is learnt."""


class Extras(NamedTuple):
    """What a job may have beside its mixture."""

    packs: PackedMixture | None = None
    held_out: HeldOut | None = None


def make_job(
    model: LocalModel,
    mixture: MixtureReceipt,
    training: Training,
    seed: int,
    extras: Extras = Extras(),  # noqa: B008
) -> TrainingJob:
    """Return the job that trains ``model`` on ``mixture``, or on its packs."""
    packs, held_out = extras
    stopping = training.validation is not None and training.validation.stop_on is not None
    key = stage_key(
        "training",
        {
            "model": model.digest,
            "mixture": mixture.digest,
            "seed": seed,
            "training": training.model_dump(mode="json", exclude=_NO_MATTER),
            "packs": packs.digest if packs else None,
            # A name says nothing of what the user's function does.
            "rewards": {name: file_digest(p) for name, p in own_modules(training).items()},
            # Validation that only watches changes nothing.
            "stopping": [training.validation, held_out and held_out.digest] if stopping else None,
        },
        # The process that trains: what only starts it, anywhere, changes nothing.
        "tasks.training.trainer",
    )
    units = packs.packs if packs else mixture.rows
    return TrainingJob(
        key=key,
        folder=home("jobs", key[:32]),
        model=model,
        mixture=mixture,
        packs=packs,
        held_out=held_out,
        training=training,
        seed=seed,
        steps=-(-units // training.batch_rows),
    )


# A finished job's output as a checkpoint receipt.


def find_checkpoint(job: "TrainingJob | NovaJob") -> Checkpoint | None:
    """Return the checkpoint of that job if it is finished and whole."""
    return find(home("checkpoints", job.key[:32]), Checkpoint)


def take_checkpoint(job: TrainingJob) -> Checkpoint:
    """Move what the trainer left into ``checkpoints/`` and return its receipt.

    Raises:
        TrainingError: The job did not complete.
    """
    with locked(job.folder / "taking.lock"):
        if (done := find_checkpoint(job)) is not None:
            return done
        return _move_checkpoint(job)


def _move_checkpoint(job: TrainingJob) -> Checkpoint:
    result = json.loads((job.folder / "result.json").read_text())
    if result["status"] != "completed":
        raise TrainingError(result["message"], where=str(job.folder), fix="see trainer.log there.")
    folder = home("checkpoints", job.key[:32])
    with building(folder) as aside:
        shutil.copytree(job.folder / "out", aside, dirs_exist_ok=True)
        for name in ("losses.jsonl", "rows.jsonl", "job.json", "result.json"):
            shutil.copy2(job.folder / name, aside / name)
        receipt = Checkpoint(
            path=folder,
            name=f"{job.model.name}-{job.key[:8]}",
            digest=weights_digest(job.folder / "out"),
            tokenizer_digest=job.model.tokenizer_digest,
            chat=job.model.chat,
            parent=job.model.digest,
            steps=result["steps"],
            best_step=result.get("best_step"),
            adapter_digest=result["adapter_digest"],
            notes=result.get("notes", {}),
        )
        checkpoint = commit(aside, receipt)
    shutil.rmtree(job.folder / "states", ignore_errors=True)
    shutil.rmtree(job.folder / "out", ignore_errors=True)
    return checkpoint
