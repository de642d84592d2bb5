"""The training log that comes with a checkpoint."""

import json
from pathlib import Path

from tasks.artifacts import Checkpoint

PREFIX = "loss/"
"""Before a source's name, in the keys of its own loss."""


def read_losses(checkpoint: Checkpoint) -> list[dict[str, float]]:
    """Return the records of ``losses.jsonl`` by step: ``step`` and every number logged at it."""
    path: Path = checkpoint.path / "losses.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    records = [{key: float(value) for key, value in json.loads(line).items()
                if isinstance(value, int | float)} for line in lines if line.strip()]  # fmt: skip
    return sorted(records, key=lambda record: record["step"])


def by_source(records: list[dict[str, float]]) -> dict[str, list[tuple[float, float]]]:
    """Return each source's loss as (step, nats a supervised token), sources in order of name."""
    names = sorted({key for record in records for key in record if key.startswith(PREFIX)})
    return {name.removeprefix(PREFIX): [(r["step"], r[name]) for r in records if name in r]
            for name in names}  # fmt: skip
