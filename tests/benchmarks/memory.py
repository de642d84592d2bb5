"""Peak memory of mixing against rows: each size in a process of its own.

What is counted is the most resident memory the process ever had (``VmHWM``), interpreter,
compiled code and pages of memory-mapped files included.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from pair import Limit

SIZES = (1_000_000, 3_000_000, 10_000_000)


def peak_mb() -> float:
    """Return the most resident memory of this process so far, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def one(rows: int, folder: Path) -> dict[str, float]:
    """Mix ``rows`` rows in all from three Parquet files, as the build benchmark does."""
    from build import mixed

    mixed(folder / "small", folder / "warm")
    before = peak_mb()
    written = mixed(folder / f"{rows}", folder / "out")
    return {"rows": written, "before_mb": before, "peak_mb": peak_mb()}


def at(rows: int) -> dict[str, float]:
    """Return the peak of mixing so many rows, in a process of its own."""
    from build import SHARES, write_sources

    with tempfile.TemporaryDirectory(prefix="bench-memory-") as name:
        folder = Path(name)
        for part in ("small", f"{rows}", "warm", "out"):
            (folder / part).mkdir()
        write_sources(folder / "small", 1_000)
        write_sources(folder / f"{rows}", round(rows * max(SHARES.values())))
        done = subprocess.run(
            [sys.executable, __file__, str(rows), name], check=True, capture_output=True, text=True
        )
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def memory() -> Limit:
    """Mix 1, 3 and 10 million rows."""

    def figures() -> dict[str, float]:
        return {f"MiB at {rows:,} rows": at(rows)["peak_mb"] for rows in SIZES}

    return Limit("peak resident memory of mixing", figures, f"MiB at {SIZES[-1]:,} rows", 2048)


if __name__ == "__main__":
    print(json.dumps(one(int(sys.argv[1]), Path(sys.argv[2]))))
