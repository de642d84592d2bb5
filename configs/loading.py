"""Recipes and models from names, files and mappings, with overrides and located errors."""

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from configs.errors import RecipeError
from configs.models import Served
from configs.recipe import Recipe
from configs.section import RULE, YamlPath
from configs.yaml_text import Positions, parse_yaml, read_yaml

SHIPPED = Path(__file__).parent / "recipes"

MOST_SHOWN = 20
"""Problems of one recipe that are named beside the first."""
KEY = "[key]"
"""What pydantic ends a location with where the key of a mapping is wrong, not its value."""


class Problem(NamedTuple):
    """One thing that is wrong: where it stands as the author wrote it, what it is, and the fix."""

    path: YamlPath
    message: str
    fix: str


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


def recipe_text(recipe: Recipe) -> str:
    """Return the recipe as YAML that loads to the same recipe."""
    fields = recipe.model_dump(mode="json", exclude_unset=True)
    return str(yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=100))


def find_served(text: str) -> Served | None:
    """Return the served or adapted model that a command line names; None where it is a folder.

    Args:
        text: A YAML file with the section, or the section itself in braces.

    Raises:
        RecipeError: It is no such section.
    """
    inline = text.lstrip().startswith("{")
    if not inline and Path(text).suffix not in (".yaml", ".yml"):
        return None
    place = f"--model {text}"
    fields, positions = parse_yaml(text, "--model") if inline else read_yaml(Path(text))
    try:
        model: Served = TypeAdapter(Served).validate_python(
            fields if isinstance(fields, dict) else {}
        )
    except ValidationError as error:
        raise recipe_error(error, Served, place, {} if inline else positions) from error
    return model


def recipe_error(
    error: ValidationError, schema: Any, place: str, positions: Positions
) -> RecipeError:
    """Return the problems of ``error``, each located: the first, and the others with it.

    Args:
        error: What pydantic found.
        schema: The section, or the union of sections, that was to be read.
        place: The file, or what else the section was read from.
        positions: The lines of the file.
    """
    found = [
        _describe(one, schema)
        for one in error.errors(include_url=False)
        # Where an element of a list is wrong, pydantic finds the list too short as well.
        if one["type"] != "too_short" or len(one["input"]) < one["ctx"]["min_length"]
    ]
    # A misspelt key that is required is found twice: it is missing, and the other is unknown.
    # So is one inside another: a union says of each of its branches why it doesn't fit.
    first, *others = _drop_repeated(found)
    more = [_locate(problem, place, positions) for problem in others[:MOST_SHOWN]]
    if len(others) > MOST_SHOWN:
        more.append(RecipeError(f"and {len(others) - MOST_SHOWN:,} more.", where=place))
    return _locate(first, place, positions, more)


def _drop_repeated(found: Sequence[Problem]) -> list[Problem]:
    kept: list[Problem] = []
    for problem in found:
        path = problem.path
        if not any(path[: len(k.path)] == k.path[: len(path)] for k in kept):
            kept.append(problem)
    return kept


def _locate(
    problem: Problem, place: str, positions: Positions, more: Sequence[RecipeError] = ()
) -> RecipeError:
    path, message, fix = problem
    written = next((path[:n] for n in range(len(path), 0, -1) if path[:n] in positions), ())
    where = f"{place}:{positions[written]}" if written else place
    dotted = ".".join(str(part) for part in path)
    return RecipeError(
        message, where=f"{where}: {dotted}" if path else where, fix=fix, more=tuple(more)
    )


def strip_tags(loc: YamlPath, schema: Any) -> tuple[YamlPath, Any]:
    """Return a pydantic location as the author wrote it, and what is read there.

    Pydantic names the branch of a union that it took: by the branch's tag, or by its type where
    there are no tags. These words stand nowhere in the recipe, and may also be the names of keys,
    so that only the schema tells them from keys.

    Args:
        loc: The location in pydantic's words.
        schema: The section, or union of sections, that was to be read.
    """
    path: list[str | int] = []
    for part in loc:
        branches = _branches(schema)
        if branches:
            schema = branches.get(part)
        elif part != KEY:
            path.append(part)
            schema = _read_at(schema, part)
    return tuple(path), schema


def _read(path: Path) -> tuple[dict[str, Any], Positions]:
    fields, positions = read_yaml(path)
    if not isinstance(fields, dict):
        what = "the file is empty." if fields is None else "a recipe is a mapping of keys."
        raise RecipeError(
            what,
            where=str(path),
            fix="start from a shipped one, for example configs/recipes/smoke.yaml.",
        )
    return fields, positions


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
        *parents, last = path.split(".")
        node: Any = fields
        for part in parents:
            key = _find_key(node, part, override)
            node = node.setdefault(key, {}) if isinstance(node, dict) else node[key]
        node[_find_key(node, last, override)] = parse_yaml(value, f"--set {override:.200}")[0]
    return fields


