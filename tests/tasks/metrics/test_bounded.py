import numpy as np
import pytest

from tasks.errors import EvaluationError
from tasks.metrics.bounded import by_unit, effective, unseen
from tasks.metrics.correction import power, power_range, share
from tasks.metrics.intervals import no_flips, paired_score
from tasks.metrics.paired import above, difference, interval, point
from tasks.metrics.values import ItemValues, Numbers

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
        assert found.variance == pytest.approx(span[1] ** 2 / 30)
        assert above(same, 0.0, 0.9).low <= 0.4 * span[1] * (1 - no_flips(30, 0.9))


def test_a_range_that_is_not_known_is_as_wide_as_what_was_seen() -> None:
    same = items([2.0, 6.0] * 15, None)
    assert difference(same, same, 0.9).low <= -4 * no_flips(30, 0.9)


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
