from collections.abc import Callable

from tasks.gates.compare import SHOWN, flips
from tasks.gates.pairing import pair
from tasks.scores import SuiteScores

Make = Callable[..., SuiteScores]
GOLD = ["a", "b"] * 10


def scores(make: Make, predicted: list[str | None]) -> SuiteScores:
    rows = [
        {
            "form": "classification",
            "gold": g,
            "prediction": p,
            "score": float(g == p),
            "item_id": f"i{i:02d}",
            "raw_output": f"I say {p} " + "x" * 1000,
        }
        for i, (g, p) in enumerate(zip(GOLD, predicted, strict=True))
    ]
    return make("voc", "classification", rows, ["a", "b"])


def test_lost_items_come_before_won_ones_with_what_both_said(suite_scores: Make) -> None:
    first = scores(suite_scores, [None, *GOLD[1:]])
    second = scores(suite_scores, [*GOLD[:5], "a", "b", "a", "b", "a", *GOLD[10:]])
    found = flips("voc", pair(first, second), 3)
    assert [(f.item_id, f.lost) for f in found] == [
        ("i05", True),
        ("i06", True),
        ("i07", True),
        ("i00", False),
    ]
    assert (found[0].gold, found[0].first.prediction, found[0].second.prediction) == ("b", "b", "a")
    assert found[3].first.prediction is None
    assert found[0].first.output is not None
    assert found[0].first.output.startswith("I say b")
    assert len(found[0].first.output) == SHOWN
    assert flips("voc", pair(first, first), 3) == []
