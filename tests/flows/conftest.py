"""The tiny recipe, and the command line as a person calls it: in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TINY = Path(__file__).parent / "tiny"
# Runs commands one after the other, as the console script would, and says on the last line of
# stderr how each ended and which modules were loaded. What is named in WITHOUT can't be imported.
# A NUL ends what each said, on either stream.
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
    for stream in (sys.stdout, sys.stderr):
        print("\\0", end="", flush=True, file=stream)
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
        err: Standard error.
        loaded: Top-level modules loaded by the end; None where the process was forked from one
            that had loaded them before.
    """

    code: int
    out: str
    err: str
    loaded: frozenset[str] | None

    @property
    def json(self) -> Any:
        """Standard output as the one JSON object it has to be."""
        return json.loads(self.out)


class Temper:
    """Runs ``temper`` in an empty working directory, with a TEMPER_HOME of its own."""

    def __init__(self, place: Path, home: Path, python: Path, prefect_api: str) -> None:
        kept = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
        self._place, self._python = place, python
        self._env = {
            **kept,
            "TEMPER_HOME": str(home),
            "PREFECT_HOME": str(home / "prefect"),
            "PREFECT_API_URL": prefect_api,
            "PYTHONPATH": str(ROOT),
            "PREFECT_LOGGING_LEVEL": "WARNING",
            "COLUMNS": "160",
        }

    def __call__(self, *args: str | Path, fresh: bool = False, without: str = "") -> Said:
        """Run one command.

        Args:
            args: Its words.
            fresh: Whether a Python is started anew, which can tell what it loaded. Otherwise the
                process is forked from one that has loaded all that is slow to load.
            without: Modules, separated by blanks, that are as if not installed, for a fresh one.
        """
        return self.each([args], fresh=fresh, without=without)[0]

    def each(
        self, commands: Sequence[Sequence[str | Path]], fresh: bool = False, without: str = ""
    ) -> list[Said]:
        """Run commands in one process, one after the other."""
        words = json.dumps([[str(a) for a in c] for c in commands])
        fresh = fresh or bool(without)
        done = subprocess.run(
            [sys.executable if fresh else self._python, "-c", PROGRAM, words],
            cwd=self._place,
            text=True,
            env={**self._env, "WITHOUT": without},
            capture_output=True,
            timeout=500,
        )
        *errs, last = done.stderr.split(END)
        codes, loaded = json.loads(last.splitlines()[-1])
        outs = done.stdout.split(END)[:-1]
        told = frozenset(loaded) if fresh else None
        return [
            Said(code, out, err.rstrip("\n"), told)
            for code, out, err in zip(codes, outs, errs, strict=True)
        ]


@pytest.fixture(scope="module")
def temper(tmp_path_factory: pytest.TempPathFactory, python: Path, prefect_api: str) -> Temper:
    """The command line, with one TEMPER_HOME for the tests of a module."""
    place, home = tmp_path_factory.mktemp("cwd"), tmp_path_factory.mktemp("home")
    return Temper(place, home, python, prefect_api)


@pytest.fixture(scope="module")
def flow_home(
    tmp_path_factory: pytest.TempPathFactory, flows_at: Any, python: Path
) -> Iterator[Path]:
    """A TEMPER_HOME for all flows of this module, whose trainers are forked."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch, flows_at(home / "prefect"):
        patch.setenv("TEMPER_HOME", str(home))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setattr(sys, "executable", str(python))
        yield home
