import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from configs.metrics import Metric
from configs.suites.bits_per_byte import BitsPerByteSuite
from configs.suites.labels import SINGLE
from configs.suites.mmlu import CLOZE as CLOZE_METRICS
from configs.suites.mmlu import LETTERS as LETTER_METRICS
from tasks.errors import EvaluationError
from tasks.metrics.f1 import LabelledItems
from tasks.metrics.paired import point
from tasks.metrics.values import Numbers, aligned, item_values

Table = Callable[..., pa.Table]

LETTERS: dict[str, Any] = {
    "form": "letters",
    "cluster": "law",
    "gold_index": 1,
    "score": 1.0,
    "choice_logprobs": [-2.0, -1.0, -4.0, -3.0],
}
CLOZE: dict[str, Any] = LETTERS | {
    "form": "cloze",
    "choice_logprobs": [-6.0, -8.0, -9.0, -20.0],
    "choice_bytes": [2, 4, 4, 4],
}


def test_every_metric_of_the_vocabulary_can_be_read(table: Table) -> None:
    rows = table([LETTERS, LETTERS, CLOZE, CLOZE])
    for name, metric in {**LETTER_METRICS, **CLOZE_METRICS}.items():
        if not metric.paired:
            assert len(item_values(rows, name)) == 2
    answers = [{"form": "classification", "gold": "a", "prediction": "a", "score": 1.0}] * 2
    for name in SINGLE:
        assert len(item_values(table(answers, ["a", "b"]), name)) == 2
    texts = [{"form": "text", "nats": 3.0, "bytes": 4}] * 2
    for name in BitsPerByteSuite.METRICS:
        assert len(item_values(table(texts), name)) == 2


def test_letters_give_log_probability_margin_and_mass_of_the_gold_answer(table: Table) -> None:
    rows = table([LETTERS])
    assert point(item_values(rows, "gold_logprob")) == -1.0
    assert point(item_values(rows, "gold_margin")) == 1.0
    mass = sum(math.exp(-x) for x in (1, 2, 3, 4))
    assert point(item_values(rows, "letter_mass")) == pytest.approx(mass)


def test_the_margin_of_a_wrong_answer_is_negative(table: Table) -> None:
    assert point(item_values(table([LETTERS | {"gold_index": 3}]), "gold_margin")) == -2.0


def test_cloze_metrics_are_of_log_probability_per_byte(table: Table) -> None:
    rows = table([CLOZE])
    assert point(item_values(rows, "cloze_gold_logprob")) == -2.0
    assert point(item_values(rows, "cloze_margin")) == 0.25
    assert point(item_values(rows, "cloze_accuracy")) == 1.0


def test_questions_may_have_different_numbers_of_choices(table: Table) -> None:
    rows = table([LETTERS, LETTERS | {"choice_logprobs": [-1.0, -3.0]}])
    values = item_values(rows, "gold_margin").data
    assert isinstance(values, Numbers)
    assert values.values.tolist() == [1.0, -2.0]


def test_bits_per_byte_weighs_texts_by_their_bytes(table: Table) -> None:
    rows = table(
        [
            {"form": "text", "nats": 8 * math.log(2), "bytes": 4},
            {"form": "text", "nats": math.log(2), "bytes": 5},
        ]
    )
    assert point(item_values(rows, "bits_per_byte")) == pytest.approx(1.0)


def test_a_prediction_that_is_no_label_is_a_miss_and_only_a_missing_one_is_invalid(
    table: Table,
) -> None:
    rows = table(
        [
            {"form": "classification", "gold": "a", "prediction": p, "score": float(p == "a")}
            for p in ("a", "b", "other", None)
        ],
        ["a", "b"],
    )
    data = item_values(rows, "macro_f1").data
    assert isinstance(data, LabelledItems)
    assert data.predicted.tolist() == [0, 1, -1, -1]
    assert point(item_values(rows, "invalid_rate")) == 0.25


def test_subjects_are_strata_and_dialogues_are_clusters(table: Table) -> None:
    letters = item_values(table([LETTERS, LETTERS | {"cluster": "art"}, LETTERS]), "gold_margin")
    assert letters.strata is not None
    assert letters.strata.tolist() == [0, 1, 0]
    assert letters.clusters is None
    text = {"form": "text", "nats": 1.0, "bytes": 2}
    texts = [text | {"cluster": c} for c in ("x", None, "x", None)]
    grouped = item_values(table(texts), "bits_per_byte")
    assert grouped.strata is None
    assert grouped.clusters is not None
    assert grouped.clusters.tolist() == [0, 1, 0, 2]


def test_a_class_is_no_cluster_of_dependent_items(table: Table) -> None:
    rows = [
        {"form": "classification", "gold": g, "cluster": g, "prediction": "a", "score": 0.0}
        for g in "abab"
    ]
    values = item_values(table(rows), "macro_f1")
    assert values.clusters is None
    assert values.strata is not None


