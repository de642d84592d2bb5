"""The house's own rules: imports run one way, files stay small, heavy parts load late."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("configs", "tasks", "flows")
MOST_LINES = 500
HEAVY = ("torch", "transformers", "mlflow", "prefect", "great_expectations", "datasets", "pandas")


def _sources() -> list[Path]:
    return sorted(f for package in PACKAGES for f in (ROOT / package).rglob("*.py"))


def test_imports_run_one_way_and_only_the_shells_know_prefect() -> None:
    linter = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"
    done = subprocess.run([sys.executable, "-c", linter], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("package", PACKAGES)
def test_the_packages_tested_are_those_of_this_checkout(package: str) -> None:
    found = importlib.util.find_spec(package)
    assert found is not None
    assert Path(str(found.origin)).parent == ROOT / package


def test_no_file_is_longer_than_a_person_reads_in_one_go() -> None:
    lengths = {str(f.relative_to(ROOT)): len(f.read_text().splitlines()) for f in _sources()}
    assert lengths
    assert {name: n for name, n in lengths.items() if n > MOST_LINES} == {}


@pytest.mark.parametrize(
    "module", [f"{p}.{m}" for p, m in [("flows", "cli"), ("configs", "recipe")]]
)
def test_what_every_command_loads_first_is_light(module: str) -> None:
    heavy = (
        "torch",
        "transformers",
        "mlflow",
        "prefect",
        "great_expectations",
        "datasets",
        "pandas",
    )
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
