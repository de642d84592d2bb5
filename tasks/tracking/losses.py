"""The training log that comes with a checkpoint."""

import json
from pathlib import Path

from tasks.artifacts import Checkpoint

PREFIX = "loss/"
"""Before a source's name, in the keys of its own loss."""


def read_losses(checkpoint: Checkpoint) -> list[dict[str, float]]:
    """Return the records of ``losses.jsonl`` by step: ``step`` and every number logged at it."""
    return sorted(records_after(checkpoint.path / "losses.jsonl", -1), key=lambda r: r["step"])


def records_after(stream: Path, step: float) -> list[dict[str, float]]:
    """Return the newest records of a metrics stream, back to the first that is not over ``step``.

    The stream is looked at from its end: a job that goes on from a saved state does some steps
    again, and may have shortened the stream or written them a second time.

    Args:
        stream: JSON lines, which may be growing.
        step: The last step that is known.

    Returns:
        Records of whole lines, in the stream's order.
    """
    # What stands after the last line's end is being written.
    lines = stream.read_bytes().split(b"\n")[:-1] if stream.is_file() else []
    found: list[dict[str, float]] = []
    for line in filter(bytes.strip, reversed(lines)):
        record = {key: float(value) for key, value in json.loads(line).items()
                  if isinstance(value, int | float)}  # fmt: skip
        if record["step"] <= step:
            break
        found.append(record)
    return found[::-1]


def by_source(records: list[dict[str, float]]) -> dict[str, list[tuple[float, float]]]:
    """Return each source's loss as (step, nats a supervised token), sources in order of name."""
    names = sorted({key for record in records for key in record if key.startswith(PREFIX)})
    return {name.removeprefix(PREFIX): [(r["step"], r[name]) for r in records if name in r]
            for name in names}  # fmt: skip
