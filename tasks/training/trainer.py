"""``python -m tasks.training.trainer job.json``: trains, resumes, and leaves ``result.json``.

Runs in its own process on any machine, or in several that the launcher or torchrun started; knows
nothing of Prefect or MLflow, and ends with whoever started it.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from configs.redaction import redact, redact_logs
from tasks.errors import TemperError
from tasks.lifeline import end_with_parent
from tasks.locks import try_lock
from tasks.storage import write_text
from tasks.training.job import TrainingJob

LOCK = "running.lock"
TRIES = 10


def main(path: str) -> int:
    """Run the job; return 0 when ``result.json`` says completed."""
    job = TrainingJob.model_validate_json(Path(path).read_text())
    rank = int(os.environ.get("RANK", "0"))
    with _locked(job.folder / LOCK, rank) as free:
        return _run(job, rank) if free else 0


@contextmanager
def _locked(path: Path, rank: int) -> Iterator[bool]:
    """Give whether the job is ours: the first process holds its lock, and writes its id there."""
    if rank:
        yield True
        return
    # Whoever asks whether the lock is held has it for a moment.
    for _ in range(TRIES):
        if (lock := try_lock(path)) is not None:
            break
        time.sleep(0.1)
    else:
        yield False
        return
    try:
        path.write_text(str(os.getpid()))
        yield True
    finally:
        lock.release()


def _run(job: TrainingJob, rank: int) -> int:
    from tasks.training.launcher import join_ranks
    from tasks.training.run import train

    try:
        join_ranks()
        result = train(job)
    except TemperError as error:
        return _leave(job, rank, {"status": "failed", "message": error.paragraph()})
    except Exception as error:
        print(redact(traceback.format_exc()), file=sys.stderr)
        message = redact(f"{type(error).__name__}: {error}")
        return _leave(job, rank, {"status": "failed", "message": message})
    return _leave(job, rank, {"status": "completed", **result})


def _leave(job: TrainingJob, rank: int, result: dict[str, Any]) -> int:
    path, failed = job.folder / "result.json", result["status"] == "failed"
    # Any process may be the one that knows what went wrong; the first to say so is heard.
    if (rank == 0 and not (failed and path.exists())) or (failed and not path.exists()):
        write_text(path, json.dumps(result, indent=1))
    return 1 if failed else 0


if __name__ == "__main__":
    end_with_parent()
    redact_logs()
    os.umask(0o077)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(main(sys.argv[1]))
