"""The arms of a sweep: one recipe with some of its values varied, on the same data and items."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import yaml
from pydantic import Field, PositiveInt, ValidationError, model_validator

from configs.errors import RecipeError
from configs.section import Section, rule_error

Share = Annotated[float, Field(gt=0, le=1)]


class Sweep(Section):
    """What is varied; every combination is an arm.

    All arms are chosen among on dev items; the recommended one is confirmed once on test items.
    """

    domain_share: tuple[Share, ...] = Field(
        (), description="values of mixture.domain_share; 1.0 is the domain alone"
    )
    alpha: tuple[Share, ...] = Field(
        (), description="values of training.blend: the share of what was learnt that is kept"
    )
    vary: dict[str, tuple[Any, ...]] = Field(
        {}, description="dotted path of the recipe -> its values"
    )
    seeds: PositiveInt = Field(
        1, description="trainings of each arm, by seeds from the recipe's on"
    )
    parallel: PositiveInt = Field(1, description="arms at a time")
    max_tokens: PositiveInt | None = Field(
        None, description="tokens trained on by all arms together; an arm that would pass it waits"
    )

    @model_validator(mode="after")
    def _something_varies(self) -> "Sweep":
        for name in ("domain_share", "alpha"):
            _refuse_twins((name,), getattr(self, name))
        for path, values in self.vary.items():
            if not values:
                raise rule_error(f"'{path}' has no values.", path=("vary", path), fix="give two.")
            _refuse_twins(("vary", path), values)
            if path in ("mixture.domain_share", "training.blend", "seed"):
                own = {"mixture.domain_share": "domain_share", "training.blend": "alpha"}
                raise rule_error(
                    f"'{path}' has a key of its own.",
                    path=("vary", path),
                    fix=f"use {own.get(path, 'seeds')}.",
                )
        if not (self.domain_share or self.alpha or self.vary or self.seeds > 1):
            raise rule_error(
                "nothing varies.",
                fix="give domain_share, alpha, vary or seeds, for example "
                "domain_share: [1.0, 0.75, 0.5].",
            )
        return self


def read_sweep(
    section: Sweep | None, options: Mapping[str, Any], varied: Sequence[str]
) -> Sweep | None:
    """Return a recipe's section with what a command line says instead.

    Args:
        section: The recipe's, or None.
        options: Fields of the section; lists as ``a,b``. Those that are None say nothing.
        varied: ``path=a,b`` each: further values of the recipe.

    Raises:
        RecipeError: The options make no sweep.
    """
    given: dict[str, Any] = {} if section is None else section.model_dump(exclude_unset=True)
    for name, value in options.items():
        if value is not None:
            given[name] = _read_values(name, value) if isinstance(value, str) else value
    for one in varied:
        path, _, values = one.partition("=")
        given["vary"] = {**given.get("vary", {}), path: _read_values(path, values)}
    if not given:
        return None
    try:
        return Sweep.model_validate(given)
    except ValidationError as error:
        one_error = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in one_error["loc"])
        context = one_error.get("ctx", {})
        raise RecipeError(
            f"{str(context.get('message', one_error['msg'])).rstrip('.')}.",
            where=f"sweep.{path}" if path else "sweep",
            fix=context.get("fix") or "give values that fit, for example --domain-share 1.0,0.75.",
        ) from error


def _read_values(name: str, text: str) -> list[Any]:
    try:
        return [yaml.safe_load(part) for part in text.split(",") if part.strip()]
    except yaml.YAMLError as error:
        raise RecipeError(
            f"'{text}' is no list of values.", where=name, fix="write them as a,b,c."
        ) from error


def _refuse_twins(path: tuple[str | int, ...], values: tuple[Any, ...]) -> None:
    twins = [v for i, v in enumerate(values) if v in values[:i]]
    if twins:
        raise rule_error(f"{twins[0]!r} is there twice.", path=path, fix="take one out.")
