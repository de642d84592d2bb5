from collections.abc import Callable
from typing import Any

import pytest

from tasks.errors import EvaluationError
from tasks.gates.pairing import pair
from tasks.scores import SuiteScores

Make = Callable[..., SuiteScores]


def scores(make: Make, digests: str = "pqrs", print_: str = "a", **about: Any) -> SuiteScores:
    rows = [
        {
            "form": "classification",
            "item_id": f"i{n}",
            "gold": "x",
            "prediction": "x",
            "score": 1.0,
            "prompt_digest": d,
        }
        for n, d in enumerate(digests)
    ]
    return make("voc", "classification", rows, ["x"], print_ * 64).model_copy(update=about)


def refusal(first: SuiteScores, second: SuiteScores) -> str:
    with pytest.raises(EvaluationError) as error:
        pair(first, second)
    return str(error.value)


def test_another_protocol_is_named_field_by_field(suite_scores: Make) -> None:
    first = scores(suite_scores, protocol={"shots": 0, "labels": ["x"]})
    second = scores(suite_scores, "PQRS", "b", protocol={"shots": 5, "labels": ["x"], "new": 1})
    said = refusal(first, second)
    assert "shots is 0 for the first and 5 for the second" in said
    assert "new is None for the first and 1 for the second" in said
    assert "labels" not in said
    assert "4 of 4 shared items have another prompt or gold answer" in said


def test_another_chat_template_is_named(suite_scores: Make) -> None:
    first = scores(suite_scores, made={"template": "one", "tokenizer": "same", "code": "c"})
    second = scores(
        suite_scores, "pqRS", "b", made={"template": "two", "tokenizer": "same", "code": "c"}
    )
    said = refusal(first, second)
    assert "2 of 4 shared items have another prompt" in said
    assert "(the chat templates differ)" in said


def test_items_are_named_with_the_side_that_lacks_them(suite_scores: Make) -> None:
    said = refusal(scores(suite_scores), scores(suite_scores, "pq", "b"))
    assert "2 items only in the first: i2 (classification), i3 (classification)" in said
    assert "fingerprint" not in said


def test_items_without_an_answer_are_no_basis_for_a_comparison(suite_scores: Make) -> None:
    said = refusal(scores(suite_scores), scores(suite_scores, errors=3))
    assert "3 items of the second were not answered" in said


def test_without_a_named_difference_the_fingerprints_are_told(suite_scores: Make) -> None:
    said = refusal(scores(suite_scores), scores(suite_scores, "pqrs", "b"))
    assert "fingerprint is aaaaaaaaaaaa for the first and bbbbbbbbbbbb" in said


def test_items_that_a_server_refuses_for_good_are_named_with_the_way_out(
    suite_scores: Make,
) -> None:
    reasons = ["HTTP 400: content filter", "HTTP 400: too long", "HTTP 503 (5 tries)", None]
    rows = [
        {
            "form": "classification",
            "item_id": f"i{n}",
            "gold": "x",
            "prediction": "x",
            "score": 1.0,
            "prompt_digest": "p",
            "error": why,
        }
        for n, why in enumerate(reasons)
    ]
    made = [
        suite_scores("voc", "classification", some, ["x"]).model_copy(update={"errors": errors})
        for some, errors in ((rows, 3), (rows[:2] + rows[3:], 2))
    ]
    said = refusal(made[0], made[0])
    assert "3 items of the first were not answered" in said
    assert (
        "refuses 2 of them for good (i0: HTTP 400: content filter; i1: HTTP 400: too long)" in said
    )
    assert "take them out of the suite's items, and evaluate both models again" in said
    assert "answered items are kept" in said
    assert "answered items are kept" not in refusal(made[1], made[1])
