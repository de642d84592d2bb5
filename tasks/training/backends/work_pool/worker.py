"""On the worker's machine: fetch the parts, train, publish what came of it."""

import json
import os
from pathlib import Path
from typing import Any

from configs.backends import LocalBackend
from tasks.errors import TrainingError
from tasks.storage import home
from tasks.store.places import fetch, files_below, open_store, publish
from tasks.training.job import TrainingJob
from tasks.training.rewards import OWN, importable

KEPT = ("losses.jsonl", "rows.jsonl", "job.json", "result.json")


def fetch_job(parts: dict[str, str], threads: int | None) -> TrainingJob:
    """Return the job with this machine's paths, its parts fetched unless they are here.

    Raises:
        StorageError: A part isn't published, or isn't what its manifest says.
    """
    folders = {name: _fetched(uri) for name, uri in parts.items()}
    told: dict[str, Any] = json.loads((folders["job"] / "job.json").read_text())
    for part, value in told.items():
        if isinstance(value, dict) and part in folders:
            value["path"] = str(folders[part])
    # A folder of its own, in case worker and flow share a TEMPER_HOME.
    told["folder"] = str(home("pool", str(told["key"])[:32]))
    told["training"]["backend"] = LocalBackend(threads=threads).model_dump()
    if OWN in folders:
        os.environ |= importable(folders[OWN])  # of this run's process, for the trainer it starts
    return TrainingJob.model_validate(told)


def stream_key(key: str, run_id: str) -> str:
    """Return where in the store the metrics stream of a run lies while it goes on."""
    return f"streams/{key[:32]}/{run_id}.jsonl"


def publish_metrics(job: TrainingJob, run_id: str, store: str) -> None:
    """Publish the metrics stream as it is now; nothing where there is none yet."""
    stream = job.folder / "losses.jsonl"
    if stream.is_file():
        open_store(store).put(stream_key(job.key, run_id), stream)


def publish_result(job: TrainingJob, run_id: str, store: str) -> str:
    """Publish a completed job's output, tell where it is, and return the address.

    Raises:
        TrainingError: The trainer left no result.
    """
    result = job.folder / "result.json"
    if not result.is_file():
        raise TrainingError(
            "the trainer left no result.", where=str(job.folder), fix="see trainer.log there."
        )
    place = open_store(store)
    out = {f"out/{name}": path for name, path in files_below(job.folder / "out").items()}
    beside = {name: job.folder / name for name in KEPT if (job.folder / name).is_file()}
    made = publish("results", job.key, {**out, **beside}, place)
    told = json.dumps({"uri": made.uri}).encode()
    place.put_once(f"results/{job.key[:32]}/{run_id}.json", told)
    return made.uri


def _fetched(uri: str) -> Path:
    folder = home("fetched", *uri.rstrip("/").split("/")[-3:])
    if not folder.exists():
        fetch(uri, folder)
    return folder
