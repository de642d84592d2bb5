"""``make bench``: ours beside the peer in one process, interleaved, as ratios.

Each benchmark is a pair of functions that do the same work; a ratio is the median of the peer's
seconds over the median of ours, so above 1 we are faster.
"""

import argparse
import importlib
import json
import os
import platform
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pair import Benchmark

os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")


MODULES = {
    "plan": "plan", "plan_24": "plan", "plan_tokens": "plan", "build": "build", "pack": "pack",
    "resume": "resume", "neardup": "neardup", "rules": "rules", "train": "train",
}  # fmt: skip
"""Benchmark -> the module beside this one that has a function of its name."""


def benchmark(name: str) -> Benchmark:
    """Return the pair of that name."""
    made: Benchmark = getattr(importlib.import_module(MODULES[name]), name)()
    return made


def measure(name: str, repeats: int) -> dict[str, Any]:
    """Run both sides ``repeats`` times, turn about, after one call each to warm up."""
    bench = benchmark(name)
    sides = (bench.ours, bench.peer)
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(repeats + 1):
        for side, taken in zip(sides, seconds, strict=True):
            started = time.perf_counter()
            side()
            if turn:
                taken.append(time.perf_counter() - started)
    ours, peer = (statistics.median(s) for s in seconds)
    return {
        "name": name, "metric": bench.metric, "ours": bench.units / ours,
        "peer": bench.units / peer, "ratio": peer / ours, "target": bench.target,
        "peer_name": bench.peer_name, "peer_version": version(bench.peer_name),
        "repeats": repeats, "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }  # fmt: skip


def main() -> int:
    """Measure the benchmarks asked for and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="names, comma-separated; all when empty")
    parser.add_argument("--out", type=Path, default=Path("bench.json"))
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    names = [n for n in given.only.split(",") if n] or list(MODULES)
    unknown = [n for n in names if n not in MODULES]
    if unknown:
        parser.error(f"no benchmark is named {', '.join(unknown)}; there are {', '.join(MODULES)}")
    results = [measure(name, given.repeats) for name in names]
    given.out.write_text(json.dumps(results, indent=1) + "\n")
    for r in results:
        print(f"{r['name']}: ours {r['ours']:,.5g}, {r['peer_name']} {r['peer']:,.5g} "
              f"{r['metric']}; ratio {r['ratio']:.2f}, target {r['target']:g}")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