def test_groups_of_one_item_each_are_no_clusters(table: Table) -> None:
    texts = [{"form": "text", "nats": 1.0, "bytes": 2, "cluster": c} for c in "abc"]
    assert item_values(table(texts), "bits_per_byte").clusters is None


@pytest.mark.parametrize(
    ("row", "metric", "says"),
    [
        (LETTERS | {"score": None}, "accuracy", "no usable 'score'"),
        (LETTERS | {"score": 0.5}, "accuracy", "no usable 'score'"),
        (LETTERS | {"choice_logprobs": [-math.inf, -1.0]}, "gold_margin", "choice_logprobs"),
        (LETTERS | {"choice_logprobs": None}, "letter_mass", "choice_logprobs"),
        (LETTERS | {"gold_index": None}, "gold_logprob", "gold_index"),
        (LETTERS, "cloze_margin", "no items of form cloze"),
        (LETTERS, "rouge", "no metric 'rouge'"),
        ({"form": "text", "nats": 1.0, "bytes": 0}, "bits_per_byte", "no bytes"),
        ({"form": "classification", "gold": "z"}, "macro_f1", "gold label 'z'"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(
    table: Table, row: dict[str, Any], metric: str, says: str
) -> None:
    with pytest.raises(EvaluationError, match=says):
        item_values(table([LETTERS, row] if row["form"] == "letters" else [row], ["a"]), metric)


def test_an_item_id_may_occur_once_a_form(table: Table) -> None:
    rows = table([LETTERS | {"item_id": "q"}, CLOZE | {"item_id": "q"}])
    assert item_values(rows, "accuracy").ids == ("q",)
    with pytest.raises(EvaluationError, match="occurs twice"):
        item_values(table([LETTERS | {"item_id": "q"}] * 2), "accuracy")


def test_aligning_follows_the_first_ones_order_and_names_strangers(table: Table) -> None:
    rows = [LETTERS | {"item_id": i, "score": s} for i, s in (("a", 1.0), ("b", 0.0))]
    first, second = (item_values(table(r), "accuracy") for r in (rows, rows[::-1]))
    moved = aligned(first, second)
    assert moved.ids == ("a", "b")
    assert isinstance(moved.data, Numbers)
    assert np.array_equal(moved.data.values, [1.0, 0.0])
    other = item_values(table([rows[0], LETTERS | {"item_id": "c"}]), "accuracy")
    with pytest.raises(EvaluationError, match=r"1 only in the first \(b\).*\(c\)"):
        aligned(first, other)


NAMED = {"kind_a": Metric("higher", "proportion"), "length": Metric("lower", "mean")}


def test_a_named_score_is_read_over_the_items_that_have_it(table: Table) -> None:
    rows = table(
        [
            {"form": "made", "scores": [("kind_a", 1.0), ("length", 2.5)], "stratum": "one"},
            {"form": "made", "scores": [("kind_a", 0.0)], "stratum": "two", "cluster": "talk"},
            {"form": "made", "scores": [("length", 3.5)], "stratum": "two", "cluster": "talk"},
        ]
    )
    length = item_values(rows, "length", NAMED["length"])
    assert length.ids == ("i0", "i2")
    assert isinstance(length.data, Numbers)
    assert (length.data.values.tolist(), length.data.proportion) == ([2.5, 3.5], False)
    kind = item_values(rows, "kind_a", NAMED["kind_a"])
    assert isinstance(kind.data, Numbers)
    assert kind.data.proportion
    assert kind.strata is not None
    assert kind.strata.tolist() == [0, 1]


def test_a_score_that_no_item_has_is_no_metric(table: Table) -> None:
    rows = table([{"form": "made", "scores": [("other", 1.0)]}])
    with pytest.raises(EvaluationError, match="there is no metric 'length'"):
        item_values(rows, "length", NAMED["length"])


def test_a_proportion_takes_only_right_and_wrong(table: Table) -> None:
    rows = table([{"form": "made", "scores": [("kind_a", 0.5)]}])
    with pytest.raises(EvaluationError, match="no usable 'kind_a'"):
        item_values(rows, "kind_a", NAMED["kind_a"])


def test_a_stratum_and_a_cluster_are_told_apart(table: Table) -> None:
    rows = table(
        [
            {"form": "letters", "stratum": s, "cluster": c, "score": 1.0, "gold": "A"}
            for s, c in (("law", "one"), ("law", "one"), ("sums", None))
        ]
    )
    values = item_values(rows, "accuracy")
    assert values.strata is not None
    assert values.strata.tolist() == [0, 0, 1]
    assert values.clusters is not None
    assert values.clusters.tolist() == [0, 0, 1]


def test_an_own_reader_goes_before_a_named_score_and_gives_way_where_its_form_is_absent(
    table: Table,
) -> None:
    both = {"form": "letters", "score": 1.0, "scores": [("accuracy", 0.0)]}
    assert point(item_values(table([both] * 2), "accuracy")) == 1.0
    other = {"form": "made", "score": 1.0, "scores": [("accuracy", 0.0)]}
    assert point(item_values(table([other] * 2), "accuracy", NAMED["kind_a"])) == 0.0
