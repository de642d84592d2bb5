"""Kill -9 the trainer at random steps, and the flow at random moments; compare the weights.

    python tests/benchmarks/kills.py RECIPE --trainer 10 --flow 10

Runs the recipe undisturbed, then again in homes of their own with processes killed until so many
were, always going on with the same command. Fails unless every finished run has the weights of the
undisturbed one, and each home has one job.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

COMMAND = "from flows.cli import main; main()"
Killer = Callable[["Run"], bool]
"""Kills something of a run, unless it ends before; returns whether it did."""


class Run:
    """``temper run`` as a process of its own."""

    def __init__(self, recipe: str, home: Path, sets: list[str]) -> None:
        env = {**os.environ, "TEMPER_HOME": str(home), "PREFECT_HOME": str(home / "prefect")}
        words = [word for each in sets for word in ("--set", each)]
        self.home, self.said = home, dict[str, Any]()
        self._out = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "run", recipe, "--json", *words],
            env=env,
            stdout=self._out,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def alive(self) -> bool:
        """Return whether it goes on."""
        return self.process.poll() is None

    def kill(self) -> None:
        """End the flow and the server it started, at once; the trainer is in another session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def report(self) -> dict[str, Any] | None:
        """Return the run's report, once it ended by itself; None where it has failed."""
        self.process.wait()
        self._out.seek(0)
        self.said = json.loads(self._out.read() or "{}")
        if "run_id" not in self.said:
            return None
        kept = self.home / "runs" / self.said["run_id"] / "run.json"
        return dict(json.loads(kept.read_text()))


def trainer_killer(draw: random.Random, steps: int) -> Killer:
    """Return what kills the trainer as soon as a step, chosen anew each time, is finished."""

    def kill(run: Run) -> bool:
        first = _step(run.home)
        target = draw.randint(first + 1, max(first + 1, min(steps, first + steps // 3)))
        while run.alive():
            holder = next(run.home.glob("jobs/*/running.lock"), None)
            pid = holder.read_text() if holder else ""
            if pid.isdigit() and target <= _step(run.home) < steps:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
                    run.report()
                    return True
            time.sleep(0.01)
        return False

    return kill


def flow_killer(draw: random.Random, seconds: float) -> Killer:
    """Return what kills the flow after a time, chosen anew each time, up to ``seconds``."""

    def kill(run: Run) -> bool:
        end = time.monotonic() + draw.uniform(0, seconds)
        while run.alive() and time.monotonic() < end:
            time.sleep(0.05)
        if not run.alive():
            return False
        run.kill()
        return True

    return kill


def _step(home: Path) -> int:
    stream = next(home.glob("jobs/*/losses.jsonl"), None)
    lines = stream.read_bytes().split(b"\n")[:-1] if stream else []
    return int(json.loads(lines[-1])["step"]) if lines else 0


def disturbed(start: Callable[[Path], Run], killer: Killer, count: int) -> list[tuple[int, str]]:
    """Return kills and weights' digest of each run, until there were ``count`` kills in all."""
    found: list[tuple[int, str]] = []
    while sum(kills for kills, _ in found) < count:
        home, kills, left = Path(tempfile.mkdtemp()), 0, count - sum(k for k, _ in found)
        report, failures = None, 0
        while report is None:
            run = start(home)
            if kills < left and killer(run):
                kills += 1
                continue
            report = run.report()
            failures += report is None
            assert failures < 2, f"the run failed twice without having been killed: {run.said}"
        jobs = [p for p in (home / "jobs").iterdir() if p.is_dir()]
        assert len(jobs) == 1, f"there are {len(jobs)} jobs, not one"
        found.append((kills, report["trained"]["digest"]))
        print(f"{kills} kills: {report['trained']['digest'][:16]}", flush=True)
    return found


def main() -> int:
    """Return 0 where every run ended with the same weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("--trainer", type=int, default=10, help="times to kill the trainer")
    parser.add_argument("--flow", type=int, default=10, help="times to kill the flow")
    parser.add_argument("--set", action="append", default=[], help="overrides, as of temper run")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()

    def start(home: Path) -> Run:
        return Run(given.recipe, home, given.set)

    began = time.monotonic()
    calm = start(Path(tempfile.mkdtemp()))
    whole = calm.report()
    assert whole is not None, f"the undisturbed run failed: {calm.said}"
    seconds, steps = time.monotonic() - began, whole["trained"]["steps"]
    print(f"undisturbed, {steps} steps: {whole['trained']['digest'][:16]}", flush=True)
    draw = random.Random(given.seed)
    found = disturbed(start, trainer_killer(draw, steps), given.trainer) if given.trainer else []
    if given.flow:
        found += disturbed(start, flow_killer(draw, seconds), given.flow)
    equal = {digest for _, digest in found} <= {whole["trained"]["digest"]}
    print(
        f"{sum(k for k, _ in found)} kills in {len(found)} runs; weights "
        f"{'equal' if equal else 'DIFFER'}"
    )
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
