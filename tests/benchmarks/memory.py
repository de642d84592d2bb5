"""Peak memory of mixing against rows: each size in a process of its own.

What is counted is the most resident memory the process ever had (``VmHWM``), pages of
memory-mapped files included, above that of the same process before it began to mix.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

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


def main() -> int:
    """Print rows and peak memory for each size."""
    from build import SHARES, write_sources

    if len(sys.argv) > 1:
        print(json.dumps(one(int(sys.argv[1]), Path(sys.argv[2]))))
        return 0
    for rows in SIZES:
        with tempfile.TemporaryDirectory(prefix="bench-memory-") as name:
            folder = Path(name)
            for part in ("small", f"{rows}", "warm", "out"):
                (folder / part).mkdir()
            write_sources(folder / "small", 1_000)
            write_sources(folder / f"{rows}", round(rows * max(SHARES.values())))
            done = subprocess.run(  # noqa: S603 - this file, with a size and a folder
                [sys.executable, __file__, str(rows), name], check=True, capture_output=True,
                text=True)  # fmt: skip
            print(done.stdout.strip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
