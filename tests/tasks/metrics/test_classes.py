import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from configs.metrics import Metric
from configs.suites.choices import letter_metrics
from configs.suites.labels import SINGLE
from tasks.errors import EvaluationError
from tasks.metrics.classes import (
    ClassLine,
    Confusion,
    class_items,
    class_lines,
    confusions,
    describe_collapse,
    letter_shares,
)
from tasks.scores import SuiteScores

Table = Callable[..., pa.Table]


def one(gold: str, said: str | None) -> dict[str, Any]:
    return {"form": "classification", "gold": gold, "prediction": said}


def test_every_class_has_its_figures_the_worst_first(table: Table) -> None:
    rows = table(
        [
            one("a", "a"),
            one("a", "b"),
            one("a", None),
            one("b", "b"),
            one("c", "b"),
            one("c", "odd"),
        ],
        ["a", "b", "c", "d"],
    )
    assert class_lines(rows) == [
        ClassLine("c", 2, 0, 0.0, 0.0, 0.0),
        ClassLine("a", 3, 1, 1.0, pytest.approx(1 / 3), pytest.approx(2 / 4)),
        ClassLine("b", 1, 3, pytest.approx(1 / 3), 1.0, pytest.approx(2 / 4)),
    ]
    assert confusions(rows) == [
        Confusion("a", None, 1),
        Confusion("a", "b", 1),
        Confusion("c", "b", 1),
        Confusion("c", "odd", 1),
    ]


def test_labels_with_levels_are_shown_at_each(table: Table) -> None:
    rows = table(
        [one("A > x", "A > y"), one("A > y", "A > y"), one("B > z", "A > y")],
        ["A > x", "A > y", "B > z"],
    )
    assert [(x.label, x.support, x.said) for x in class_lines(rows, 1)] == [
        ("B", 1, 0),
        ("A", 2, 3),
    ]
    assert confusions(rows, 1) == [Confusion("B", "A", 1)]
    assert confusions(rows)[0] == Confusion("A > x", "A > y", 1)


def test_lists_show_partners_and_what_has_none(table: Table) -> None:
    said = [
        {"label": "x", "gold": 0, "right": 1, "whole": True},
        {"label": "z", "gold": None, "right": 0, "whole": False},
    ]
    row = {
        "form": "extraction",
        "gold": json.dumps([{"label": "x"}, {"label": "y"}]),
        "prediction": json.dumps(said),
        "scores": [("said", 2.0), ("meant", 2.0)],
    }
    rows = table([row, row], ["x", "y", "z"])
    assert [(c.label, c.support, c.said, c.f1) for c in class_lines(rows)] == [
        ("y", 2, 0, 0.0),
        ("x", 2, 2, 1.0),
        ("z", 0, 2, 0.0),
    ]
    assert confusions(rows) == [Confusion(None, "z", 2), Confusion("y", None, 2)]


def test_letters_show_a_model_that_says_one_alone(table: Table) -> None:
    rows = [{"form": "letters", "gold": "ABCD"[i % 4], "prediction": "B"} for i in range(8)]
    shares = letter_shares(table([*rows, {"form": "cloze", "gold": "x", "prediction": "x"}]))
    assert shares == {"A": (0.25, 0.0), "B": (0.25, 1.0), "C": (0.25, 0.0), "D": (0.25, 0.0)}


def test_a_suite_has_classes_where_it_has_an_f1(
    table: Table, suite_scores: Callable[..., SuiteScores]
) -> None:
    rows = [one("a", "a") | {"score": 1.0}, one("b", "a") | {"score": 0.0}] * 2
    labelled = suite_scores("voc", "classification", rows)
    found = class_items(labelled, table(rows))
    assert found is not None
    assert found.num_rows == 4
    texts = [{"form": "text", "nats": 1.0, "bytes": 2}] * 3
    assert class_items(suite_scores("held", "bits_per_byte", texts), table(texts)) is None


LETTERS = ("letters", letter_metrics(0.25)["gold_margin"])
LABELS = ("classification", SINGLE["macro_f1"])


@pytest.mark.parametrize(
    ("form", "metric", "golds", "said", "says"),
    [
        (*LETTERS, "ABCD", "A", "100% of its answers are 'A', right in 25% of the items"),
        (*LABELS, "xyz", None, "100% of its answers are no label of the list, right in 0%"),
        (*LETTERS, "A", "A", None),
        (*LABELS, "xyz", "own", None),
        ("cloze", LETTERS[1], "ABCD", "A", None),
    ],
)
def test_a_model_that_answers_all_items_alike_is_seen(
    table: Table, form: str, metric: Metric, golds: str, said: str | None, says: str | None
) -> None:
    rows = [
        {
            "form": form,
            "gold": golds[i % len(golds)],
            "prediction": golds[i % len(golds)] if said == "own" else said,
        }
        for i in range(24)
    ]
    found = describe_collapse(table(rows), metric)
    assert (found is None) == (says is None)
    assert (says or "") in (found or "")
    assert describe_collapse(table(rows[:19]), metric) is None


def test_items_without_letters_are_refused(table: Table) -> None:
    rows = table([{"form": "text"}])
    with pytest.raises(EvaluationError, match="asked by letters"):
        letter_shares(rows)
