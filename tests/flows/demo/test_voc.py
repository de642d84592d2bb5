import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from flows.demo.phrases import phrasebook
from flows.demo.taxonomy import LEVELS, SEPARATOR, labels
from flows.demo.voc import bad_rows_expected, write_reviews

ROWS = 1600
GIANT = 5_000


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    path = write_reviews(tmp_path_factory.mktemp("voc") / "voc.jsonl", rows=ROWS)
    return path.read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def records(lines: list[str]) -> list[dict[str, Any]]:
    return [record for record in map(_parsed, lines) if record is not None]


@pytest.fixture(scope="module")
def good(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({row["review_id"]: row for row in records if _is_good(row)}.values())


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(line)
    except json.JSONDecodeError:
        return None
    return record


def _is_good(row: dict[str, Any]) -> bool:
    text = row["review"]
    return bool(text and row["category"]) and "<|" not in text and len(text) < GIANT


def _bytes(folder: Path, *, rows: int = 200, seed: int = 7) -> bytes:
    return write_reviews(folder / "voc.jsonl", rows=rows, seed=seed).read_bytes()


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    assert _bytes(tmp_path / "one") == _bytes(tmp_path / "two")


def test_another_seed_gives_other_bytes(tmp_path: Path) -> None:
    assert _bytes(tmp_path, seed=7) != _bytes(tmp_path, seed=8)


def test_nothing_but_the_file_is_left_behind(tmp_path: Path) -> None:
    _bytes(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["voc.jsonl"]


def test_fewer_rows_than_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 64"):
        write_reviews(tmp_path / "voc.jsonl", rows=63)


def test_the_taxonomy_has_sixty_four_leaves_of_four_levels_in_eight_areas() -> None:
    paths = [label.split(SEPARATOR) for label in labels()]
    assert len(set(labels())) == len(paths) == 64
    assert {len(path) for path in paths} == {LEVELS}
    assert len({path[0] for path in paths}) == 8


def test_level_names_are_one_or_two_lower_case_words() -> None:
    names = {name for label in labels() for name in label.split(SEPARATOR)}
    assert all(name == name.lower() and len(name.split()) <= 2 for name in names)


def test_every_label_has_at_least_five_core_sentences_of_its_own() -> None:
    cores = phrasebook().cores
    assert set(cores) == set(labels())
    assert min(len(set(sentences)) for sentences in cores.values()) >= 5
    every = [sentence for sentences in cores.values() for sentence in sentences]
    assert len(set(every)) == len(every)


def test_good_rows_are_all_there_with_their_fields(good: list[dict[str, Any]]) -> None:
    assert len(good) == ROWS
    assert {tuple(row) for row in good} == {
        ("review_id", "review", "category", "leaf", "synthetic")
    }
    assert all(row["synthetic"] is True for row in good)


@pytest.mark.parametrize("rows", [64, 100, 1600])
def test_labels_are_balanced_to_within_one_row(tmp_path: Path, rows: int) -> None:
    text = write_reviews(tmp_path / "voc.jsonl", rows=rows).read_text(encoding="utf-8")
    parsed = [record for record in map(_parsed, text.splitlines()) if record is not None]
    good = {row["review_id"]: row["category"] for row in parsed if _is_good(row)}
    counts = Counter(good.values())
    assert set(counts) == set(labels())
    assert max(counts.values()) - min(counts.values()) <= 1


def test_rows_come_in_shuffled_order(good: list[dict[str, Any]]) -> None:
    neighbours = zip(good, good[1:], strict=False)
    assert sum(one["category"] == two["category"] for one, two in neighbours) < ROWS * 0.05


def test_bad_rows_are_as_many_as_announced(lines: list[str], records: list[dict[str, Any]]) -> None:
    found = {
        "empty_review": sum(row["review"] == "" for row in records),
        "null_category": sum(row["category"] is None for row in records),
        "exact_duplicate": len(lines) - len(set(lines)),
        "control_token": sum("<|im_end|>" in row["review"] for row in records),
        "not_json": len(lines) - len(records),
        "gigantic": sum(len(row["review"]) > GIANT for row in records),
    }
    assert found == bad_rows_expected()
    assert len(lines) == ROWS + sum(found.values())


def test_gigantic_rows_are_about_twenty_thousand_characters(
    records: list[dict[str, Any]],
) -> None:
    sizes = [len(row["review"]) for row in records if len(row["review"]) > GIANT]
    assert sizes
    assert all(19_900 <= size <= 20_000 for size in sizes)


def test_good_reviews_are_nearly_all_distinct(good: list[dict[str, Any]]) -> None:
    assert len({row["review"] for row in good}) >= 0.95 * len(good)


def test_most_good_reviews_have_twelve_to_forty_words(good: list[dict[str, Any]]) -> None:
    sizes = [len(row["review"].split()) for row in good]
    assert sum(12 <= size <= 40 for size in sizes) >= 0.8 * len(sizes)


def test_no_review_holds_a_label_path_or_an_unfilled_slot(records: list[dict[str, Any]]) -> None:
    assert not [row for row in records if SEPARATOR in row["review"]]
    assert not [row for row in records if set("{}[]") & set(row["review"])]
