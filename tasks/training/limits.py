"""Failures that can be told beforehand, or better than by what is raised: memory and disk."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from configs.training import Training
from tasks.errors import StorageError, TrainingError

_MEMORY = ("can't allocate memory", "out of memory", "not enough memory")
_DISK = ("no space left", "os error 28", "file write failed", "failed writing file")
SPARE = 1.2
"""Room to leave on a disk: what is estimated, times this."""


@contextmanager
def explained(folder: Path, used: Any) -> Iterator[None]:
    """Turn errors of memory and disk into ones that say what to change.

    Args:
        folder: The job's.
        used: Returns ``(tokens of the micro-batch being computed, tokens of the largest that was
            computed before, micro_batch_tokens)``.

    Raises:
        TrainingError: Out of memory; it names a micro-batch that would fit.
        StorageError: The disk is full.
    """
    try:
        yield
    except MemoryError as error:
        raise _memory(*used()) from error
    except (RuntimeError, OSError) as error:
        text = str(error).casefold()
        if any(sign in text for sign in _MEMORY):
            raise _memory(*used()) from error
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        if full or any(sign in text for sign in _DISK):
            raise _disk(folder, "") from error
        raise
    except Exception as error:
        # safetensors has an exception of its own for what the operating system says.
        if any(sign in str(error).casefold() for sign in _DISK):
            raise _disk(folder, "") from error
        raise


def _memory(failed: int, fitted: int, budget: int) -> TrainingError:
    """Return the error; half of what failed fits as far as is known, or what was computed before.

    Activations grow with the tokens of a micro-batch (attention with the square of its rows'
    length), so half the tokens takes half of them at the most.
    """
    size = max(fitted if 0 < fitted < failed else failed // 2, 1)
    if failed <= 0:
        return TrainingError(
            "the model and its optimiser don't fit in memory.",
            where="training",
            fix="use an adapter, a smaller model or sharding.",
        )
    alone = failed > budget
    fix = (
        f"set training.micro_batch_tokens to {size:,} (the step and its result stay the same)"
        if not alone
        else f"set training.sequence_length to {size:,}"
    )
    return TrainingError(
        f"out of memory on {failed:,} tokens at once.",
        where="training.micro_batch_tokens",
        fix=f"{fix}, or gradient_checkpointing: true.",
    )


def check_disk(folder: Path, needed: int) -> None:
    """Refuse a job whose states would not fit on the disk.

    Args:
        folder: The job's.
        needed: Bytes.

    Raises:
        StorageError: There are fewer free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed * SPARE:
        raise _disk(
            folder,
            f" It needs about {needed * SPARE / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free.",
        )


def _disk(folder: Path, detail: str) -> StorageError:
    return StorageError(
        f"the disk is full.{detail}",
        where=str(folder),
        fix="free some space, or set TEMPER_HOME to a larger disk, and run again: it goes on "
        "from the last saved state.",
    )


def kept_states(training: Training) -> int:
    """Return how many states are kept: the last two, and the best where validation may stop."""
    may_stop = training.validation is not None and training.validation.stop_on is not None
    return 3 if may_stop else 2


def saved_bytes(trainable: int, whole: int, merged: int, kept: int = 2) -> int:
    """Return the bytes that a job's states and its output take at the most.

    The states that are kept and one being written, of the trained weights and two moments in
    float32, and the merged model.

    Args:
        trainable: Parameters that learn.
        whole: Parameters in all.
        merged: Bytes a parameter of the output.
        kept: States.
    """
    return (kept + 1) * 12 * trainable + merged * whole + 4 * trainable
