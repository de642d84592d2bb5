"""``temper sweep``: several arms of a recipe, one recommended."""

from functools import partial
from typing import Annotated

import typer

from configs.loading import load_recipe
from configs.sweep import read_sweep
from flows.cli import render
from flows.cli.app import Answer, command
from flows.cli.commands import EXIT_OF_VERDICT, RecipeArgument, require_training


@command()
def sweep(
    recipe: RecipeArgument,
    domain_share: Annotated[
        str | None, typer.Option(metavar="X,Y,...", help="values of mixture.domain_share")
    ] = None,
    alpha: Annotated[
        str | None,
        typer.Option(metavar="X,Y,...", help="shares of what was learnt to keep; no training"),
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="trainings of each arm")] = None,
    parallel: Annotated[int | None, typer.Option(help="arms at a time")] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="tokens trained on by all arms together")
    ] = None,
    confirm: Annotated[
        bool, typer.Option(help="judge the recommended arm once on test items")
    ] = True,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="A.B=C[,D]", help="override a value, or vary it; repeatable"),
    ] = None,
) -> Answer:
    """Compare arms of a recipe on dev items, recommend one, and confirm it on test items."""
    fixed = [one for one in set_ or () if not is_list_of_values(one)]
    loaded = load_recipe(recipe, fixed)
    section = read_sweep(
        loaded.sweep,
        {
            "domain_share": domain_share,
            "alpha": alpha,
            "seeds": seeds,
            "parallel": parallel,
            "max_tokens": max_tokens,
        },
        [one for one in set_ or () if is_list_of_values(one)],
    )
    require_training()
    from flows.run_task import run_flow
    from flows.sweep import sweep as run_sweep

    found = run_flow(run_sweep, loaded, section, confirm)
    return Answer(
        found.model_dump(mode="json", include={"run_id", "card", "page", "recommended", "verdict"}),
        partial(render.show_sweep, found),
        EXIT_OF_VERDICT.get(found.verdict, 0),
    )


def is_list_of_values(override: str) -> bool:
    """Return whether ``path=a,b`` gives several values; a YAML list or mapping is one value."""
    value = override.partition("=")[2].strip()
    return "," in value and value[:1] not in ("[", "{", '"', "'")
