"""What each command of ``temper`` does, as functions that return their answer."""

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.loading import load_recipe
from configs.served import Remote, find_served
from tasks.artifacts import SuiteScores
from tasks.errors import DataError

EXIT_OF_VERDICT = {"PASS": 0, "FAIL": 3, "INCONCLUSIVE": 4}


@dataclass(frozen=True)
class Answer:
    """A command's answer: the ``--json`` object, and what a person is shown.

    Attributes:
        view: How it is shown, where that isn't by the command's name.
    """

    json: dict[str, Any]
    shown: Any = None
    exit_code: int = 0
    view: str = ""


def run(recipe: str, overrides: Sequence[str]) -> Answer:
    """Run the pipeline as a Prefect flow."""
    loaded = load_recipe(recipe, overrides)
    if (other := _elsewhere("run", loaded)) is not None:
        return other
    require_training()
    from flows.finetune import finetune

    return run_answer(finetune(loaded))


def run_answer(report: Any) -> Answer:
    """Return what is said of a finished run; its verdict is the exit code."""
    kept = ("run_id", "verdict", "gates", "metrics", "scorecard", "checkpoint", "lock")
    return Answer(
        {k: report.model_dump(mode="json")[k] for k in kept},
        report,
        EXIT_OF_VERDICT[report.verdict],
    )


def plan(recipe: str, overrides: Sequence[str]) -> Answer:
    """Plan the mixture; rehearsal that is not generated yet is announced, not generated."""
    loaded = load_recipe(recipe, overrides)
    if (other := _elsewhere("plan", loaded)) is not None:
        return other
    from flows.planning import planned

    table = planned(loaded)
    return Answer(table.model_dump(mode="json"), table)


def show_suite(recipe: str, overrides: Sequence[str]) -> Answer:
    """Show what is expected of every source, the recipe's own suite included; reads no rows."""
    from tasks.quality.suite import declared_suite, describe_suite

    suite, added = declared_suite(load_recipe(recipe, overrides).quality)
    return Answer({"expectations": [*suite, *added]}, describe_suite([*suite, *added]))


def check(recipe: str, overrides: Sequence[str], data_docs: Path | None = None) -> Answer:
    """Check every stored source; a blocked one makes the exit code 2."""
    loaded = load_recipe(recipe, overrides)
    from flows.data import check_sources

    clean = check_sources(loaded)
    if data_docs is not None:
        from tasks.quality.expectations import build_data_docs

        build_data_docs({c.name: c.path for c in clean}, data_docs)
    ok = all(c.verdict != "block" for c in clean)
    verdicts = [
        {
            "source": c.name,
            "verdict": c.verdict,
            "rows_in": c.rows_in,
            "rows_out": c.rows_out,
            "findings": c.findings,
            "quarantine": str(c.quarantine) if c.quarantine else None,
        }
        for c in clean
    ]
    return Answer({"ok": ok, "verdicts": verdicts}, clean, 0 if ok else DataError.exit_code)


def preflight(recipe: str, overrides: Sequence[str]) -> Answer:
    """Look at the backend; what would be refused makes the exit code 2."""
    loaded = load_recipe(recipe, overrides)
    from flows.remote import looked

    found = looked(loaded)
    return Answer(
        {"ok": found.ok, **found.model_dump(mode="json")},
        found,
        0 if found.ok else DataError.exit_code,
    )


def deploy(run: str, to: str, out: Path | None, endpoint: tuple[Any, str, Any]) -> Answer:
    """Deploy a run's model; ``endpoint`` is name, instance and container."""
    require_training()
    from flows.deploying import deployed

    made = deployed(run, to, out, endpoint)
    return Answer(made, made)


def _elsewhere(command: str, recipe: Any) -> Answer | None:
    """Return the answer of a recipe that is trained by Nova, or is a dry run; None for others."""
    backend = recipe.training.backend
    if backend.kind != "nova" and not getattr(backend, "dry_run", False):
        return None
    if backend.kind != "nova" and command == "plan":
        return None
    from flows.remote import answered

    return answered(command, recipe)


def mix(
    recipe: str, overrides: Sequence[str], out: Path | None, workers: int | None = None
) -> Answer:
    """Build the mixture, rehearsal included."""
    loaded, started = load_recipe(recipe, overrides), time.monotonic()
    if workers is not None:
        os.environ["TEMPER_WORKERS"] = str(workers)
    from flows import data

    receipt = data.mix(loaded, data.all_data(loaded))
    folder = _copied(receipt.path, out)
    return Answer(
        {
            "digest": receipt.digest,
            "rows": receipt.rows,
            "tokens": receipt.tokens,
            "shards": [str(folder / s) for s in receipt.shards],
            "lock": str(folder / receipt.lock.name),
            "seconds": time.monotonic() - started,
        },
        receipt,
    )


def reproduce(lock: Path) -> Answer:
    """Make a mixture again and compare; exit code 1 when it isn't the same."""
    from flows.reproduce import reproduce as made_again

    found = made_again(lock)
    return Answer(found.model_dump(mode="json"), found, 0 if found.same else 1)


