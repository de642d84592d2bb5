"""A recipe from a name, a path or a mapping, with ``a.b=c`` overrides and located errors."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from configs.errors import RecipeError
from configs.positions import Positions, positions_of
from configs.problems import recipe_error
from configs.recipe import Recipe

SHIPPED = Path(__file__).parent / "recipes"


def load_recipe(
    recipe: Recipe | Mapping[str, Any] | str | Path, overrides: Sequence[str] = ()
) -> Recipe:
    """Return the validated recipe.

    Args:
        recipe: A recipe, its fields, the path of a YAML file, or the name of a shipped recipe.
        overrides: ``dotted.path=value`` settings; the value is read as YAML.

    Raises:
        RecipeError: With the YAML path, the file and line, and the valid choices.
    """
    if isinstance(recipe, Recipe):
        fields: Any = recipe.model_dump(mode="json")
        return _validate(_apply(fields, overrides), "recipe", {}) if overrides else recipe
    if isinstance(recipe, Mapping):
        return _validate(_apply(dict(recipe), overrides), "recipe", {})
    path = find_recipe(recipe)
    fields, positions = _read(path)
    return _validate(_apply(fields, overrides), str(path), positions)


def find_recipe(name: str | Path) -> Path:
    """Return the file of a recipe given by path or by shipped name."""
    for path in (Path(name), SHIPPED / f"{name}.yaml"):
        if path.is_file():
            return path
    shipped = ", ".join(sorted(p.stem for p in SHIPPED.glob("*.yaml")))
    raise RecipeError(
        "there is no such recipe file, and no shipped recipe of that name.",
        where=str(name),
        fix=f"give a path to a YAML file, or one of: {shipped}.",
    )


def recipe_digest(recipe: Recipe) -> str:
    """Return the digest that identifies the recipe's intent (SHA-256 of its canonical JSON)."""
    canonical = json.dumps(recipe.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], Positions]:
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        fields = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(
            *_yaml_problem(error), where=_yaml_place(path, error), fix=_yaml_fix(error)
        ) from error
    except UnicodeDecodeError as error:
        raise RecipeError(
            "the file is not UTF-8 text.", where=str(path), fix="save it as UTF-8."
        ) from error
    if not isinstance(fields, dict):
        what = "the file is empty." if fields is None else "a recipe is a mapping of keys."
        raise RecipeError(
            what,
            where=str(path),
            fix="start from a shipped one, for example configs/recipes/smoke.yaml.",
        )
    return fields, positions_of(node)


def _yaml_problem(error: yaml.YAMLError) -> tuple[str]:
    problem = getattr(error, "problem", None) or str(error)
    tab = "\\t" in problem
    return (
        "a tab is used for indentation, which YAML forbids."
        if tab
        else f"this is not valid YAML: {problem}.",
    )


def _yaml_place(path: Path, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)


def _yaml_fix(error: yaml.YAMLError) -> str:
    tab = "\\t" in (getattr(error, "problem", None) or "")
    return "replace the tab by spaces." if tab else "correct the line named above."


def _apply(fields: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    fields = json.loads(json.dumps(fields, default=str))
    for override in overrides:
        path, sep, value = override.partition("=")
        if not sep or not path:
            raise RecipeError(
                "an override is written path=value.",
                where=f"--set {override}",
                fix="for example --set mixture.domain_share=0.5",
            )
        _set(fields, path.split("."), yaml.safe_load(value), override)
    return fields


def _set(fields: Any, keys: list[str], value: Any, override: str) -> None:
    *parents, last = keys
    for key in parents:
        fields = _step(fields, key, override)
    if isinstance(fields, list):
        _step(fields, last, override)
        fields[int(last)] = value
    else:
        fields[last] = value


def _step(node: Any, key: str, override: str) -> Any:
    if isinstance(node, dict):
        return node.setdefault(key, {})
    if isinstance(node, list):
        named = [x for x in node if isinstance(x, dict) and x.get("name") == key]
        if named:
            return named[0]
        if key.isdigit() and int(key) < len(node):
            return node[int(key)]
    raise RecipeError(
        f"'{key}' is not there to be set.",
        where=f"--set {override}",
        fix="give the path of keys as it stands in the recipe.",
    )


def _validate(fields: dict[str, Any], place: str, positions: Positions) -> Recipe:
    try:
        return Recipe.model_validate(fields)
    except ValidationError as error:
        raise recipe_error(error, place, positions) from error


def recipe_text(recipe: Recipe) -> str:
    """Return the recipe as YAML that loads to the same recipe."""
    fields = recipe.model_dump(mode="json", exclude_unset=True)
    return str(yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=100))
