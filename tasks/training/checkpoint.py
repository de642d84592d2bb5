"""A finished job's output as a checkpoint receipt."""

import json
import shutil

from tasks.artifacts import Checkpoint
from tasks.errors import TrainingError
from tasks.models.identity import weights_digest
from tasks.storage import building, commit, find, home
from tasks.training.job import TrainingJob


def find_checkpoint(job: TrainingJob) -> Checkpoint | None:
    """Return the checkpoint of that job if it is finished and whole."""
    return find(home("checkpoints", job.key[:32]), Checkpoint)


def take_checkpoint(job: TrainingJob) -> Checkpoint:
    """Move what the trainer left into ``checkpoints/`` and return its receipt.

    Raises:
        TrainingError: The job did not complete.
    """
    if (done := find_checkpoint(job)) is not None:
        return done
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
            parent=job.model.digest,
            steps=result["steps"],
            best_step=result.get("best_step"),
            adapter_digest=result["adapter_digest"],
        )
        checkpoint = commit(aside, receipt)
    shutil.rmtree(job.folder / "states", ignore_errors=True)
    shutil.rmtree(job.folder / "out", ignore_errors=True)
    return checkpoint
