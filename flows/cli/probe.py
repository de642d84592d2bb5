"""``temper probe``: a model's chat format, and a row with its mask, token by token."""

from collections.abc import Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml
from rich.markup import escape

from configs.chat import ChatSettings
from configs.loading import load_recipe
from configs.recipe import Recipe
from flows.cli import render
from flows.cli.app import Answer, command
from flows.cli.terminal import out, print_table
from tasks.artifacts import CleanSource
from tasks.errors import DataError

if TYPE_CHECKING:
    from flows.probe import ModelProbe, SpelledToken
    from tasks.models.probe import Probe, ProbedRow


@command()
def probe(
    model: Annotated[
        str, typer.Argument(help="a model folder, a hub id, package:NAME/FILE.gguf, or a recipe")
    ],
    row: Annotated[
        Path | None, typer.Option("--row", help="a file of rows: its first one is shown")
    ] = None,
    revision: Annotated[str | None, typer.Option("--revision", help="commit of a hub id")] = None,
    template: Annotated[
        str | None,
        typer.Option("--template", help="arguments of the chat template: '{enable_thinking: no}'"),
    ] = None,
    template_date: Annotated[
        str | None, typer.Option("--date", help="the day that the template writes, 2026-11-28")
    ] = None,
    end_of_turn: Annotated[
        str | None, typer.Option("--end-of-turn", help="the token that ends answers")
    ] = None,
) -> Answer:
    """Show what a model's chat template makes of rows: prompts, ends, and which tokens are learnt.

    Only the tokenizer is needed.
    """
    from flows.probe import probe_named_model

    if model.endswith((".yaml", ".yml")):
        section = load_recipe(model).model
        model, revision, chat = section.path, section.revision, section.chat
    else:
        given = yaml.safe_load(template) if template else {}
        chat = ChatSettings(
            template=given,
            template_date=date.fromisoformat(template_date) if template_date else None,
            end_of_turn=end_of_turn,
        )
    found = probe_named_model(model, revision, chat, row)
    return Answer(
        found.as_json(), partial(show_model_probe, found), 0 if found.ok else DataError.exit_code
    )


def check_with_model(
    recipe: Recipe, clean: Sequence[CleanSource], verdicts: dict[str, Any]
) -> Answer:
    """Return the verdicts and what the base model's chat template makes of every source's rows.

    Args:
        recipe: Whose model it is.
        clean: Its sources after quality.
        verdicts: What ``temper check`` answers without the model.
    """
    from flows.probe import probe_sources

    probed, rows = probe_sources(recipe, clean)
    ok = verdicts["ok"] and all(f.state != "refused" for f in probed.findings)

    def show() -> None:
        render.show_check(clean, verdicts["verdicts"], verdicts["notes"])
        show_probe(probed)
        show_probed_sources(rows)

    told = {
        name: [{"shape": r.shape, "origin": r.origin, "refused": r.refused} for r in of_source]
        for name, of_source in rows.items()
    }
    more = {"ok": ok, "model": probed.model_dump(mode="json"), "rows": told}
    return Answer(verdicts | more, show, 0 if ok else DataError.exit_code)


def show_model_probe(found: "ModelProbe") -> None:
    """Show what was found of a model, and its row with what is learnt in colour."""
    show_probe(found.probe)
    row = found.row
    out.print(f"\n{row.shape}: {row.origin}", markup=False, soft_wrap=True)
    if row.refused:
        out.print(f"refused: {row.refused}", markup=False, soft_wrap=True)
    for number, tokens in enumerate(found.spelled, 1):
        learnt = sum(token.loss for token in tokens)
        out.print(
            f"training row {number} of {len(found.spelled)}: {len(tokens)} tokens, {learnt} learnt"
            " (in [[ ]]); dots part tokens, ⏎ is a new line"
        )
        out.print(_colour_row(tokens), soft_wrap=True, highlight=False)


def show_probe(found: "Probe") -> None:
    """Show what was found of a model."""
    rows = [[f.name, f.state, f.says] for f in found.findings]
    print_table(f"probe of {found.model}", ["tried", "state", "found"], rows)


def show_probed_sources(found: "dict[str, list[ProbedRow]]") -> None:
    """Show what becomes of one row of every shape that each source has."""
    rows = [
        [name, row.shape, "refused" if row.refused else "ok", row.refused or _count_rows(row)]
        for name, probed in found.items()
        for row in probed
    ]
    print_table("one row of every shape", ["source", "shape", "state", "found"], rows)


def _count_rows(row: "ProbedRow") -> str:
    learnt = sum(made.supervised for made in row.made)
    return (
        f"{len(row.made)} training row{'s' if len(row.made) != 1 else ''}, {learnt} tokens learnt"
    )


def _colour_row(tokens: "Sequence[SpelledToken]") -> str:
    """Return a training row with what is learnt in green, and in double brackets for all else."""
    out, inside = [], False
    for token in tokens:
        text = escape(token.text.replace("\n", "⏎"))
        if token.loss != inside:
            inside = token.loss
            out.append("[bold green]\\[\\[" if inside else "]][/bold green]")
        elif out:
            out.append("[dim]·[/dim]")
        out.append(text)
    return "".join([*out, "]][/bold green]" if inside else ""])
