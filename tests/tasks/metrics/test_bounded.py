from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import EvaluationError
from tasks.metrics.bounded import by_unit, carriers, effective, effective_units, unseen
from tasks.metrics.correction import power, power_range, share
from tasks.metrics.f1 import LabelledItems
from tasks.metrics.intervals import no_flips, paired_score
from tasks.metrics.label_sets import HIT, LabelSets
from tasks.metrics.paired import above, difference, interval, point
from tasks.metrics.pooled import quotient
from tasks.metrics.values import ItemValues, Numbers, Ratio, clipped, clipped_ratio

ENDS = (0.0, 1.0)


def items(values: list[float], span: tuple[float, float] | None = ENDS, **more: bool) -> ItemValues:
    ids = tuple(str(i) for i in range(len(values)))
    return ItemValues(ids, Numbers(np.array(values, dtype=float), span=span, **more))


def corrected(seen: list[int]) -> ItemValues:
    return items([share(bool(s)) for s in seen], None, corrected=True)


def test_values_that_are_all_0_or_1_are_a_proportion_whatever_they_were_declared() -> None:
    before, after = [1.0] * 60, [0.0] * 2 + [1.0] * 58
    declared = difference(items(before), items(after), 0.9)
    assert (declared.low, declared.high) == pytest.approx(paired_score(0, 2, 60, 0.9))
    assert (declared.gained, declared.lost) == (0, 2)
    one_apart = difference(items(before), items([0.5, *after[1:]]), 0.9)
    assert one_apart.gained is None


def test_nothing_that_moved_leaves_the_doubt_of_rare_moves_on_the_metrics_scale() -> None:
    for span in ((0.0, 1.0), (0.0, 100.0)):
        same = items([0.4 * span[1]] * 30, span)
        found = difference(same, same, 0.9)
        assert found.high == -found.low >= span[1] * no_flips(30, 0.9)
        assert found.high == pytest.approx(span[1] * (1 - 0.05 ** (1 / 30)))
        assert above(same, 0.0, 0.9).low <= 0.4 * span[1] * (1 - no_flips(30, 0.9))


def test_a_range_that_is_not_known_is_as_wide_as_what_was_seen() -> None:
    same = items([2.0, 6.0] * 15, None)
    found = difference(same, same, 0.9)
    assert found.low <= -4 * no_flips(30, 0.9)
    assert "declares no ends" in found.doubt
    assert not difference(items([2.0, 6.0] * 150, None), items([2.0, 6.0] * 150, None)).doubt


def test_hardly_any_movement_does_not_hide_that_one_item_fell_far() -> None:
    rng = np.random.default_rng(1)
    before = rng.uniform(0.9, 1.0, 200)
    after = np.clip(before + rng.normal(0, 1e-3, 200), 0, 1)
    after[0] = 0.0
    assert difference(items(list(before)), items(list(after)), 0.9).low < -0.02
    assert 1 <= effective(after - before) < 1.1
    assert effective(np.array([0.2, -0.2, 0.0, 0.2])) == pytest.approx(3)


def test_what_dialogues_add_keeps_the_mean() -> None:
    moved, of = np.array([1.0, 0.0, -0.5, 0.25]), np.array([0, 0, 0, 1])
    assert by_unit(moved, of).mean() == pytest.approx(moved.mean())
    assert unseen(np.zeros(20), 0.5, 0.0, 0.9) == pytest.approx((-0.5 * (1 - 0.05 ** (1 / 20)), 0))


def test_a_corrected_floor_has_the_interval_of_the_scorecard() -> None:
    all_refused = corrected([1] * 5)
    assert point(all_refused) == 1.0
    found = above(all_refused, 0.99, 0.95)
    low, high = interval(all_refused, 0.95)
    assert (found.low, found.high) == pytest.approx((low - 0.99, high - 0.99))
    assert low == pytest.approx(0.545, abs=0.001)
    assert found.low < 0 < found.high


def test_corrected_differences_are_of_the_marks_over_the_detectors_power() -> None:
    before, after = [1] * 60 + [0] * 40, [1] * 45 + [0] * 55
    found = difference(corrected(before), corrected(after), 0.9)
    raw = paired_score(0, 15, 100, 0.9)
    assert found.value == pytest.approx(-0.15 / power())
    weak, strong = power_range(0.9)
    assert weak < power() < strong
    assert (found.low, found.high) == pytest.approx((raw.low / weak, raw.high / strong))
    same = difference(corrected([0, 1, 0, 1, 1]), corrected([0, 1, 0, 1, 1]), 0.9)
    assert same.low < -0.3


