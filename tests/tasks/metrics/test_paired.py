import math

import numpy as np
import pytest
from budgets import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import EvaluationError
from tasks.metrics.f1 import Average, LabelledItems
from tasks.metrics.paired import Difference, difference, interval, point
from tasks.metrics.values import ItemValues, Numbers, Ratio

LABELS = tuple("abcde")
AVERAGES: tuple[Average, ...] = ("macro", "micro", "weighted")


def ids(n: int) -> tuple[str, ...]:
    return tuple(f"i{i}" for i in range(n))


def numbers(values: list[float], proportion: bool = False) -> ItemValues:
    return ItemValues(ids(len(values)), Numbers(np.array(values, dtype=float), proportion))


def labelled(gold: np.ndarray, predicted: np.ndarray, average: Average = "macro") -> ItemValues:
    return ItemValues(ids(len(gold)), LabelledItems(gold, predicted, LABELS, average))


@st.composite
def samples(draw: st.DrawFn) -> tuple[ItemValues, ItemValues]:
    """Two samples of one kind over the same items."""
    n = draw(st.integers(2, 30))
    kind = draw(st.sampled_from(["mean", "proportion", "ratio", "f1"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    if kind == "mean":
        return numbers(list(rng.normal(size=n))), numbers(list(rng.normal(size=n)))
    if kind == "proportion":
        a, b = rng.integers(0, 2, (2, n)).astype(float)
        return numbers(list(a), True), numbers(list(b), True)
    if kind == "ratio":
        sizes = rng.integers(1, 50, n).astype(float)
        one, two = (ItemValues(ids(n), Ratio(rng.uniform(1, 9, n) * sizes, sizes)) for _ in "ab")
        return one, two
    gold, average = rng.integers(0, 5, n), draw(st.sampled_from(AVERAGES))
    one, two = (labelled(gold, rng.integers(-1, 5, n), average) for _ in "ab")
    return one, two


@given(samples())
def test_an_interval_contains_its_value(pair: tuple[ItemValues, ItemValues]) -> None:
    low, high = interval(pair[0])
    assert low <= point(pair[0]) <= high


@given(samples(), st.sampled_from([0.8, 0.95]))
def test_a_difference_mirrors_when_the_two_swap_places(
    pair: tuple[ItemValues, ItemValues], level: float
) -> None:
    there, back = difference(*pair, level), difference(*pair[::-1], level)
    assert (back.value, back.low, back.high) == pytest.approx(
        (-there.value, -there.high, -there.low), abs=1e-7
    )
    assert (back.gained, back.lost) == (there.lost, there.gained)
    assert there.low <= there.value <= there.high


@given(samples())
def test_a_wider_confidence_gives_a_wider_interval(pair: tuple[ItemValues, ItemValues]) -> None:
    narrow, wide = difference(*pair, 0.8), difference(*pair, 0.99)
    assert wide.low <= narrow.low
    assert narrow.high <= wide.high


@given(samples())
def test_more_of_the_same_items_narrow_a_difference(pair: tuple[ItemValues, ItemValues]) -> None:
    once, thrice = difference(*pair), difference(*(tiled(x, 3) for x in pair))
    assert thrice.high - thrice.low <= once.high - once.low + 1e-12


def tiled(items: ItemValues, times: int) -> ItemValues:
    data = items.data
    fields = {
        k: np.tile(v, times) if isinstance(v, np.ndarray) else v for k, v in vars(data).items()
    }
    return ItemValues(ids(len(items) * times), type(data)(**fields))


def test_equal_f1_predictions_still_leave_doubt() -> None:
    gold = np.arange(20) % 5
    same = labelled(gold, gold)
    found = difference(same, same)
    assert found.value == 0
    # Five classes of four items each: one of them may lose as much unseen as all twenty.
    assert found.low == pytest.approx(-(1 - 0.025 ** (1 / 20)), abs=1e-4)
    assert interval(same).low < 1


def test_pairing_removes_what_the_two_share() -> None:
    rng = np.random.default_rng(3)
    hard = rng.normal(scale=5, size=200)
    found = difference(numbers(list(hard)), numbers(list(hard + rng.normal(0.2, 0.1, 200))))
    assert found.low > 0.15
    assert found.high < 0.25


def test_dependent_items_widen_every_kind_of_interval() -> None:
    rng = np.random.default_rng(4)
    clusters = np.repeat(np.arange(20), 10)
    right = np.repeat(rng.integers(0, 2, 20), 10)
    gold = rng.integers(0, 5, 200)
    nats = np.repeat(rng.uniform(1, 9, 20), 10)
    for data in (
        Numbers(right.astype(float), True),
        Numbers(nats),
        Ratio(nats, np.full(200, 3.0)),
        LabelledItems(gold, np.where(right == 1, gold, (gold + 1) % 5), LABELS, "macro"),
    ):
        plain = interval(ItemValues(ids(200), data))
        joined = interval(ItemValues(ids(200), data, clusters=clusters))
        assert joined.high - joined.low > 2 * (plain.high - plain.low)


def test_a_single_item_has_no_interval() -> None:
    with pytest.raises(EvaluationError, match="at least two"):
        interval(numbers([1.0], True))
    one_dialogue = ItemValues(ids(3), Numbers(np.ones(3)), clusters=np.zeros(3, dtype=np.int64))
    with pytest.raises(EvaluationError, match="at least two"):
        difference(one_dialogue, one_dialogue)


def coverage(truth: float, found: list[Difference]) -> float:
    return float(np.mean([d.low <= truth <= d.high for d in found]))


@pytest.mark.parametrize("average", AVERAGES)
def test_f1_differences_cover_the_truth(average: Average) -> None:
    """Two classifiers of known quality, 100 items; the truth is their F1 on 400,000."""
    rng = np.random.default_rng(5)

    def draw(n: int) -> tuple[ItemValues, ItemValues]:
        gold = rng.choice(5, n, p=[0.4, 0.2, 0.2, 0.1, 0.1])
        noise, hard = rng.integers(-1, 5, n), rng.random(n)
        one, two = (np.where(hard + rng.normal(0, 0.2, n) < q, gold, noise) for q in (0.5, 0.6))
        return labelled(gold, one, average), labelled(gold, two, average)

    large = draw(400_000)
    truth = point(large[1]) - point(large[0])
    assert 0.92 <= coverage(truth, [difference(*draw(100)) for _ in range(400)]) <= 0.98


def test_stratified_means_cover_the_truth() -> None:
    rng = np.random.default_rng(6)
    strata = np.repeat(np.arange(20), 3)
    middle = rng.normal(size=20)

    def draw() -> Difference:
        base = middle[strata] + rng.normal(size=60)
        moved = base + 0.3 * middle[strata] + rng.standard_t(4, 60) + 0.5
        one, two = (ItemValues(ids(60), Numbers(x), strata=strata) for x in (base, moved))
        return difference(one, two)

    truth = 0.5 + 0.3 * float(middle.mean())
    assert 0.92 <= coverage(truth, [draw() for _ in range(500)]) <= 0.98


def test_ratios_of_uneven_texts_cover_the_truth() -> None:
    rng = np.random.default_rng(7)

    def draw() -> Difference:
        sizes = rng.lognormal(5, 0.6, 60)
        rate = rng.gamma(20, 0.05, 60)
        one = ItemValues(ids(60), Ratio(rate * sizes, sizes))
        two = ItemValues(ids(60), Ratio((rate + rng.normal(0.05, 0.1, 60)) * sizes, sizes))
        return difference(one, two)

    assert 0.91 <= coverage(0.05, [draw() for _ in range(500)]) <= 0.98


@settings(max_examples=examples(20))
@given(st.sampled_from([0.05, 0.2]), st.sampled_from([50, 300]))
def test_a_truly_worse_model_passes_a_margin_no_more_often_than_alpha(
    discordance: float, n: int
) -> None:
    """Exact: the chance that the lower bound clears the true difference, over all outcomes."""
    from scipy.stats import multinomial

    from tasks.metrics.intervals import tango

    true = -discordance / 2
    gain, loss = (discordance + true) / 2, (discordance - true) / 2
    passed, most = 0.0, math.ceil(n * discordance + 8 * math.sqrt(n * discordance))
    for lost in range(0, min(n, most), 1):
        for gained in range(0, min(n - lost, most // 2) + 1):
            mass = multinomial.pmf(
                [gained, lost, n - gained - lost], n, [gain, loss, 1 - gain - loss]
            )
            if mass > 1e-6 and tango(gained, lost, n, 0.9).low > true:
                passed += float(mass)
    assert passed <= 0.06
