"""A lock is enough to make its mixture again."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture
def own_recipe(tiny_fields: dict[str, Any], tmp_path: Path) -> Path:
    """The tiny recipe over a copy of its domain data that a test may change."""
    fields = deepcopy(tiny_fields)
    domain = fields["sources"][0]
    data = tmp_path / "reviews.jsonl"
    data.write_text(Path(domain["path"]).read_text())
    domain["path"] = str(data)
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(fields, sort_keys=False))
    return path


def test_a_mixture_is_made_again_from_its_lock(temper: Any, own_recipe: Path) -> None:
    made = temper("mix", str(own_recipe), "--workers", "2", "--json").json
    again = temper("reproduce", made["lock"], "--json")
    assert again.code == 0
    assert again.json["same"]
    assert again.json["digest"] == made["digest"]


def test_a_source_that_has_changed_is_named(temper: Any, own_recipe: Path) -> None:
    made = temper("mix", str(own_recipe), "--json").json
    data = own_recipe.with_name("reviews.jsonl")
    lines = data.read_text().splitlines()
    data.write_text("\n".join(lines[2:]) + "\n")
    again = temper("reproduce", made["lock"], "--json")
    assert again.code == 1
    name = yaml.safe_load(own_recipe.read_text())["sources"][0]["name"]
    assert f"source '{name}' has changed" in again.json["changed"][0]


def test_a_source_that_is_gone_is_named(temper: Any, own_recipe: Path) -> None:
    made = temper("mix", str(own_recipe), "--json").json
    own_recipe.with_name("reviews.jsonl").unlink()
    again = temper("reproduce", made["lock"], "--json")
    assert again.code == 1
    assert "reviews.jsonl" in again.json["changed"][0]


def test_a_file_that_is_no_lock_gets_one_paragraph(temper: Any, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"recipe": {}}))
    said = temper("reproduce", str(other))
    assert said.code == 1
    assert "no lock" in said.err
    assert "Traceback" not in said.err
