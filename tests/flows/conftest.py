"""The tiny recipe, and the command line as a person calls it: in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TINY = Path(__file__).parent / "tiny"
# Runs commands one after the other, as the console script would, and says on the last line of
# stderr how each ended and which modules were loaded. What is named in WITHOUT can't be imported.
PROGRAM = """
import importlib.machinery, json, os, sys

class Without(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        absent = name.partition(".")[0] in os.environ["WITHOUT"].split()
        return None if absent else super().find_spec(name, path, target)

at = sys.meta_path.index(importlib.machinery.PathFinder)
sys.meta_path[at] = Without
from flows.cli import main
codes = []
for args in json.loads(sys.argv[1]):
    sys.argv = ["temper", *args]
    try:
        main()
    except SystemExit as end:
        codes.append(end.code or 0)
    print("\\0", end="", flush=True)
loaded = sorted({m.partition(".")[0] for m in sys.modules})
print(json.dumps([codes, loaded]), file=sys.stderr)
"""
END = "\0"


@dataclass(frozen=True)
class Said:
    """What a command left.

    Attributes:
        code: Exit code.
        out: Standard output.
        err: Standard error, without the program's own last line.
        loaded: Top-level modules loaded by the end.
    """

    code: int
    out: str
    err: str
    loaded: frozenset[str]

    @property
    def json(self) -> Any:
        """Standard output as the one JSON object it has to be."""
        return json.loads(self.out)


class Temper:
    """Runs ``temper`` in an empty working directory, with a TEMPER_HOME of its own."""

    def __init__(self, place: Path, home: Path) -> None:
        kept = {
            k: v
            for k, v in os.environ.items()
            if k not in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL")
        }
        self._place, self._env = (
            place,
            {
                **kept,
                "TEMPER_HOME": str(home),
                "PREFECT_HOME": str(home / "prefect"),
                "PYTHONPATH": str(ROOT),
                "PREFECT_LOGGING_LEVEL": "WARNING",
                "COLUMNS": "160",
            },
        )

    def __call__(self, *args: str | Path, without: str = "") -> Said:
        """Run one command.

        Args:
            args: Its words.
            without: Modules, separated by blanks, that are as if not installed.
        """
        return self.each([args], without=without)[0]

    def each(self, commands: Sequence[Sequence[str | Path]], without: str = "") -> list[Said]:
        """Run commands in one process, so that what is slow to import is imported once."""
        words = json.dumps([[str(a) for a in c] for c in commands])
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, words],
            cwd=self._place,
            text=True,
            env={**self._env, "WITHOUT": without},
            capture_output=True,
            timeout=500,
        )
        *err, last = done.stderr.splitlines()
        codes, loaded = json.loads(last)
        outs = done.stdout.split(END)[:-1]
        return [
            Said(code, out, "\n".join(err), frozenset(loaded))
            for code, out in zip(codes, outs, strict=True)
        ]


@pytest.fixture(scope="module")
def temper(tmp_path_factory: pytest.TempPathFactory) -> Temper:
    """The command line, with one TEMPER_HOME for the tests of a module."""
    return Temper(tmp_path_factory.mktemp("cwd"), tmp_path_factory.mktemp("home"))
