"""The commands of ``temper``: options, what is done, and what is said of it.

Flows and what computes are imported by the command that runs them: Prefect, MLflow and the
arithmetic take seconds, and ``--help`` needs none of them.
"""

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from configs.loading import find_served, load_recipe
from configs.models import HostedModel
from configs.recipe import Recipe
from configs.suites.harness import HarnessMetric, HarnessSuite
from flows.cli import render
from flows.cli.app import Answer, app, command
from flows.cli.doctor import examine_machine
from flows.deploy import deploy_to_folder, deploy_to_sagemaker
from flows.report import NOT_JUDGED, RunReport, find_report
from tasks.artifacts import CleanSource
from tasks.errors import DataError, SetupError
from tasks.scores import SuiteScores
from tasks.training.backends.base import open_backend
from tasks.training.backends.nova.training_jobs import read_receipt

__all__ = ["app"]

EXIT_OF_VERDICT = {"PASS": 0, NOT_JUDGED: 0, "FAIL": 3, "INCONCLUSIVE": 4}

RecipeArgument = Annotated[str, typer.Argument(help="a YAML file, or the name of a shipped recipe")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=C", help="override one value; repeatable")
]
OutOption = Annotated[Path | None, typer.Option("--out", help="also copy the result here")]


class Target(StrEnum):
    """Where a model is deployed to."""

    folder = "folder"
    sagemaker = "sagemaker"


class Format(StrEnum):
    """What other trainers read."""

    openai = "openai"
    converse = "converse"
    alpaca = "alpaca"
    text = "text"


@command()
def run(recipe: RecipeArgument, set_: SetOption = None) -> Answer:
    """Run the whole pipeline: data, mixture, training, evaluation, gates, tracking."""
    loaded = load_recipe(recipe, set_ or ())
    if loaded.training.backend.dry_run:
        return show_request(loaded, look=True)
    if not open_backend(loaded.training.backend).keeps_weights:
        require_training()
    from flows.finetune import finetune
    from flows.run_task import run_flow

    report: RunReport = run_flow(finetune, loaded)
    kept = ("run_id", "verdict", "gates", "metrics", "scorecard", "checkpoint", "lock")
    return Answer(
        {k: report.model_dump(mode="json")[k] for k in kept},
        partial(render.show_run, report),
        EXIT_OF_VERDICT[report.verdict],
    )


@command()
def plan(recipe: RecipeArgument, set_: SetOption = None) -> Answer:
    """Show the mixture a recipe asks for and what it would get; trains nothing."""
    loaded = load_recipe(recipe, set_ or ())
    if open_backend(loaded.training.backend).keeps_weights:
        # It mixes data of its own in, and only the request says what and how much.
        return show_request(loaded, look=False)
    from flows.pipeline import plan_recipe

    table = plan_recipe(loaded)
    return Answer(table.model_dump(mode="json"), partial(render.show_plan, table))


@command()
def check(
    recipe: RecipeArgument,
    backend: Annotated[
        bool, typer.Option("--backend", help="look at where training would run instead; free")
    ] = False,
    show_suite: Annotated[
        bool,
        typer.Option("--show-suite", help="print what is expected of a source; reads none"),
    ] = False,
    data_docs: Annotated[
        Path | None,
        typer.Option(
            "--data-docs",
            metavar="DIR",
            help="also write Great Expectations' Data Docs here, which load nothing from the web",
        ),
    ] = None,
    model: Annotated[
        bool,
        typer.Option("--model", help="also try the base model's chat template on every source"),
    ] = False,
    set_: SetOption = None,
) -> Answer:
    """Check the quality of every source and say what is wrong with which rows.

    Sources are compared with each other and with the suites' items, too, as a run does it.
    """
    loaded = load_recipe(recipe, set_ or ())
    if show_suite:
        return _show_suite(loaded)
    if backend:
        return _preflight(loaded)
    from flows.pipeline import check_sources, compare_sources, count_overlaps

    clean = check_sources(loaded)
    overlaps: dict[str, dict[str, int]] = {}
    notes: list[str] = []
    if all(c.verdict != "block" for c in clean):
        clean = compare_sources(loaded, clean)
        overlaps, notes = count_overlaps(loaded, clean)
    else:
        notes = ["Sources are not compared with each other before none of them is blocked."]
    if data_docs is not None:
        from tasks.quality.expectations import build_data_docs

        build_data_docs({c.name: c.path for c in clean}, data_docs)
    ok = all(c.verdict != "block" for c in clean)
    verdicts = _list_verdicts(clean, overlaps)
    found = {"ok": ok, "verdicts": verdicts, "notes": notes}
    if model:
        from flows.cli.probe import check_with_model

        return check_with_model(loaded, clean, found)
    return Answer(
        found,
        partial(render.show_check, clean, verdicts, notes),
        0 if ok else DataError.exit_code,
    )


