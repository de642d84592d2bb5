from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.gates.test_set_usage import record_look
from tasks.scores import SuiteScores

Make = Callable[..., SuiteScores]


def scored(make: Make, items: range, suite: str = "general") -> SuiteScores:
    rows = [
        {"form": "text", "nats": 1.0 + i, "bytes": 9, "item_id": f"{i * 7919 % 100_003:032x}"}
        for i in items
    ]
    return make(suite, "bits_per_byte", rows)


@pytest.fixture(autouse=True)
def _home(temper_home: Path) -> None:
    """Looks go to a TEMPER_HOME of the test's own."""


def test_every_new_candidate_counts_and_the_same_one_once(suite_scores: Make) -> None:
    first, second = (scored(suite_scores, range(200)) for _ in "ab")
    assert record_look("voc", first, "run 1") == 1
    assert record_look("voc", first, "run 2") == 1
    assert record_look("voc", second, "run 3") == 2
    assert record_look("voc", first, "run 4") == 2


def test_the_same_items_count_under_any_name_and_among_more(suite_scores: Make) -> None:
    assert record_look("voc", scored(suite_scores, range(500)), "run 1") == 1
    assert record_look("voc", scored(suite_scores, range(500), "renamed"), "run 2") == 2
    assert record_look("voc", scored(suite_scores, range(2000)), "run 3") == 3


def test_other_items_and_other_families_are_other_looks(suite_scores: Make) -> None:
    assert record_look("voc", scored(suite_scores, range(100)), "run 1") == 1
    assert record_look("voc", scored(suite_scores, range(100, 200)), "run 2") == 1
    assert record_look("other", scored(suite_scores, range(100)), "run 3") == 1
