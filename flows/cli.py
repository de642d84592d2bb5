"""The command line: thin shells that load nothing heavy until a command runs."""

import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="temper",
    help="Specialise a language model without making it brittle.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

RecipeArgument = Annotated[str, typer.Argument(help="a YAML file, or the name of a shipped recipe")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=C", help="override one value; repeatable")
]
JsonOption = Annotated[bool, typer.Option("--json", help="print one JSON object on stdout")]


class Target(StrEnum):
    """Where a model is deployed to."""

    folder = "folder"
    sagemaker = "sagemaker"


OutOption = Annotated[Path | None, typer.Option("--out", help="also copy the result here")]


@app.command()
def run(recipe: RecipeArgument, set_: SetOption = None, json_: JsonOption = False) -> None:
    """Run the whole pipeline: data, mixture, training, evaluation, gates, tracking."""
    _answer("run", json_, recipe, set_ or [])


@app.command()
def plan(recipe: RecipeArgument, set_: SetOption = None, json_: JsonOption = False) -> None:
    """Show the mixture a recipe asks for and what it would get; trains nothing."""
    _answer("plan", json_, recipe, set_ or [])


@app.command()
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
    set_: SetOption = None,
    json_: JsonOption = False,
) -> None:
    """Check the quality of every source and say what is wrong with which rows."""
    if show_suite or backend:
        _answer("show_suite" if show_suite else "preflight", json_, recipe, set_ or [])
    _answer("check", json_, recipe, set_ or [], data_docs)


@app.command()
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
    json_: JsonOption = False,
) -> None:
    """Deploy the model that a run evaluated, merged, with its card."""
    _answer("deploy", json_, run, to.value, out, (name, instance, container))


@app.command()
def mix(
    recipe: RecipeArgument,
    out: OutOption = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="how many write shards side by side; all cores")
    ] = None,
    set_: SetOption = None,
    json_: JsonOption = False,
) -> None:
    """Write the mixture as Parquet shards with its lock; the same rows for any --workers."""
    _answer("mix", json_, recipe, set_ or [], out, workers)


@app.command()
def reproduce(
    lock: Annotated[Path, typer.Argument(help="a mixture.lock.json")], json_: JsonOption = False
) -> None:
    """Make a mixture again from its lock and compare digests; names a source that changed."""
    _answer("reproduce", json_, lock)


@app.command()
def train(
    recipe: RecipeArgument, out: OutOption = None, set_: SetOption = None, json_: JsonOption = False
) -> None:
    """Train on the mixture and write the checkpoint; goes on where it was stopped."""
    _answer("train", json_, recipe, set_ or [], out)


@app.command()
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
    json_: JsonOption = False,
) -> None:
    """Run the recipe's suites on one model."""
    _answer("evaluate", json_, recipe, set_ or [], model)


@app.command("import-samples")
def import_samples(
    files: Annotated[list[Path], typer.Argument(help="samples_*.jsonl of lm-evaluation-harness")],
    name: Annotated[str, typer.Option(help="the suite's name")] = "harness",
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", help="of items, NAME or NAME:mean; repeatable; acc if absent"),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Read sample logs of lm-evaluation-harness as scores, with intervals."""
    _answer("import_samples", json_, files, name, metric or ["acc"])


@app.command()
def compare(
    a: Annotated[str, typer.Argument(help="a run: its id, or its folder")],
    b: Annotated[str, typer.Argument(help="the run to compare with it")],
    json_: JsonOption = False,
) -> None:
    """Compare the candidates of two runs, paired by item."""
    _answer("compare", json_, a, b)


@app.command()
def promote(
    run: Annotated[str, typer.Argument(help="a run: its id, or its folder")],
    name: Annotated[
        str | None, typer.Option(help="registered model; the recipe's when absent")
    ] = None,
    waive: Annotated[
        str | None, typer.Option("--waive", metavar="REASON", help="release without a PASS")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Release a run's model: the alias champion moves if the gates' record speaks for it."""
    _answer("promote", json_, run, name, waive)


class Format(StrEnum):
    """What other trainers read."""

    openai = "openai"
    converse = "converse"
    alpaca = "alpaca"
    text = "text"


@app.command()
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
    json_: JsonOption = False,
) -> None:
    """Write a mixture as JSONL for other trainers, with its data card."""
    _answer("export", json_, mixture, set_ or [], (form.value, out, strict, croissant))


@app.command()
def trace(
    row: Annotated[str | None, typer.Option("--row", help="the row's text, or a message")] = None,
    row_id: Annotated[str | None, typer.Option("--row-id", help="the row's id")] = None,
    contains: Annotated[
        bool, typer.Option("--contains", help="with --row: also rows it is part of")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Say which data, mixtures and checkpoints hold a row, for a request to erase it."""
    _answer("trace", json_, row, row_id, contains)


@app.command()
def doctor(json_: JsonOption = False) -> None:
    """Say what this machine can do, what is missing, and the command that mends it."""
    _answer("doctor", json_)


def _answer(command: str, as_json: bool, *args: Any) -> None:
    """Run one command and print its answer; every expected failure is one paragraph."""
    from flows import commands, show

    show.quiet_libraries()
    work: Callable[..., commands.Answer] = getattr(commands, command)
    try:
        with show.progress(quiet=as_json):
            answer = work(*args)
    except Exception as error:
        raise typer.Exit(show.failure(error, as_json)) from error
    show.answer(command, answer, as_json)
    raise typer.Exit(answer.exit_code)


def main() -> None:
    """Entry point of the console script."""
    sys.exit(app(standalone_mode=True))
