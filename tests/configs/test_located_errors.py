"""Every key of every section of a recipe, misspelt, missing or with a value that doesn't fit.

What is misspelt where is made from the sections themselves, so that a new one is tested as it is
written. The recipes are minimal: a recipe of one source and one suite, in which the section that is
tested stands with the keys it needs.
"""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

import pytest
from pydantic.fields import FieldInfo

from configs.errors import RecipeError
from configs.loading import find_served, load_recipe
from configs.models import Served
from configs.recipe import Recipe
from configs.section import Section

Keys = tuple[str | int, ...]
NEEDED: dict[str, Any] = {
    "accept_eula": True,
    "adapter": "adapter",
    "answer": "answer",
    "at": 0.5,
    "cluster": "c",
    "domain_share": 0.5,
    "endpoint": "e",
    "instance_type": "ml.m5.large",
    "judge": {"kind": "bedrock", "name": "j"},
    "allow": ["MIT"],
    "margin": 0.1,
    "metric": "m/accuracy",
    "model": {"path": "x"},
    "name": "m",
    "path": "x.jsonl",
    "regex": "(x)",
    "revision": "0" * 40,
    "role": "domain",
    "security_groups": ["g"],
    "source": "m",
    "subnets": ["s"],
    "task": "mmlu",
    "until": 1,
    "url": "http://x/v1",
    "sources": [{"kind": "files", "name": "m", "role": "domain", "path": "x.jsonl"}],
    "suites": [{"kind": "mmlu", "name": "m"}],
    "evaluation": {"suites": [{"kind": "mmlu", "name": "m"}]},
}
"""A value for each key that some section needs; ``name`` of a reward is one of ours."""


