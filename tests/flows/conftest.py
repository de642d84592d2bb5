"""The tiny recipe, and the command line as a person calls it: in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TINY = Path(__file__).parent / "tiny"
# The modules loaded at the end go to stderr, on a last line of their own.
PROGRAM = """
import json, sys
from flows.cli import main
try:
    main()
finally:
    print(json.dumps(sorted({m.partition(".")[0] for m in sys.modules})), file=sys.stderr)
"""


@pytest.fixture(scope="session")
def tiny_fields(tiny_model_folder: Path) -> dict[str, Any]:
    """The tiny recipe's fields: 24 domain rows to train on, 20 general ones, two steps."""
    text = (TINY / "recipe.yaml").read_text()
    text = text.replace("TINY_MODEL", str(tiny_model_folder)).replace("TINY_DATA", str(TINY))
    return dict(yaml.safe_load(text))


@pytest.fixture(scope="session")
def tiny_recipe(tiny_fields: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny recipe as a file."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny_fields, sort_keys=False))
    return path


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


Temper = Callable[..., Said]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One TEMPER_HOME for the tests of a module, so that stages done once are reused."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def temper(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Temper:
    """A function that runs ``temper`` with arguments in an empty working directory."""
    place = tmp_path_factory.mktemp("cwd")
    env = {k: v for k, v in os.environ.items() if k not in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL")}
    env |= {"TEMPER_HOME": str(home), "PREFECT_HOME": str(home / "prefect"), "PYTHONPATH": str(ROOT),
            "PREFECT_LOGGING_LEVEL": "WARNING", "COLUMNS": "160"}  # fmt: skip

    def call(*args: str | Path, seconds: float = 240) -> Said:
        command = [sys.executable, "-c", PROGRAM, *map(str, args)]
        done = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True,
                              timeout=seconds)  # fmt: skip
        return _said(done.returncode, done.stdout, done.stderr.splitlines())

    return call


def _said(code: int, out: str, err: Sequence[str]) -> Said:
    return Said(code, out, "\n".join(err[:-1]), frozenset(json.loads(err[-1])))
