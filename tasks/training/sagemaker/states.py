"""Saved states that came back from S3: which of them are whole."""

import json
import shutil
import zipfile
from pathlib import Path

REQUIRED = ("trainer_state.json", "optimizer.pt", "scheduler.pt")


def drop_broken(states: Path) -> list[str]:
    """Remove ``checkpoint-N`` folders that lack a file or hold one cut short; return their names.

    A machine that is taken away in the middle of a save leaves such folders behind, and the trainer
    would take the newest.
    """
    found = sorted(states.glob("checkpoint-*")) if states.is_dir() else []
    broken = [f for f in found if not is_whole(f)]
    for folder in broken:
        shutil.rmtree(folder)
    return [f.name for f in broken]


def is_whole(checkpoint: Path) -> bool:
    """Return whether a saved state can be resumed from."""
    weights = sorted(checkpoint.glob("*.safetensors"))
    return (
        all((checkpoint / name).is_file() for name in REQUIRED)
        and bool(weights)
        and all(map(_whole_safetensors, weights))
        and all(map(zipfile.is_zipfile, sorted(checkpoint.glob("*.pt*"))))
        and _readable(checkpoint / "trainer_state.json")
    )


def newest_step(states: Path) -> int:
    """Return the step of the newest saved state; 0 when there is none."""
    numbers = [f.name.rpartition("-")[2] for f in states.glob("checkpoint-*")]
    return max((int(n) for n in numbers if n.isdigit()), default=0)


def _whole_safetensors(path: Path) -> bool:
    """Return whether the file is as long as its header says (8 bytes of length, JSON, data)."""
    with path.open("rb") as stream:
        head = stream.read(8)
        length = int.from_bytes(head, "little")
        text = stream.read(length)
    if len(head) < 8 or len(text) < length:
        return False
    try:
        header = json.loads(text)
    except ValueError:
        return False
    ends = [t["data_offsets"][1] for name, t in header.items() if name != "__metadata__"]
    return path.stat().st_size == 8 + length + max(ends, default=0)


def _readable(path: Path) -> bool:
    try:
        json.loads(path.read_text())
    except ValueError:
        return False
    return True