def _list_verdicts(
    clean: Sequence[CleanSource], overlaps: Mapping[str, Mapping[str, int]]
) -> list[dict[str, Any]]:
    from tasks.quality.report import load_verdict

    return [
        {
            "source": c.name,
            "verdict": c.verdict,
            "rows_in": c.rows_in,
            "rows_out": c.rows_out,
            "findings": c.findings,
            "reported": verdict.reported,
            "beyond_limit": verdict.limit,
            "overlaps": dict(overlaps.get(c.name, {})),
            "quarantine": str(c.quarantine) if verdict.quarantined else None,
        }
        for c, verdict in zip(clean, map(load_verdict, clean), strict=True)
    ]


def _show_suite(recipe: Recipe) -> Answer:
    """Show what is expected of every source, the recipe's own suite included; reads no rows."""
    from tasks.quality.suite import declared_suite, describe_suite

    shipped, added = declared_suite(recipe.quality)
    rows = describe_suite([*shipped, *added])
    return Answer({"expectations": [*shipped, *added]}, partial(render.show_suite, rows))


def _preflight(recipe: Recipe) -> Answer:
    """Look at the backend; what would be refused makes the exit code 2."""
    from flows.dry_run import run_preflight

    found = run_preflight(recipe)
    return Answer(
        {"ok": found.ok, **found.model_dump(mode="json")},
        partial(render.show_preflight, found),
        0 if found.ok else DataError.exit_code,
    )


@command()
def deploy(
    run: Annotated[str, typer.Argument(help="a run: its id, or its folder")],
    to: Annotated[Target, typer.Option("--to", help="where the model goes")],
    out: Annotated[Path | None, typer.Option("--out", help="folder: a new one to write")] = None,
    name: Annotated[str | None, typer.Option("--name", help="sagemaker: of the endpoint")] = None,
    instance: Annotated[
        str, typer.Option("--instance", help="sagemaker: type of its machine")
    ] = "ml.g5.xlarge",
    container: Annotated[
        str | None, typer.Option("--image", help="sagemaker: container instead of AWS's vLLM")
    ] = None,
    waive: Annotated[
        str | None, typer.Option("--waive", metavar="REASON", help="deploy without a PASS")
    ] = None,
) -> Answer:
    """Deploy the model that a run evaluated, merged, with its card."""
    require_training()
    if to is Target.folder:
        done = deploy_to_folder(run, out, waive)
    else:
        done = deploy_to_sagemaker(run, name, instance, container, waive)
    return Answer(done, partial(render.show_facts, "deployed", done))


@command()
def mix(
    recipe: RecipeArgument,
    out: OutOption = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="how many write shards side by side; all cores")
    ] = None,
    set_: SetOption = None,
) -> Answer:
    """Write the mixture as Parquet shards with its lock; the same rows for any --workers."""
    loaded, started = load_recipe(recipe, set_ or ()), time.monotonic()
    if workers is not None:
        os.environ["TEMPER_WORKERS"] = str(workers)
    from flows.prepare import prepare_mixture

    receipt = prepare_mixture(loaded)
    folder = _copy(receipt.path, out)
    answer = {
        "digest": receipt.digest,
        "rows": receipt.rows,
        "tokens": receipt.tokens,
        "shards": [str(folder / s) for s in receipt.shards],
        "lock": str(folder / receipt.lock.name),
        "seconds": time.monotonic() - started,
    }
    return Answer(answer, partial(render.show_mixture, receipt, folder))


