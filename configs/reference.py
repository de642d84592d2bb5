"""Every key of a recipe, from the schema itself: what ``temper schema`` shows."""

import difflib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from configs.errors import RecipeError
from configs.recipe import Recipe

Schema = Mapping[str, Any]


class Key(NamedTuple):
    """A key of a section.

    Attributes:
        name: The key.
        type: What it takes, in words.
        default: As YAML would have it; None where it is required.
        description: What it means.
    """

    name: str
    type: str
    default: str | None
    description: str


class SectionPage(NamedTuple):
    """One section, or one kind of a section that has several.

    Attributes:
        path: Where it stands in a recipe.
        kind: The key and value that choose it, as ``kind: files``; empty where there is one alone.
        says: Its docstring.
    """

    path: str
    kind: str
    says: str
    keys: tuple[Key, ...]


def describe_section(path: str = "") -> list[SectionPage]:
    """Return the pages of a section of the recipe: one for each kind it may be of.

    Args:
        path: Dotted keys from the recipe's top, as ``training.adapter``; the top when empty. A kind
            narrows a section that has several, as ``sources.files``.

    Raises:
        RecipeError: There is no such section.
    """
    whole = recipe_schema()
    found: list[tuple[str, Schema]] = [("", whole)]
    walked: list[str] = []
    for part in filter(None, path.split(".")):
        nodes = [branch for _, node in found for branch in _branches(node, whole)]
        narrowed = [(kind, node) for kind, node in nodes if kind.rpartition(" ")[2] == part]
        if narrowed and walked:
            found = narrowed
            continue
        below = [
            (kind, node["properties"][part])
            for kind, node in nodes
            if part in node.get("properties", {})
        ]
        if not below:
            names = {name for _, node in nodes for name in node.get("properties", {})}
            kinds = {kind.rpartition(" ")[2] for kind, _ in nodes if kind}
            raise _unknown(path, part, sorted(names | kinds))
        found, walked = below, [*walked, part]
    branches = {
        kind: node for above, one in found for kind, node in _branches(one, whole, above or "")
    }
    pages = [
        SectionPage(".".join(walked), kind, _summary(node), keys)
        for kind, node in branches.items()
        if (keys := tuple(_keys(node, whole)))
    ]
    if not pages:
        raise RecipeError(
            f"'{path}' is a value and has no keys of its own.",
            where="temper schema",
            fix=f"ask for {'.'.join(path.split('.')[:-1]) or 'the whole recipe'}.",
        )
    # A section that several kinds share is one page.
    first: dict[tuple[Key, ...], SectionPage] = {}
    for page in pages:
        first.setdefault(page.keys, page)
    shared = len(first) == 1 < len(pages)
    return [page._replace(kind="") if shared else page for page in first.values()]


@cache
def recipe_schema() -> dict[str, Any]:
    """Return the recipe's JSON Schema, for editors and forms."""
    return Recipe.model_json_schema()


def _summary(node: Schema) -> str:
    """Return the first paragraph of a section's docstring."""
    return " ".join(str(node.get("description", "")).partition("\n\n")[0].split())


def _unknown(path: str, part: str, known: list[str]) -> RecipeError:
    close = difflib.get_close_matches(part, known, n=1)
    fix = f"did you mean '{close[0]}'?" if close else f"use one of {', '.join(known)}."
    return RecipeError(f"'{part}' is no key there.", where=f"temper schema {path}", fix=fix)


def _branches(node: Schema, whole: Schema, kind: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield the sections that a value may be, each with the key that chooses it."""
    node = _resolve(node, whole)
    if "properties" in node:
        yield kind or _kind_of(node, None), node
        return
    chosen = node.get("discriminator", {}).get("propertyName")
    for one in (*node.get("oneOf", ()), *node.get("anyOf", ())):
        inner = _resolve(one, whole)
        yield from _branches(inner, whole, _kind_of(inner, chosen))
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), Mapping):
            yield from _branches(node[key], whole, kind)


def _kind_of(node: Schema, key: str | None) -> str:
    value = node.get("properties", {}).get(key, {}) if key else {}
    return f"{key}: {value['const']}" if "const" in value else ""


def _resolve(node: Schema, whole: Schema) -> Schema:
    while "$ref" in node:
        node = whole["$defs"][node["$ref"].rpartition("/")[2]]
    return node


def _keys(node: Schema, whole: Schema) -> Iterator[Key]:
    required = set(node.get("required", ()))
    for name, field in node.get("properties", {}).items():
        default = None if name in required else _default_of(field)
        says = str(field.get("description", ""))
        yield Key(name, _type_of(field, whole), default, says)


def _default_of(field: Schema) -> str:
    value = field.get("default")
    # A section's defaults stand with its own keys.
    return "its keys' own" if isinstance(value, Mapping) and value else json.dumps(value)


def _type_of(field: Schema, whole: Schema) -> str:
    """Return in words what a value may be, bounds included."""
    node = _resolve(field, whole)
    if "const" in node:
        return json.dumps(node["const"])
    if "enum" in node:
        return " | ".join(str(value) for value in node["enum"])
    several = [*node.get("oneOf", ()), *node.get("anyOf", ())]
    if several:
        words = [_type_of(one, whole) for one in several]
        return " | ".join(dict.fromkeys(w for w in words if w != "null"))
    if node.get("type") == "array":
        items: Schema = node.get("items") or next(iter(node.get("prefixItems", ())), {})
        return f"list of {_type_of(items, whole)}"
    if "properties" in node:
        return "section"
    if node.get("type") == "object":
        inner = node.get("additionalProperties")
        return f"name -> {_type_of(inner, whole)}" if isinstance(inner, Mapping) else "mapping"
    bounds = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    told = [f"{sign} {node[key]:g}" for key, sign in bounds.items() if key in node]
    return " ".join([str(node.get("type", "any")), *told])


def reference_markdown() -> str:
    """Return every section's keys as one Markdown page."""
    lines = [
        "# Keys of a recipe",
        "",
        "Made from the schema (`temper schema`, with `--json` for editors). A key without a "
        "default is required.",
    ]
    for path in _list_paths():
        for page in describe_section(path):
            title = ", ".join(filter(None, [page.path or "the recipe", page.kind]))
            lines += ["", f"## {title}", "", page.says, "", "| key | takes | default | |"]
            lines += ["|---|---|---|---|"]
            lines += [
                "| "
                + " | ".join(
                    _cell(x) for x in (f"`{k.name}`", k.type, k.default or "", k.description)
                )
                + " |"
                for k in page.keys
            ]
    return "\n".join(lines) + "\n"


def _list_paths(above: str = "") -> list[str]:
    """Return the paths of all sections, those of a section after it."""
    paths = [above]
    for page in describe_section(above):
        for key in page.keys:
            path = f"{above}.{key.name}".lstrip(".")
            if path in paths:
                continue
            if _is_section(path):
                paths += [p for p in _list_paths(path) if p not in paths]
    return paths


def _is_section(path: str) -> bool:
    try:
        return bool(describe_section(path))
    except RecipeError:
        return False


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
