from collections.abc import Callable
from typing import Any

from tasks.scores import SuiteScores
from tasks.tracking.scorecard.classes import classes, classes_record, letters, worst_classes

Scores = Callable[..., SuiteScores]


def one(gold: str, said: str | None) -> dict[str, Any]:
    return {
        "form": "classification",
        "gold": gold,
        "prediction": said,
        "score": float(gold == said),
    }


def letter(right: str, said: str) -> dict[str, Any]:
    return {
        "form": "letters",
        "gold": right,
        "prediction": said,
        "gold_index": "AB".index(right),
        "score": float(right == said),
        "choice_logprobs": [-1.0, -2.0] if said == "A" else [-2.0, -1.0],
    }


def test_worst_classes_stand_beside_the_base(suite_scores: Scores) -> None:
    base = suite_scores("voc", "classification", [one("a", "a"), one("b", "b"), one("b", "a")])
    new = suite_scores("voc", "classification", [one("a", "a"), one("b", "a"), one("b", "a")])
    (found,) = classes([base], [new])
    assert [(c.candidate.label, c.candidate.f1) for c in found.worst] == [("b", 0.0), ("a", 0.5)]
    assert [round(c.base.f1, 3) for c in found.worst if c.base] == [0.667, 0.667]
    (taken,) = found.taken
    assert (taken.candidate.gold, taken.candidate.said) == ("b", "a")
    assert (taken.candidate.times, taken.base) == (2, 1)
    assert classes_record([found])[0]["confusions"] == [
        {"gold": "b", "said": "a", "times": 2, "base": 1}
    ]


def test_letters_show_who_says_one_alone(suite_scores: Scores) -> None:
    base = suite_scores("mmlu", "mmlu", [letter("A", "A"), letter("B", "B")])
    new = suite_scores("mmlu", "mmlu", [letter("A", "A"), letter("B", "A")])
    (found,) = letters([base], [new])
    assert found.shares == {"A": (0.5, 0.5, 1.0), "B": (0.5, 0.5, 0.0)}
    assert classes([base], [new]) == []


def test_a_suite_that_only_one_model_took_is_left_out(suite_scores: Scores) -> None:
    base = suite_scores("voc", "classification", [one("a", "a"), one("b", "b")])
    assert classes([base], []) == letters([base], []) == []


def test_one_model_has_its_worst_classes(suite_scores: Scores) -> None:
    rows = [one("a", "a"), one("b", "a"), one("c", "c"), one("c", "a")]
    scores = suite_scores("voc", "classification", rows)
    assert [line.label for line in worst_classes(scores, 2)] == ["b", "a"]
    asked = suite_scores("mmlu", "mmlu", [letter("A", "A"), letter("B", "A")])
    assert worst_classes(asked) == []