def train(recipe: str, overrides: Sequence[str], out: Path | None) -> Answer:
    """Train on the mixture."""
    loaded = load_recipe(recipe, overrides)
    if (other := _elsewhere("train", loaded)) is not None:
        return other
    require_training()
    from flows import data
    from flows.finetune import trained

    gathered = data.all_data(loaded)
    checkpoint = trained(loaded, gathered, data.mix(loaded, gathered))
    folder = _copied(checkpoint.path, out)
    return Answer(
        {
            "checkpoint": str(folder),
            "digest": checkpoint.digest,
            "parent": checkpoint.parent,
            "steps": checkpoint.steps,
            "best_step": checkpoint.best_step,
        },
        checkpoint,
    )


def evaluate(recipe: str, overrides: Sequence[str], model: str | None) -> Answer:
    """Run the recipe's suites on a model; items without an answer make the exit code 1."""
    loaded, served = load_recipe(recipe, overrides), find_served(model or "")
    if not isinstance(served, Remote):
        require_training()
    from flows.evaluate import evaluate_model

    scores = evaluate_model(loaded, model)
    suites = {
        s.suite: {
            "metrics": {m: e.model_dump() for m, e in s.metrics.items()},
            "items": str(s.items),
            **_counts(s),
        }
        for s in scores
    }
    return Answer(
        {"weights_digest": scores[0].weights_digest, "suites": suites},
        scores,
        1 if any(s.errors for s in scores) else 0,
    )


def _counts(scores: SuiteScores) -> dict[str, int]:
    """Return how many items have no answer, were cut, or ended inside a thought, where some did."""
    counted = scores.model_dump(include={"errors", "truncated", "unclosed"})
    return {name: count for name, count in counted.items() if count}


def import_samples(files: Sequence[Path], name: str, metrics: Sequence[str]) -> Answer:
    """Read sample logs of lm-evaluation-harness as the scores of a suite."""
    from configs.suites.harness import HarnessSuite
    from tasks.evaluation.harness.samples import import_samples as read_samples

    suite = HarnessSuite(kind="harness", name=name, task=name, metrics=dict(map(_metric, metrics)))
    scores = read_samples(files, suite)
    return Answer(
        {
            "suite": name,
            "scores": str(scores.path),
            "items": str(scores.items),
            "metrics": {m: e.model_dump() for m, e in scores.metrics.items()},
        },
        [scores],
    )


def _metric(named: str) -> tuple[str, Any]:
    """Return a metric's name and what it is: ``f1:mean`` is a mean, others right or wrong."""
    from configs.suites.harness import HarnessMetric

    mean = named.endswith(":mean")
    return named.removesuffix(":mean"), HarnessMetric(estimator="mean" if mean else "proportion")


def compare(a: str, b: str) -> Answer:
    """Compare the candidates of two runs."""
    from flows.report import find_report
    from tasks.gates.compare import comparison

    first, second = find_report(a), find_report(b)
    found = comparison(first.candidate_scores, second.candidate_scores)
    return Answer({"a": first.run_id, "b": second.run_id, **found.model_dump(mode="json")}, found)


def promote(run: str, name: str | None, waiver: str | None) -> Answer:
    """Release a run's checkpoint, if its gates speak for it."""
    from flows.promote import promote as promote_run

    done = promote_run(run, name, waiver)
    return Answer(done.model_dump(mode="json"), done)


def export(mixture: str, overrides: Sequence[str], wish: tuple[Any, Path, bool, bool]) -> Answer:
    """Export a mixture; ``wish`` is format, folder, strict and croissant."""
    from flows.mixtures import find_mixture
    from tasks.mixture.export import Wish
    from tasks.mixture.export import export as export_rows

    made = export_rows(find_mixture(mixture, overrides), Wish(*wish))
    return Answer(
        {"folder": str(made.path), **made.model_dump(mode="json", exclude={"path"})}, made
    )


def trace(row: str | None, row_id: str | None, contains: bool) -> Answer:
    """Look for a row in everything that is stored."""
    from tasks.tracking.rows import ById, ByText
    from tasks.tracking.trace import trace as trace_row

    if (row is None) == (row_id is None) or (row is not None and not row.strip()):
        raise DataError(
            "one row has to be named.",
            where="temper trace",
            fix="give either --row with its text or --row-id.",
        )
    found = trace_row(ById(row_id) if row_id else ByText(row or "", contains=contains))
    return Answer(found.model_dump(mode="json"), found)


def doctor() -> Answer:
    """Look at this machine."""
    from flows.doctor import examine

    checks = examine()
    ok = all(c.state != "missing" for c in checks)
    return Answer({"ok": ok, "checks": [c.model_dump() for c in checks]}, checks, 0 if ok else 1)


def require_training() -> None:
    """Raise SetupError, with the command that mends it, where the [train] extra is missing."""
    from importlib.util import find_spec

    from configs.errors import SetupError

    missing = [m for m in ("torch", "trl", "peft") if find_spec(m) is None]
    if missing:
        raise SetupError(
            f"{', '.join(missing)} can't be imported.",
            where="this environment",
            fix="pip install 'temper-llm[train]'",
        )


def _copied(folder: Path, out: Path | None) -> Path:
    if out is None:
        return folder
    if out.exists() and any(out.iterdir()):
        raise DataError("the folder is not empty.", where=f"--out {out}", fix="name a new one.")
    shutil.copytree(folder, out, dirs_exist_ok=True)
    return out.resolve()
