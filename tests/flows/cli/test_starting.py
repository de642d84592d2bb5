"""``temper init`` writes a recipe once, and tells what it saw."""

import json
from pathlib import Path

import pytest

from configs.loading import load_recipe
from flows.cli.starting import init
from tasks.draft.look import Unclear
from tasks.errors import DataError


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    rows = [
        {"review": f"parcel {i} came late again", "topic": "ab"[i % 2], "sentiment": "xyz"[i % 3]}
        for i in range(60)
    ]
    path = tmp_path / "reviews.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return str(path)


def test_what_is_unclear_is_refused_without_a_terminal_and_told_by_an_option(data: str) -> None:
    with pytest.raises(Unclear, match=r"--label topic"):
        init(data)
    answer = init(data, label="topic", model="m")
    assert answer.json["recipe"] == "reviews.yaml"
    assert "one of 2 labels" in answer.json["saw"]
    assert load_recipe("reviews.yaml").name == "reviews"


def test_a_recipe_that_is_there_is_not_written_over(data: str) -> None:
    init(data, label="topic", model="m")
    Path("reviews.yaml").write_text("mine")
    with pytest.raises(DataError, match="a file of that name"):
        init(data, label="topic", model="m")
    assert Path("reviews.yaml").read_text() == "mine"
    init(data, label="topic", model="m", force=True)
    assert load_recipe("reviews.yaml")


def test_a_prompt_says_where_the_text_goes(data: str) -> None:
    with pytest.raises(DataError, match="where the text goes"):
        init(data, label="topic", prompt="Which topic?")
