"""A pydantic error as one paragraph: YAML path, file and line, valid choices, fix."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from configs.errors import RecipeError
from configs.positions import Positions
from configs.recipe import Recipe

Loc = tuple[str | int, ...]


def recipe_error(error: ValidationError, place: str, positions: Positions) -> RecipeError:
    """Return the first problem of ``error``, located; the count of the others is named."""
    problems = error.errors(include_url=False)
    first: Mapping[str, Any] = problems[0]
    message, fix, loc = _say(first)
    if len(problems) > 1:
        message += f" ({len(problems) - 1} more after this one.)"
    path = ".".join(str(p) for p in loc)
    line = _line(loc, positions)
    where = f"{place}:{line}" if line else place
    return RecipeError(message, where=f"{where}: {path}" if path else where, fix=fix)


def _say(problem: Mapping[str, Any]) -> tuple[str, str, Loc]:
    loc = strip_tags(problem["loc"])
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "extra_forbidden":
        return f"'{loc[-1]}' is not a key here.", _nearest(loc), loc
    if kind == "missing":
        return f"'{loc[-1]}' is required and missing.", f"add {loc[-1]}: ...", loc
    if kind == "union_tag_invalid":
        key = context["discriminator"].strip("'")
        return (
            f"{key} '{context['tag']}' is unknown.",
            f"use one of {context['expected_tags']}.",
            (*loc, key),
        )
    if kind == "union_tag_not_found":
        key = context["discriminator"].strip("'")
        return f"'{key}' is required and missing.", f"add {key}: ...", loc
    return _say_value(problem, loc)


def _say_value(problem: Mapping[str, Any], loc: Loc) -> tuple[str, str, Loc]:
    text = re.sub(r"^Value error, ", "", problem["msg"])
    marked = re.match(r"@(\S+?): (.*)$", text, re.S)
    if marked:
        loc = tuple(int(p) if p.isdigit() else p for p in marked[1].split("."))
        text = marked[2]
    message, _, fix = text.partition(" Fix: ")
    given = problem["input"]
    if not marked and isinstance(given, str | int | float | bool):
        message = f"{message}, but it is {given!r}."
    return _sentence(message), fix or "give a value that fits.", loc


def _sentence(text: str) -> str:
    text = text.replace("Input should be", "the value should be")
    return text if text.endswith(".") else f"{text}."


def _line(loc: Loc, positions: Positions) -> int | None:
    while loc:
        if loc in positions:
            return positions[loc]
        loc = loc[:-1]
    return None


def strip_tags(loc: Sequence[str | int]) -> Loc:
    """Return a pydantic location without the union tags it inserts after the union's place."""
    tags = {
        "files",
        "hub",
        "rehearsal",
        "classification",
        "mmlu",
        "bits_per_byte",
        "improve",
        "hold",
        "lora",
        "local",
        "sagemaker",
        "nova",
        "work_pool",
    }
    return tuple(
        p
        for i, p in enumerate(loc)
        if not (i and (isinstance(loc[i - 1], int) or loc[i - 1] == "backend") and p in tags)
        and not (isinstance(p, str) and (p.startswith(("tuple[", "literal[", "function-"))))
    )


def _nearest(loc: Loc) -> str:
    known = sorted(_keys_at(Recipe, loc[:-1]))
    close = difflib.get_close_matches(str(loc[-1]), known, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"use one of {', '.join(known)}." if known else "remove it."


def _keys_at(annotation: Any, loc: Loc) -> set[str]:
    models = _models(annotation)
    if not loc:
        return {name for m in models for name in m.model_fields}
    if isinstance(loc[0], int):
        return _keys_at(annotation, loc[1:])
    found: set[str] = set()
    for model in models:
        if loc[0] in model.model_fields:
            field = model.model_fields[str(loc[0])]
            found |= _keys_at(field.annotation, loc[1:])
    return found


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for a in get_args(annotation) for m in _models(a)]
