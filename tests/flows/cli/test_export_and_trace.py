"""``temper export``, ``temper trace`` and ``temper why``, as a person or a machine calls them."""

import json
from pathlib import Path
from typing import Any

import pytest

TORCH = {"torch", "trl", "great_expectations", "mlflow"}


@pytest.fixture(scope="module")
def mixed(temper: Any, tiny_recipe: Path) -> Any:
    """What ``temper mix`` says of the tiny recipe."""
    said = temper("mix", tiny_recipe, "--json")
    assert said.code == 0, said.err
    return said.json


@pytest.fixture(scope="module")
def folder(mixed: Any) -> Path:
    return Path(mixed["lock"]).parent


def first_row(folder: Path) -> Any:
    import pyarrow.parquet as pq

    return pq.read_table(folder / "shard-00000.parquet").slice(0, 1).to_pylist()[0]


@pytest.mark.slow
def test_a_mixture_is_exported_by_folder_digest_or_recipe_alike(
    temper: Any, tiny_recipe: Path, mixed: Any, folder: Path, tmp_path: Path
) -> None:
    names = {"folder": folder, "digest": mixed["digest"][:12], "recipe": tiny_recipe}
    said = temper.each(
        [["export", name, "--out", tmp_path / how, "--json"] for how, name in names.items()]
    )
    assert [s.code for s in said] == [0, 0, 0], said[0].err
    keys = {"folder", "digest", "format", "mixture_digest", "rows", "left_out", "croissant"}
    assert {frozenset(s.json) for s in said} == {frozenset(keys)}
    assert len({s.json["digest"] for s in said}) == 1
    assert said[0].json["rows"] == mixed["rows"]
    assert {p.name for p in (tmp_path / "folder").iterdir()} == {
        "train.jsonl",
        "left-out.jsonl",
        "mixture.lock.json",
        "data-card.md",
        "manifest.json",
    }


@pytest.mark.slow
def test_what_can_not_be_exported_gets_one_paragraph(
    temper: Any, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "x").touch()
    other = folder.parents[1] / "clean"
    full, gone, wrong = temper.each(
        [
            ["export", folder, "--out", tmp_path, "--json"],
            ["export", "0123456789ab", "--out", tmp_path / "o", "--json"],
            ["export", next(other.iterdir()), "--out", tmp_path / "o", "--json"],
        ]
    )
    assert (full.code, gone.code, wrong.code) == (2, 2, 2)
    assert "something else than a mixture" in wrong.json["error"]["message"]
    assert "not empty" in full.json["error"]["message"]
    assert "no such mixture" in gone.json["error"]["message"]


@pytest.mark.slow
def test_a_row_is_traced_by_its_text_and_by_its_id(
    temper: Any, folder: Path, tmp_path: Path
) -> None:
    row = first_row(folder)
    exported = temper("export", folder, "--out", tmp_path / "out", "--json")
    assert exported.code == 0, exported.err
    line = (tmp_path / "out" / "train.jsonl").read_text().splitlines()[0]
    prompt = json.loads(line)["messages"][0]["content"]
    by_text, by_id = temper.each(
        [
            ["trace", "--row", prompt.upper(), "--json"],
            ["trace", "--row-id", row["row_id"], "--json"],
        ],
        fresh=True,
    )
    assert (by_text.code, by_id.code) == (0, 0), by_text.err
    assert set(by_id.json) == {"row_ids", "holdings", "unknown"}
    stages = [(h["stage"], h["place"]) for h in by_id.json["holdings"]]
    assert stages == [
        ("snapshot", "rows"),
        ("clean", "train"),
        ("distinct", "train"),
        ("tokens", "rows"),
        ("mixture", "shards"),
    ]
    assert row["row_id"] in by_text.json["row_ids"]
    assert by_text.loaded & TORCH == set()


@pytest.mark.slow
def test_what_became_of_a_row_is_told_by_its_text_and_by_its_id(temper: Any, folder: Path) -> None:
    row = first_row(folder)
    by_id, shown = temper.each(
        [["why", "--row-id", row["row_id"], "--json"], ["why", "--row-id", row["row_id"]]]
    )
    assert (by_id.code, shown.code) == (0, 0), by_id.err
    assert set(by_id.json) == {"found", "row_ids", "outcomes"}
    [outcome] = by_id.json["outcomes"]
    assert (outcome["outcome"], outcome["positions"]) == ("taken", [0])
    assert outcome["folders"] == [str(folder)]
    assert "taken: Mixture" in shown.out
    by_text = temper("why", "--row", outcome["text"].upper(), "--json", fresh=True)
    assert by_text.json == by_id.json
    assert by_text.loaded & TORCH == set()


@pytest.mark.parametrize("command", ["trace", "why"])
def test_one_row_is_wanted_and_it_is_said_when_there_is_none(temper: Any, command: str) -> None:
    nothing, both, absent = temper.each(
        [
            [command, "--json"],
            [command, "--row", "a", "--row-id", "b", "--json"],
            [command, "--row", "of this nobody ever wrote a word"],
        ]
    )
    assert (nothing.code, both.code, absent.code) == (2, 2, 0)
    assert nothing.json["error"]["kind"] == "data"
    assert "Nothing stored here" in absent.out
