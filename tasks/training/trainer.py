"""``python -m tasks.training.trainer job.json``: trains, resumes, and leaves ``result.json``.

Runs in its own process on any machine, or in several that torchrun started; knows nothing of
Prefect, MLflow or who started it.
"""

import fcntl
import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.errors import TemperError
from tasks.storage import write_text
from tasks.training.job import TrainingJob

LOCK = "running.lock"


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
    with path.open("a+") as lock:
        try:
            # Held by the kernel for as long as this process lives, even if it is killed.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield True


def _run(job: TrainingJob, rank: int) -> int:
    from tasks.training.run import train

    try:
        result = train(job)
    except TemperError as error:
        return _leave(job, rank, {"status": "failed", "message": error.paragraph()})
    except Exception as error:
        traceback.print_exc()
        message = f"{type(error).__name__}: {error}"
        return _leave(job, rank, {"status": "failed", "message": message})
    return _leave(job, rank, {"status": "completed", **result})


def _leave(job: TrainingJob, rank: int, result: dict[str, Any]) -> int:
    path, failed = job.folder / "result.json", result["status"] == "failed"
    # Any process may be the one that knows what went wrong; the first to say so is heard.
    if (rank == 0 and not (failed and path.exists())) or (failed and not path.exists()):
        write_text(path, json.dumps(result, indent=1))
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(main(sys.argv[1]))
