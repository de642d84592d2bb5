"""A training job from its last saved state to its merged weights."""

from itertools import islice
from pathlib import Path
from typing import Any

from tasks.errors import TrainingError
from tasks.storage import file_digest
from tasks.training.data import check_data, data_of, open_dataset, planned_rows
from tasks.training.job import TrainingJob
from tasks.training.limits import check_disk, explained, kept_states, saved_bytes
from tasks.training.loader import Rank, Steps
from tasks.training.models import gathered, save_merged, stored_dtype
from tasks.training.placement import place_trainer
from tasks.training.resume import ROWS, STREAM, go_back, is_whole, last_state


def train(job: TrainingJob) -> dict[str, Any]:
    """Train and merge; resumes from the newest whole state in the job's folder.

    Returns:
        What ``result.json`` says of a completed job: steps, rows, digests, and what the exactness
        of the weights depends on (seed, threads, processes, versions).

    Raises:
        TrainingError: The data or the machine don't allow it, or the loss is no number.
        StorageError: The disk is full.
    """
    import torch

    if threads := place_trainer(job.backend).threads:
        torch.set_num_threads(threads)
    states = job.folder / "states"
    states.mkdir(exist_ok=True)
    trainer = _trainer(job, states)
    place: Rank = trainer.place
    last = _resumed(job, states, place)
    if (validator := getattr(trainer, "validator", None)) is not None and last is not None:
        # Every machine has the state; the stream in the job's folder is the first one's alone.
        validator.resume(last / STREAM)
    with explained(job.folder, lambda: _tokens(job, trainer)):
        _check_room(job, trainer)
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    done, stopped = trainer.state.global_step, trainer.stopped
    if done != job.steps and not stopped:
        raise TrainingError(
            f"training ended at step {done} of {job.steps}.",
            where=str(job.folder),
            fix="look at trainer.log there.",
        )
    with explained(job.folder, lambda: _tokens(job, trainer)):
        best = _back_to_best(trainer, states, done)
        whole = gathered(job.training, _model(trainer))
    if place.rank:
        return {}
    with explained(job.folder, lambda: (0, 0, 0)):
        _save(job, trainer, whole)
        return {
            "steps": done,
            "stopped": stopped,
            "best_step": best,
            **_finished(job, trainer, done),
        }


def _back_to_best(trainer: Any, states: Path, done: int) -> int | None:
    """Give the model the weights of the lowest validation loss, where it was asked to stop by that.

    Returns:
        Their step; None where validation does not choose.

    Raises:
        TrainingError: The state saved there is gone.
    """
    validator = getattr(trainer, "validator", None)
    best: int | None = validator.best_step if validator else None
    if best is None or best == done:
        return best
    folder = states / f"checkpoint-{best}"
    if not is_whole(folder):
        raise TrainingError(
            "the state of the lowest validation loss is gone.",
            where=str(folder),
            fix="delete the job's folder and run again.",
        )
    trainer.state.best_model_checkpoint = str(folder)
    # Trainer's own: it knows adapters, whole models and sharded ones.
    trainer._load_best_model()
    return best


def _resumed(job: TrainingJob, states: Path, place: Rank) -> Path | None:
    """Return the state to go on from; every process sees the same, once the first has looked."""
    import torch

    found = last_state(states, data_of(job).digest) if place.rank == 0 else None
    if place.rank == 0:
        go_back(job.folder, found[0] if found else None)
    if place.world > 1:
        shared = [str(found[0]) if found else None]
        torch.distributed.broadcast_object_list(shared)
        return Path(shared[0]) if shared[0] else None
    return found[0] if found else None


def _trainer(job: TrainingJob, states: Path) -> Any:
    import torch
    from transformers import AutoTokenizer

    from tasks.training.callbacks import Marker, Stream
    from tasks.training.factory import arguments, open_trainer

    args = arguments(job, states, world_size())
    tokenizer = AutoTokenizer.from_pretrained(job.model.path, local_files_only=True)
    rows = open_dataset(job)
    # The adapter's first weights are drawn when it is made.
    torch.manual_seed(job.seed)
    trainer = open_trainer(job, args, tokenizer, rows)
    check_data(job, _context(trainer.model))
    trainer.begin(
        Steps(rows, job.training.batch_rows, data_of(job).sources), trainer.data_collator, job.seed
    )
    # Before the stream, which writes what validation adds to a step's record.
    _validate(job, trainer)
    trainer.add_callback(Stream(job.folder, trainer))
    trainer.add_callback(Marker(job, data_of(job).digest, len(rows), trainer.place.rank))
    return trainer


def _validate(job: TrainingJob, trainer: Any) -> None:
    if job.training.validation is None or job.held_out is None:
        return
    from tasks.training.validation import Validator

    shape = trainer.data_collator.shape
    trainer.validator = Validator(job.training.validation, job.held_out, trainer, shape)
    trainer.add_callback(trainer.validator)


def world_size() -> int:
    """Return the number of processes that torchrun started; 1 without it."""
    import os

    return int(os.environ.get("WORLD_SIZE", "1"))


def _context(model: Any) -> int | None:
    from tasks.models.local.loading import most_positions

    return most_positions(getattr(model, "base_model", model))


def _check_room(job: TrainingJob, trainer: Any) -> None:
    sizes = [(p.numel(), p.requires_grad) for p in trainer.model.parameters()]
    learn, whole = sum(n for n, yes in sizes if yes), sum(n for n, _ in sizes)
    merged = 4 if stored_dtype(job.model.path) == "float32" else 2
    check_disk(job.folder, saved_bytes(learn, whole, merged, kept_states(job.training)))


def _tokens(job: TrainingJob, trainer: Any) -> tuple[int, int, int]:
    return trainer.failed_tokens, trainer.most_tokens, job.training.micro_batch_tokens


def _save(job: TrainingJob, trainer: Any, whole: dict[str, Any] | None) -> None:
    out = job.folder / "out"
    save_merged(job.model, job.training, _model(trainer), out, whole)
    trainer.processing_class.save_pretrained(out)


def _finished(job: TrainingJob, trainer: Any, steps: int) -> dict[str, Any]:
    from tasks.training.callbacks import check_rows

    left_over = getattr(trainer.data_collator, "left_over", 0)
    rows = check_rows(job.folder / ROWS, islice(planned_rows(job), steps), left_over)
    adapter = job.folder / "out" / "adapter" / "adapter_model.safetensors"
    return {
        "rows": rows,
        "left_over": left_over,
        "adapter_digest": file_digest(adapter) if adapter.is_file() else "",
        "made_with": _made_with(job, trainer),
    }


def _model(trainer: Any) -> Any:
    return trainer.accelerator.unwrap_model(trainer.model)


def _made_with(job: TrainingJob, trainer: Any) -> dict[str, Any]:
    """Return what the last bits of the weights depend on."""
    from importlib.metadata import version

    import torch

    packages = ("torch", "transformers", "trl", "peft", "accelerate")
    named = {name: version(name) for name in packages}
    return {
        "seed": job.seed,
        "threads": torch.get_num_threads(),
        "processes": trainer.place.world,
        "device": str(trainer.args.device),
        "dtype": str(trainer.model.dtype),
        **named,
    }
