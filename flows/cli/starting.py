"""``temper init``: a look at the data becomes a recipe that runs."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import click
import typer

from configs.loading import load_recipe
from configs.reference import describe_section, recipe_schema
from flows.cli import render
from flows.cli.app import Answer, command
from tasks.errors import DataError
from tasks.storage import write_text


@command("init")
def init(
    data: Annotated[str, typer.Argument(help="a file, a folder, a glob, s3:// or package:")],
    out: Annotated[
        Path | None, typer.Option("--out", help="the recipe's file; NAME.yaml when absent")
    ] = None,
    text: Annotated[str | None, typer.Option(help="the column that is asked")] = None,
    label: Annotated[str | None, typer.Option(help="the column of the label or answer")] = None,
    prompt: Annotated[
        str | None, typer.Option(help="how it is asked, with {TEXT} where the text goes")
    ] = None,
    general: Annotated[
        str | None, typer.Option(help="general data of yours; rehearsal when absent")
    ] = None,
    model: Annotated[str | None, typer.Option(help="a folder, package: path or hub id")] = None,
    name: Annotated[str | None, typer.Option(help="the recipe's name")] = None,
    force: Annotated[bool, typer.Option(help="write over a file that is there")] = False,
) -> Answer:
    """Look at data and write a recipe that runs; asks where the data has two readings."""
    from tasks.draft.look import look_at_data
    from tasks.draft.recipe import DraftRequest, describe_look, draft_recipe, name_of

    if prompt is not None and "{TEXT}" not in prompt:
        raise DataError(
            "the prompt doesn't say where the text goes.",
            where="--prompt",
            fix="write {TEXT} there, for example 'Which queue? {TEXT}'.",
        )
    look = _ask(partial(look_at_data, data), {"text": text, "label": label})
    kept = _ask(partial(look_at_data, general), {}) if general else None
    called = name or name_of(data)
    recipe = draft_recipe(look, DraftRequest(called, model, kept, prompt))
    place = out or Path(f"{called}.yaml")
    if place.exists() and not force:
        raise DataError(
            "there is a file of that name.",
            where=str(place),
            fix="name another by --out, or --force.",
        )
    place.parent.mkdir(parents=True, exist_ok=True)
    write_text(place, recipe)
    load_recipe(place)
    return Answer(
        {"recipe": str(place), "saw": describe_look(look), "notes": list(look.notes)},
        partial(render.show_draft, place, describe_look(look), look.notes),
    )


@command("schema")
def show_schema(
    section: Annotated[
        str, typer.Argument(help="dotted keys, as training.adapter or evaluation.suites.mmlu")
    ] = "",
) -> Answer:
    """Show the keys of a recipe's section; with --json the whole recipe's JSON Schema."""
    pages = describe_section(section)
    schema = recipe_schema() if not section else {"pages": [p._asdict() for p in pages]}
    return Answer(schema, partial(render.show_schema, pages))


def _ask(look: Any, options: dict[str, str | None]) -> Any:
    """Return the look, asking at a terminal which of two readings is meant; else it raises."""
    from tasks.draft.look import Unclear

    while True:
        try:
            return look(**options)
        except Unclear as question:
            if not (sys.stdin.isatty() and sys.stderr.isatty()):
                raise
            typer.echo(f"{question.message}", err=True)
            for i, choice in enumerate(question.choices, 1):
                typer.echo(f"  {i}. {choice}", err=True)
            number = typer.prompt(
                f"which one is the {question.option}?",
                type=click.IntRange(1, len(question.choices)),
                err=True,
            )
            options = {**options, question.option: question.choices[int(number) - 1]}