class Spot(NamedTuple):
    """A section within a document: the path, the section and the document's keys."""

    path: Keys
    section: type[Section]
    document: dict[str, Any]

    def fields(self) -> dict[str, Any]:
        """The keys of the section itself."""
        node: Any = self.document
        for part in self.path:
            node = node[part]
        return dict(node)

    def document_with(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The document, with other keys in the section."""
        whole: Any = {"document": deepcopy(self.document)}
        *outer, last = ("document", *self.path)
        node = whole
        for part in outer:
            node = node[part]
        node[last] = fields
        return dict(whole["document"])


def minimal(section: type[Section]) -> dict[str, Any]:
    """The keys a section needs, and the tag that tells it from others."""
    fields: dict[str, Any] = {}
    for name, field in section.model_fields.items():
        choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
        if len(choices) == 1 and name in ("kind", "rule"):
            fields[name] = choices[0]
        elif field.is_required():
            fields[name] = NEEDED[name]
    if section.__name__ == "Reward":
        fields["name"] = "length"
    if section.__name__ == "Size":
        fields["budget"] = 1
    return fields


def sections_in(annotation: Any) -> Iterator[tuple[Keys, type[Section]]]:
    """The sections that a field can hold, with where they stand in its value."""
    args = get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield (), annotation
    elif get_origin(annotation) is tuple:
        yield from (((0, *path), section) for path, section in sections_in(args[0]))
    elif get_origin(annotation) is dict:
        yield from ((("key", *path), section) for path, section in sections_in(args[1]))
    else:
        for arg in args:
            yield from sections_in(arg)


def wrapped(path: Keys, inner: Any) -> Any:
    for part in reversed(path):
        inner = [inner] if isinstance(part, int) else {part: inner}
    return inner


def spots(section: type[Section]) -> Iterator[Spot]:
    """A document for the section and for every section within it, whichever branch is taken."""
    fields = minimal(section)
    yield Spot((), section, fields)
    for name, field in section.model_fields.items():
        for at, inner in sections_in(field.annotation):
            for path, leaf, inside in spots(inner):
                yield Spot((name, *at, *path), leaf, {**fields, name: wrapped(at, inside)})


def lines_of(node: Any, path: Keys = (), indent: str = "") -> Iterator[tuple[Keys, str]]:
    """The document as YAML, with the path of each line: a key a line, values of lists in one."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        here, inner = (*path, key), indent + "  "
        nested = list(lines_of(value, here, inner)) if nests(value) else []
        if isinstance(key, str):
            yield here, f"{indent}{key}:" + ("" if nested else f" {json.dumps(value)}")
            yield from nested
        else:
            first, *rest = nested or [(here, json.dumps(value))]
            yield first[0], f"{indent}- {first[1].strip()}"
            yield from rest


def nests(value: Any) -> bool:
    items = value if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(items) and (isinstance(value, dict) or isinstance(value[0], dict))


RECIPES = [("recipe", spot) for spot in spots(Recipe)]
MODELS = [("model", spot) for _, model in sections_in(Served) for spot in spots(model)]
EVERYWHERE = pytest.mark.parametrize(
    ("kind", "spot"),
    [*RECIPES, *MODELS],
    ids=lambda x: x if isinstance(x, str) else f"{x.section.__name__}-{'.'.join(map(str, x.path))}",
)


def refusal(
    folder: Path, kind: str, document: dict[str, Any]
) -> tuple[str, int | None, RecipeError]:
    """The path and the line that a refused document's error names, and the error."""
    file = folder / "written.yaml"
    file.write_text("\n".join(text for _, text in lines_of(document)) + "\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe(file) if kind == "recipe" else find_served(str(file))
    place, _, path = caught.value.where.partition(": ")
    line = place.partition("written.yaml:")[2]
    return path, int(line) if line else None, caught.value


def line_of(document: dict[str, Any], path: Keys) -> int | None:
    """The line on which a path stands; of a section in a list that of its first key."""
    for number, (here, _) in enumerate(lines_of(document), 1):
        if here[: len(path)] == path:
            return number
    return None


def dotted(path: Keys) -> str:
    return ".".join(str(part) for part in path)


def misspellings(name: str) -> list[str]:
    doubled, swapped = name + name[-1], name[1] + name[0] + name[2:]
    return [doubled, swapped] if len(name) > 3 else [doubled]


@EVERYWHERE
def test_a_misspelt_key_is_named_with_its_line_and_the_right_spelling(tmp_path, kind, spot):
    for name in spot.section.model_fields:
        for wrong in misspellings(name):
            fields = {(wrong if key == name else key): v for key, v in spot.fields().items()}
            document = spot.document_with({**fields, wrong: fields.get(wrong)})
            path, line, error = refusal(tmp_path, kind, document)
            assert path == dotted((*spot.path, wrong))
            assert line == line_of(document, (*spot.path, wrong))
            assert error.message == f"'{wrong}' is not a key here."
            assert error.fix == f"did you mean '{name}'?"


@EVERYWHERE
def test_a_missing_key_is_named_with_the_line_of_its_section(tmp_path, kind, spot):
    for name in spot.fields():
        if not spot.section.model_fields[name].is_required():
            continue
        document = spot.document_with({k: v for k, v in spot.fields().items() if k != name})
        path, line, error = refusal(tmp_path, kind, document)
        assert path == dotted((*spot.path, name))
        assert line == (line_of(document, spot.path) if spot.path else None)
        assert error.message == f"'{name}' is required and missing."


@EVERYWHERE
def test_a_value_of_a_wrong_type_is_named_with_its_line(tmp_path, kind, spot):
    for name in spot.section.model_fields:
        document = spot.document_with({**spot.fields(), name: [["wrong"]]})
        path, line, _ = refusal(tmp_path, kind, document)
        here = (*spot.path, name)
        assert path in (dotted(here), dotted((*here, 0)))
        assert line == line_of(document, here)


def values_out_of_bounds(field: FieldInfo) -> Iterator[Any]:
    """Values that break one bound each; a list's elements fit."""
    notes = list(field.metadata)
    for arg in get_args(field.annotation):
        notes += getattr(arg, "__metadata__", ())
    inner = [section for _, section in sections_in(field.annotation)]
    one = minimal(inner[0]) if inner else "x"
    for note in notes:
        if (least := getattr(note, "ge", getattr(note, "gt", None))) is not None:
            yield least - 1
        if (most := getattr(note, "le", getattr(note, "lt", None))) is not None:
            yield most + 1
        if (length := getattr(note, "max_length", None)) is not None:
            yield (
                "x" * (length + 1)
                if field.annotation in (str, str | None)
                else [one] * (length + 1)
            )
        if getattr(note, "min_length", None) is not None:
            kinds = {get_origin(a) for a in (field.annotation, *get_args(field.annotation))}
            yield [] if tuple in kinds else {} if dict in kinds else ""
        if getattr(note, "pattern", None) is not None:
            yield "!"


@EVERYWHERE
def test_a_value_out_of_bounds_is_named_with_its_line(tmp_path, kind, spot):
    for name, field in spot.section.model_fields.items():
        for value in values_out_of_bounds(field):
            document = spot.document_with({**spot.fields(), name: value})
            path, line, _ = refusal(tmp_path, kind, document)
            assert path == dotted((*spot.path, name))
            assert line == line_of(document, (*spot.path, name))


def test_the_walk_meets_every_branch_and_every_kind_of_bound():
    met = {spot.section for _, spot in [*RECIPES, *MODELS]}
    branches = {
        b for s in met for f in s.model_fields.values() for _, b in sections_in(f.annotation)
    }
    assert branches <= met
    assert len(met) > 60
    broken = [v for s in met for f in s.model_fields.values() for v in values_out_of_bounds(f)]
    assert {type(value) for value in broken} >= {int, float, str, list, dict}
