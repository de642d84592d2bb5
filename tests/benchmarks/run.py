"""``make bench``: ours beside the peer in one process, interleaved, as ratios.

Each benchmark is a pair of functions that do the same work; a ratio is the median of the peer's
seconds over the median of ours, so above 1 we are faster. What no peer does is held to a limit.
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

from pair import Benchmark, Limit

os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")


MODULES = {
    "plan": "plan",
    "plan_24": "plan",
    "plan_tokens": "plan",
    "build": "build",
    "pack": "pack",
    "resume": "resume",
    "neardup": "neardup",
    "rules": "rules",
    "memory": "memory",
    "checks": "checks",
    "gates": "gates",
    "mmlu": "mmlu",
    "hellaswag": "mmlu",
    "train": "train",
}
"""Benchmark -> the module beside this one that has a function of its name."""


MACHINE = f"{platform.machine()}, {os.cpu_count()} cores"


Found = Benchmark | Limit | dict[str, Any]


def benchmark(name: str) -> Found:
    """Return the pair of that name, what is held to a limit, or what it measured by itself."""
    made: Found = getattr(importlib.import_module(MODULES[name]), name)()
    return made


def measure(name: str, repeats: int) -> dict[str, Any]:
    """Run both sides ``repeats`` times, turn about, after one call each to warm up."""
    bench = benchmark(name)
    if isinstance(bench, dict):
        return bench
    if isinstance(bench, Limit):
        return {
            "name": name,
            "metric": bench.metric,
            "figures": bench.figures(),
            "judged": bench.judged,
            "most": bench.most,
            "machine": MACHINE,
        }
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
        "name": name,
        "metric": bench.metric,
        "ours": bench.units / ours,
        "peer": bench.units / peer,
        "ratio": peer / ours,
        "target": bench.target,
        "peer_name": bench.peer_name,
        "peer_version": version(bench.peer_name),
        "repeats": repeats,
        "machine": MACHINE,
    }


def shown(r: dict[str, Any]) -> str:
    """Return a result as a line."""
    if "figures" in r:
        figures = ", ".join(f"{value:,.5g} {name}" for name, value in r["figures"].items())
        return f"{r['name']}: {r['metric']}: {figures}; at most {r['most']:g} {r['judged']}"
    return (
        f"{r['name']}: ours {r['ours']:,.5g}, {r['peer_name']} {r['peer']:,.5g} {r['metric']}; "
        f"ratio {r['ratio']:.2f}, target {r['target']:g}"
    )


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
    results = []
    for name in names:
        results.append(measure(name, given.repeats))
        print(shown(results[-1]), flush=True)
        given.out.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
