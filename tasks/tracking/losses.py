"""The training log that comes with a checkpoint."""

import json
import os
from itertools import takewhile
from pathlib import Path

from tasks.artifacts import Checkpoint

BLOCK = 1 << 16
"""Bytes of a stream's end that are looked at first."""
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
    size = BLOCK
    while True:
        lines, whole = _last_lines(stream, size)
        found = list(takewhile(lambda record: record["step"] > step, map(_numbers, lines)))
        if whole or len(found) < len(lines):
            return found[::-1]
        size *= 8


def _last_lines(stream: Path, size: int) -> tuple[list[bytes], bool]:
    """Return the whole lines in the last ``size`` bytes, newest first, and whether that is all."""
    if not stream.is_file():
        return [], True
    with stream.open("rb") as file:
        start = max(file.seek(0, os.SEEK_END) - size, 0)
        file.seek(start)
        # What stands after the last line's end is being written.
        lines = file.read().split(b"\n")[:-1]
    return [line for line in reversed(lines[start > 0 :]) if line.strip()], start == 0


def _numbers(line: bytes) -> dict[str, float]:
    record = json.loads(line)
    return {key: float(value) for key, value in record.items() if isinstance(value, int | float)}


def by_source(records: list[dict[str, float]]) -> dict[str, list[tuple[float, float]]]:
    """Return each source's loss as (step, nats a supervised token), sources in order of name."""
    names = sorted({key for record in records for key in record if key.startswith(PREFIX)})
    return {
        name.removeprefix(PREFIX): [(r["step"], r[name]) for r in records if name in r]
        for name in names
    }