def test_a_threshold_that_the_detectors_doubt_covers_names_no_number_of_items() -> None:
    seen = corrected([1] * 450 + [0] * 550)
    assert above(seen, point(seen) - 0.01, 0.9).variance == np.inf
    assert np.isfinite(above(seen, 0.2, 0.9).variance)


def test_values_of_another_detector_are_refused() -> None:
    with pytest.raises(EvaluationError, match="other error rates"):
        interval(items([0.9, -0.1, 0.9], None, corrected=True))


def labelled(gold: list[int], predicted: list[int], average: str = "macro") -> ItemValues:
    labels = tuple(f"class {i}" for i in range(max(gold) + 1))
    data = LabelledItems(np.array(gold), np.array(predicted), labels, average)  # type: ignore[arg-type]
    return ItemValues(tuple(str(i) for i in range(len(gold))), data)


@given(st.lists(st.integers(5, 60), min_size=2, max_size=9), st.sampled_from([0.9, 0.95]))
def test_macro_f1_is_never_surer_than_its_rarest_class_allows(
    counts: list[int], confidence: float
) -> None:
    gold = [label for label, n in enumerate(counts) for _ in range(n)]
    same = labelled(gold, gold)
    found = difference(same, same, confidence)
    rarest = min(counts)
    open_ = (1 - ((1 - confidence) / 2) ** (1 / rarest)) / len(counts)
    assert found.low <= -open_ + 1e-12
    assert found.high >= open_ - 1e-12
    if found.unseen is not None and found.unseen.label is not None:
        assert counts[int(found.unseen.label.removeprefix("class "))] == rarest


def test_items_without_an_error_are_no_certainty_whatever_the_metric() -> None:
    """Twelve perfect items can't show a floor of .98, however they are scored."""
    rng = np.random.default_rng(0)
    meant = list(rng.integers(1, 6, 12).astype(float))
    ids = tuple(str(i) for i in range(12))
    gold = [0, 1, 2] * 4
    bags = LabelSets(np.array([[g] for g in gold]), np.full((12, 1), HIT), ("a", "b", "c"))
    weighted = LabelSets(bags.codes, bags.kinds, bags.labels, "weighted")
    for data in (
        quotient([2 * m for m in meant], [2 * m for m in meant]),
        bags,
        weighted,
        *(labelled(gold, gold, average).data for average in ("macro", "micro", "weighted")),
        Numbers(np.ones(12), span=(0.0, 1.0)),
        Numbers(np.ones(12), proportion=True),
    ):
        perfect = ItemValues(ids, data)
        assert above(perfect, 0.98, 0.9).low < 0
        assert above(perfect, 0.7, 0.9).low > 0 or getattr(data, "average", "") == "macro"
        assert difference(perfect, perfect, 0.9).low < -0.2


def test_values_beyond_the_ends_count_as_at_them_and_are_told() -> None:
    data = clipped(Numbers(np.array([-20.0, -3.0, -1.0, -15.0])), (-12.0, 0.0))
    assert list(data.values) == [-12, -3, -1, -12]
    assert (data.clipped, data.span) == (0.5, (-12.0, 0.0))
    ratio = clipped_ratio(Ratio(np.array([50.0, 8.0]), np.array([10.0, 8.0])), (0.0, 4.0))
    assert list(ratio.numerator) == [40, 8]
    assert ratio.clipped == 0.5


def test_one_dialogue_that_holds_half_of_the_items_leaves_nothing_to_judge_by() -> None:
    clusters = np.repeat(np.arange(51), [50] + [1] * 50)
    one = ItemValues(tuple(map(str, range(100))), Numbers(np.ones(100), True), clusters=clusters)
    assert effective_units(one) == pytest.approx(100**2 / (50**2 + 50))
    assert "worth 3.92 of one size" in difference(one, one).doubt
    alike = replace(one, clusters=np.repeat(np.arange(20), 5))
    assert effective_units(alike) == pytest.approx(20)
    assert difference(alike, alike).doubt == ""


def test_who_carries_half_the_spread_is_counted() -> None:
    assert carriers(np.array([0.0] * 97 + [-9.0, 9.0, 0.1])) == 1
    assert carriers(np.array([1.0, -1.0] * 10)) == 10
    assert carriers(np.zeros(5)) == 0
