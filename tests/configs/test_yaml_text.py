import tracemalloc
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import RecipeError
from configs.loading import load_recipe
from configs.yaml_text import MOST_BYTES, parse_yaml, read_yaml

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {k: 1}\na0: &a0 {<<: [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]}\n" + "".join(
    f"a{i + 1}: &a{i + 1} {{<<: [{', '.join([f'*a{i}'] * 10)}]}}\n" for i in range(9)
)
REFUSED = {
    "aliases that unfold": (BOMB, 6, "unfolds to more than"),
    "merges that unfold": (MERGES, 6, "unfolds to more than"),
    "more values than a recipe has": ("x: [" + "1," * 150_000 + "1]", 1, "more than 100,000"),
    "a value that holds itself": ("name: x\nmodel: &m {again: *m}", 2, "holds itself"),
    "a nest": ("a: 1\nx: " + "[" * 200 + "]" * 200, 2, "nested more than"),
    "a number without end": (f"name: x\nseed: {'9' * 5000}", 2, "a number of 5,000 characters"),
    "base sixty": (f"name: x\nseed: {':'.join(['1'] * 900)}", 2, "a number of"),
    "no number": ("name: x\nseed: .nan", 2, "is no number"),
    "a number as key": ("name: x\n1: 2", 2, "a key has to be a text"),
    "a truth value as key": ("name: x\nyes: 2", 2, "a key has to be a text"),
    "a list as key": ("name: x\n? [a, b]\n: 1", 2, "a key has to be a text"),
    "nothing as key": ("name: x\n? \n: 1", 2, "a key has to be a text"),
    "a key written twice": ("name: x\nseed: 1\nseed: 2", 3, "'seed' is written twice.*line 2"),
    "NUL": ("name: x\nb: \0", 2, "a character that YAML doesn't allow"),
    "bytes": ("name: !!binary aGVsbG8=", 1, "of the kind 'binary'"),
    "a set": ("name: x\nsources: !!set {a, b}", 2, "of the kind 'set'"),
    "pairs": ("name: x\nsources: !!omap [a: 1]", 2, "of the kind 'omap'"),
    "an object": ('name: !!python/object/apply:os.system ["true"]', 1, "of the kind 'python/obj"),
    "a tag of one's own": ("name: !mine x", 1, "of the kind '!mine'"),
    "two documents": ("name: x\n---\nname: y", 2, "another document"),
    "what is left open": ("name: [", 1, "not valid YAML"),
    "an alias to nothing": ("name: *nobody", 1, "undefined alias"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_a_recipe_does_not_need_is_refused_with_its_line(kind: str, tmp_path: Path) -> None:
    text, line, message = REFUSED[kind]
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    tracemalloc.start()
    try:
        with pytest.raises(RecipeError, match=message) as raised:
            load_recipe(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert raised.value.where.startswith(f"{path}:{line}")
    assert "Traceback" not in raised.value.paragraph()
    assert most < 500 << 20


@pytest.mark.parametrize("size", [MOST_BYTES + 1, 50 << 20])
def test_a_recipe_of_many_bytes_is_refused_before_it_is_read(tmp_path: Path, size: int) -> None:
    path = tmp_path / "recipe.yaml"
    with path.open("wb") as stream:
        stream.truncate(size)
    tracemalloc.start()
    try:
        with pytest.raises(RecipeError, match="holds settings, not data"):
            load_recipe(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 16 << 20


def test_an_override_is_bounded_too() -> None:
    fields = {"name": "x", "model": {"path": "m"}}
    with pytest.raises(RecipeError, match="unfolds to more than"):
        load_recipe(fields, [f"name={BOMB}"])
    with pytest.raises(RecipeError, match=r"--set name=\[.*not valid YAML"):
        load_recipe(fields, ["name=["])


def test_a_date_is_the_text_it_is_written_as() -> None:
    assert parse_yaml("a: 2001-01-01\nb: 2001-12-14t21:59:43.10-05:00", "x")[0] == {
        "a": "2001-01-01",
        "b": "2001-12-14t21:59:43.10-05:00",
    }


def test_aliases_that_stay_small_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("\ufeffa: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, *a]\n", encoding="utf-8")
    value, lines = read_yaml(path)
    assert value == {"a": {"x": 1}, "b": {"x": 1, "y": 2}, "c": [{"x": 1}, {"x": 1}]}
    assert lines["b",] == 2


TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn", "Co"]), max_size=12)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**12), 10**12) | TEXTS,
        lambda part: st.lists(part, max_size=4) | st.dictionaries(TEXTS, part, max_size=4),
        max_leaves=20,
    )
)
def test_what_json_can_say_is_read_as_it_is(value: object) -> None:
    text = yaml.safe_dump({"value": value}, allow_unicode=True)
    assert parse_yaml(text, "x")[0] == {"value": value}


def test_every_problem_of_a_recipe_is_named() -> None:
    with pytest.raises(RecipeError) as raised:
        load_recipe({"name": "a b", "seed": -1, "model": {"path": "m"}, "evaluation": {"split": 3}})
    said = raised.value.paragraph()
    for path in ("name", "seed", "sources", "evaluation.split"):
        assert f": {path}: " in said
    assert "more after this one" not in said
    assert len(raised.value.as_dict()["more"]) == said.count("\n")