@command()
def reproduce(lock: Annotated[Path, typer.Argument(help="a mixture.lock.json")]) -> Answer:
    """Make a mixture again from its lock and compare digests; names a source that changed."""
    from flows.reproduce import reproduce as reproduce_mixture

    found = reproduce_mixture(lock)
    return Answer(
        found.model_dump(mode="json"),
        partial(render.show_reproduction, found),
        0 if found.same else 1,
    )


@command()
def train(recipe: RecipeArgument, out: OutOption = None, set_: SetOption = None) -> Answer:
    """Train on the mixture and write the checkpoint; goes on where it was stopped."""
    loaded = load_recipe(recipe, set_ or ())
    if loaded.training.backend.dry_run:
        return show_request(loaded, look=True)
    if not open_backend(loaded.training.backend).keeps_weights:
        require_training()
    from flows.finetune import train_recipe

    checkpoint = train_recipe(loaded)
    receipt = read_receipt(checkpoint.path)
    if receipt is not None:  # the weights stay where they were trained
        answer = receipt.model_dump(mode="json")
    else:
        answer = {
            "checkpoint": str(_copy(checkpoint.path, out)),
            "digest": checkpoint.digest,
            "parent": checkpoint.parent,
            "steps": checkpoint.steps,
            "best_step": checkpoint.best_step,
            "notes": checkpoint.notes,
        }
    return Answer(answer, partial(render.show_facts, "trained", answer))


def show_request(recipe: Recipe, *, look: bool) -> Answer:
    """Return what training by the recipe would send; what would be refused makes the code 2."""
    from flows.dry_run import dry_run

    found = dry_run(recipe, look=look)
    looks = found.preflight
    fields = {
        "plan": found.table.model_dump(mode="json"),
        "request": found.request,
        "preflight": looks.model_dump(mode="json") if looks else None,
    }
    code = 0 if looks is None or looks.ok else DataError.exit_code
    return Answer(fields, partial(render.show_dry_run, found), code)


@command()
def evaluate(
    recipe: RecipeArgument,
    model: Annotated[
        str | None,
        typer.Option(
            help="a model folder, or a YAML file or {mapping} of kind endpoint, bedrock, "
            "sagemaker, vllm or adapter; the recipe's base model when absent"
        ),
    ] = None,
    set_: SetOption = None,
) -> Answer:
    """Run the recipe's suites on one model."""
    loaded, served = load_recipe(recipe, set_ or ()), find_served(model or "")
    if not isinstance(served, HostedModel):
        require_training()
    from flows.evaluate import evaluate_model

    scores = evaluate_model(loaded, model)
    suites = {
        s.suite: {
            "metrics": {m: e.model_dump() for m, e in s.metrics.items()},
            "items": str(s.items),
            **_unanswered(s),
        }
        for s in scores
    }
    return Answer(
        {"weights_digest": scores[0].weights_digest, "suites": suites},
        partial(render.show_scores, scores),
        1 if any(s.errors for s in scores) else 0,
    )


def _unanswered(scores: SuiteScores) -> dict[str, int]:
    """Return how many items have no answer, were cut, or ended inside a thought, where some did."""
    counted = scores.model_dump(include={"errors", "truncated", "unclosed"})
    return {name: count for name, count in counted.items() if count}


@command("import-samples")
def import_samples(
    files: Annotated[list[Path], typer.Argument(help="samples_*.jsonl of lm-evaluation-harness")],
    name: Annotated[str, typer.Option(help="the suite's name")] = "harness",
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", help="of items, NAME or NAME:mean; repeatable; acc if absent"),
    ] = None,
) -> Answer:
    """Read sample logs of lm-evaluation-harness as scores, with intervals."""
    from tasks.evaluation.harness.samples import import_samples as read_samples

    # ``f1:mean`` is a mean, others are right or wrong.
    metrics = {
        m.removesuffix(":mean"): HarnessMetric(
            estimator="mean" if m.endswith(":mean") else "proportion"
        )
        for m in metric or ["acc"]
    }
    suite = HarnessSuite(kind="harness", name=name, task=name, metrics=metrics)
    scores = read_samples(files, suite)
    return Answer(
        {
            "suite": name,
            "scores": str(scores.path),
            "items": str(scores.items),
            "metrics": {m: e.model_dump() for m, e in scores.metrics.items()},
        },
        partial(render.show_scores, [scores]),
    )