def _find_key(node: Any, part: str, override: str) -> str | int:
    """Return the key of a mapping, or the index of a list's element of that name or number."""
    if isinstance(node, dict):
        return part
    if isinstance(node, list):
        named = [i for i, x in enumerate(node) if isinstance(x, dict) and x.get("name") == part]
        if named:
            return named[0]
        if part.isdigit() and int(part) < len(node):
            return int(part)
    raise RecipeError(
        f"'{part}' is not there to be set.",
        where=f"--set {override}",
        fix="give the path of keys as it stands in the recipe.",
    )


def _validate(fields: dict[str, Any], place: str, positions: Positions) -> Recipe:
    try:
        return Recipe.model_validate(fields)
    except ValidationError as error:
        raise recipe_error(error, Recipe, place, positions) from error


def _describe(problem: Mapping[str, Any], schema: Any) -> Problem:
    kind, context, given = problem["type"], problem.get("ctx", {}), problem["input"]
    loc: YamlPath = problem["loc"]
    if kind in ("extra_forbidden", "missing"):
        section, holder = strip_tags(loc[:-1], schema)
        if kind == "missing":
            return _missing(section, loc[-1], given, holder)
        return _unknown_key((*section, loc[-1]), _keys(holder), strip_tags(loc[:-2], schema)[1])
    path, holder = strip_tags(loc, schema)
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        key = context["discriminator"].strip("'")
        if kind == "union_tag_not_found":
            return _missing(path, key, given, holder)
        tag, tags = context["tag"], context["expected_tags"]
        return Problem((*path, key), f"{key} '{tag}' is unknown.", f"use one of {tags}.")
    if loc[-1:] == (KEY,) and kind == "literal_error":
        _, mapping = strip_tags(loc[:-2], schema)
        return _unknown_key(path, get_args(get_args(_open(mapping)[0])[0]))
    if kind == RULE:
        path, message, fix = (*path, *context["path"]), context["message"], context["fix"]
    else:
        message, fix = problem["msg"].replace("Input should be", "the value should be"), ""
        if isinstance(given, str | int | float | bool):
            message = f"{message}, but it is {given!r}"
    message = message if message.endswith(".") else f"{message}."
    return Problem(path, message, fix or "give a value that fits.")


def _missing(section: YamlPath, part: str | int, given: Any, holder: Any) -> Problem:
    if isinstance(part, int):
        wanted = len(get_args(_open(holder)[0]))
        return Problem(section, f"{len(given)} values are too few.", f"give {wanted}.")
    known = _keys(holder)
    for key in given:
        if key not in known and difflib.get_close_matches(str(key), known, n=1) == [part]:
            return _unknown_key((*section, key), known)
    tags = ", ".join(str(tag) for tag in _branches(holder))
    fix = f"add {part}: ..." if not tags else f"add {part}: one of {tags}."
    return Problem((*section, part), f"'{part}' is required and missing.", fix)


def _unknown_key(path: YamlPath, known: Iterable[str], union: Any = None) -> Problem:
    """Say that a key is none; ``union`` is that of whose branches ``known`` are one's keys."""
    message, known = f"'{path[-1]}' is not a key here.", sorted(known)
    others = [str(tag) for tag, m in _branches(union).items() if path[-1] in _keys(m)]
    if others:
        fix = f"it goes with {', '.join(others)}; use one of {', '.join(known)}."
    elif close := difflib.get_close_matches(str(path[-1]), known, n=1):
        fix = f"did you mean '{close[0]}'?"
    else:
        fix = f"use one of {', '.join(known)}." if known else "remove it."
    return Problem(path, message, fix)


def _open(schema: Any) -> tuple[Any, str | None]:
    """Return a type without its notes and without null, and the key that tells its branches."""
    key = None
    while True:
        args = [arg for arg in get_args(schema) if arg is not NoneType]
        if get_origin(schema) is Annotated:
            fields = [note for note in args[1:] if isinstance(note, FieldInfo)]
            key = next((str(f.discriminator) for f in fields if f.discriminator), key)
        elif get_origin(schema) not in (Union, UnionType) or len(args) > 1:
            return schema, key
        schema = args[0]


def _branches(schema: Any) -> dict[str | int, Any]:
    """Return the branches of a union by the names pydantic has for them; none of anything else."""
    schema, key = _open(schema)
    if get_origin(schema) not in (Union, UnionType):
        return {}
    if key is None:
        return {
            getattr(m, "__name__", "") if not get_args(m) else str(m): m for m in get_args(schema)
        }
    return {tag: m for m in get_args(schema) for tag in get_args(m.model_fields[key].annotation)}


def _read_at(schema: Any, part: str | int) -> Any:
    """Return the type of a field, of a list's element or of a mapping's value."""
    schema, _ = _open(schema)
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        field = schema.model_fields.get(str(part))
        return field and Annotated[field.annotation, field]
    args = get_args(schema)
    if get_origin(schema) is dict:
        return args[1]
    if get_origin(schema) is tuple and isinstance(part, int):
        return args[0] if Ellipsis in args else args[min(part, len(args) - 1)]
    return None


def _keys(schema: Any) -> set[str]:
    schema, _ = _open(schema)
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return set(schema.model_fields)
    if get_origin(schema) in (Union, UnionType):
        return set().union(*map(_keys, get_args(schema)))
    return set()
