"""The arms of a sweep as recipes of their own."""

import json
from collections.abc import Mapping
from itertools import product
from typing import Any

from pydantic import BaseModel, ConfigDict

from configs.loading import load_recipe
from configs.recipe import Recipe
from configs.sweep import Sweep
from tasks.errors import RecipeError

SHARE, ALPHA = "mixture.domain_share", "training.blend"


class Arm(BaseModel):
    """One arm.

    Attributes:
        name: What tells it from the others; of all its seeds.
        settings: Dotted path -> value, of everything that varies but the seed.
        seed: Of order and training. Items are the same for all arms.
        recipe: What it runs: the author's with these settings, judged on dev items.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    settings: dict[str, Any]
    seed: int
    recipe: Recipe

    @property
    def domain_share(self) -> float:
        """Share of the domain in the arm's mixture, as asked."""
        return self.recipe.mixture.domain_share

    @property
    def alpha(self) -> float:
        """Share of what was learnt that is kept."""
        return self.recipe.training.blend


def list_arms(recipe: Recipe, sweep: Sweep) -> tuple[Arm, ...]:
    """Return every combination of what varies: seeds innermost, so that a group stands together.

    Args:
        recipe: What all arms share.
        sweep: What varies.

    Raises:
        RecipeError: A value doesn't fit where it goes, or the recipe's shares follow a schedule.
    """
    if sweep.domain_share and recipe.mixture.schedule:
        raise RecipeError(
            "shares that follow a schedule can't be varied as one.",
            where="sweep.domain_share",
            fix="take mixture.schedule out, or vary something else.",
        )
    varied: dict[str, tuple[Any, ...]] = {}
    if sweep.domain_share:
        varied[SHARE] = sweep.domain_share
    varied |= sweep.vary
    if sweep.alpha:
        varied[ALPHA] = sweep.alpha
    arms = []
    for values in product(*varied.values()):
        settings = dict(zip(varied, values, strict=True))
        name = name_arm(settings)
        for i in range(sweep.seeds):
            seed = recipe.seed + i
            arms.append(
                Arm(name=name, settings=settings, seed=seed, recipe=_vary(recipe, settings, seed))
            )
    return tuple(arms)


def name_arm(settings: Mapping[str, Any]) -> str:
    """Return what a person calls an arm: ``share 0.75``, ``share 0.75, alpha 0.5``."""
    short = {SHARE: "share", ALPHA: "alpha"}
    parts = [f"{short.get(p, p.rpartition('.')[2])} {_shown(v)}" for p, v in settings.items()]
    return ", ".join(parts) or "the recipe"


def confirm_recipe(recipe: Recipe, arm: Arm) -> Recipe:
    """Return the recipe of an arm as it is to be run for good: judged on test items."""
    return load_recipe(
        _without_sweep(recipe),
        [
            *_overrides(arm.settings, arm.seed),
            "evaluation.split=test",
            f"evaluation.seed={recipe.split_seed}",
        ],
    )


def _vary(recipe: Recipe, settings: Mapping[str, Any], seed: int) -> Recipe:
    overrides = [
        *_overrides(settings, seed),
        "evaluation.split=dev",
        f"evaluation.seed={recipe.split_seed}",
        # Arms are tried, not released: a gate against the champion means the recipe's own.
        f"references.champion={json.dumps(recipe.registered_name)}",
    ]
    return load_recipe(_without_sweep(recipe), overrides)


def _overrides(settings: Mapping[str, Any], seed: int) -> list[str]:
    return [*(f"{path}={json.dumps(value)}" for path, value in settings.items()), f"seed={seed}"]


def _without_sweep(recipe: Recipe) -> Recipe:
    return recipe.model_copy(update={"sweep": None})


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