@command()
def compare(
    a: Annotated[str, typer.Argument(help="a run: its id, or its folder")],
    b: Annotated[str, typer.Argument(help="the run to compare with it")],
) -> Answer:
    """Compare the candidates of two runs, paired by item."""
    from tasks.gates.compare import comparison

    first, second = find_report(a), find_report(b)
    found = comparison(first.candidate_scores, second.candidate_scores)
    return Answer(
        {"a": first.run_id, "b": second.run_id, **found.model_dump(mode="json")},
        partial(render.show_comparison, found),
    )


@command()
def judge(
    base: Annotated[Path, typer.Argument(help="per-item results on the base: a folder or a file")],
    candidate: Annotated[Path, typer.Argument(help="the same tool's results on the candidate")],
    gates: Annotated[Path, typer.Option("--gates", help="a YAML file with gates:")],
    out: Annotated[
        Path | None, typer.Option("--out", help="a folder for summary.md and a page")
    ] = None,
) -> Answer:
    """Judge results of lm-evaluation-harness, Inspect, lighteval or a table; needs no recipe."""
    from flows.judge import judge as judge_files

    found = judge_files(base, candidate, gates, out)
    return Answer(
        found.model_dump(mode="json"),
        partial(render.show_judgement, found.summary),
        EXIT_OF_VERDICT[found.verdict],
    )


@command()
def promote(
    run: Annotated[str, typer.Argument(help="a run: its id, or its folder")],
    name: Annotated[
        str | None, typer.Option(help="registered model; the recipe's when absent")
    ] = None,
    waive: Annotated[
        str | None, typer.Option("--waive", metavar="REASON", help="release without a PASS")
    ] = None,
) -> Answer:
    """Release a run's model: the alias champion moves if the gates' record speaks for it."""
    from flows.promote import promote as promote_run

    done = promote_run(run, name, waive)
    return Answer(done.model_dump(mode="json"), partial(render.show_promotion, done))


@command()
def export(
    mixture: Annotated[str, typer.Argument(help="a mixture's folder or digest, or a recipe")],
    out: Annotated[Path, typer.Option("--out", help="a new folder to write to")],
    form: Annotated[Format, typer.Option("--format", help="of the rows")] = Format.openai,
    strict: Annotated[
        bool, typer.Option("--strict", help="refuse when the format can't hold a row")
    ] = False,
    croissant: Annotated[
        bool, typer.Option("--croissant", help="also write Croissant metadata")
    ] = False,
    set_: SetOption = None,
) -> Answer:
    """Write a mixture as JSONL for other trainers, with its data card."""
    from flows.prepare import export_named_mixture

    made = export_named_mixture(
        mixture, set_ or (), form.value, out, strict=strict, croissant=croissant
    )
    return Answer(
        {"folder": str(made.path), **made.model_dump(mode="json", exclude={"path"})},
        partial(render.show_export, made),
    )


@command()
def doctor() -> Answer:
    """Say what this machine can do, what is missing, and the command that mends it."""
    checks = examine_machine()
    ok = all(c.state != "missing" for c in checks)
    return Answer(
        {"ok": ok, "checks": [c.model_dump() for c in checks]},
        partial(render.show_checks, checks),
        0 if ok else 1,
    )


def require_training() -> None:
    """Raise SetupError, with the command that mends it, where the [train] extra is missing."""
    missing = [m for m in ("torch", "trl", "peft") if find_spec(m) is None]
    if missing:
        raise SetupError(
            f"{', '.join(missing)} can't be imported.",
            where="this environment",
            fix="pip install 'temper-llm[train]'",
        )


def _copy(folder: Path, out: Path | None) -> Path:
    if out is None:
        return folder
    if out.exists() and any(out.iterdir()):
        raise DataError("the folder is not empty.", where=f"--out {out}", fix="name a new one.")
    shutil.copytree(folder, out, dirs_exist_ok=True)
    return out.resolve()
