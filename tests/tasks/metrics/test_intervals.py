import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from tasks.metrics.intervals import (
    Error,
    exact_proportion,
    jackknife_error,
    mcnemar,
    mean_error,
    newcombe,
    no_flips,
    paired_score,
    pool_singletons,
    quantile,
    t_half_width,
    t_quantile,
    t_widths,
    tango,
    wilson,
)

levels = st.sampled_from([0.8, 0.9, 0.95, 0.99])


@st.composite
def paired_counts(draw: st.DrawFn) -> tuple[int, int, int]:
    gained, lost = draw(st.integers(0, 60)), draw(st.integers(0, 60))
    return gained, lost, gained + lost + draw(st.integers(1 if gained + lost == 0 else 0, 200))


@given(n=st.integers(1, 500), share=st.floats(0, 1), level=levels)
def test_wilson_equals_statsmodels(n: int, share: float, level: float) -> None:
    k = round(share * n)
    theirs = proportion_confint(k, n, alpha=1 - level, method="wilson")
    assert wilson(k, n, level) == pytest.approx(theirs, abs=1e-9)
    assert wilson(k, n, level).low <= k / n <= wilson(k, n, level).high


def tango_by_quartic(gained: int, lost: int, n: int, level: float) -> tuple[float, float]:
    """The closed form of Yang, Sun and Hardin 2012 (Stat. Med. 32:1336), by its polynomial."""
    z2, d, s = quantile(level) ** 2, gained - lost, gained + lost
    k = n / z2
    powers = [
        n**2 * (k + 1) ** 2,
        -n * d * (k + 1) * (4 * k + 1),
        2 * n * d**2 * (3 * k + 2) / z2 - n**2 * (s / z2 + 1),
        n * d * (2 * s / z2 + 1) - d**3 * (4 * k + 1) / z2,
        d**2 * (d**2 / z2 - s) / z2,
    ]
    real = [r.real for r in np.roots(powers) if abs(r.imag) < 1e-6]
    return min(real), max(real)


@pytest.mark.parametrize("counts", [(40, 20, 160), (1, 7, 21), (12, 2, 50), (5, 0, 40), (3, 9, 12)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_tango_equals_its_published_closed_form(counts: tuple[int, int, int], level: float) -> None:
    assert tango(*counts, level) == pytest.approx(tango_by_quartic(*counts, level), abs=1e-6)


@pytest.mark.parametrize(("gained", "lost", "n"), [(7, 3, 40), (0, 6, 30), (15, 15, 100)])
def test_tango_inverts_the_likelihood_score_test(gained: int, lost: int, n: int) -> None:
    """At each end, the statistic at a numerically maximised nuisance parameter is the quantile."""
    for end in tango(gained, lost, n):

        def loss(q: float, delta: float = end) -> float:
            cells = ((gained, q + delta), (lost, q), (n - gained - lost, 1 - 2 * q - delta))
            return -sum(k * math.log(max(p, 1e-300)) for k, p in cells if k)

        lowest, highest = max(0.0, -end), (1 - end) / 2
        q = optimize.minimize_scalar(
            loss, bounds=(lowest, highest), method="bounded", options={"xatol": 1e-10}
        ).x
        score = (gained - lost - n * end) / math.sqrt(n * (2 * q + end * (1 - end)))
        assert abs(score) == pytest.approx(quantile(0.95), abs=1e-3)


@given(counts=paired_counts(), level=levels)
def test_tango_contains_the_difference_and_mirrors_under_swapping(
    counts: tuple[int, int, int], level: float
) -> None:
    gained, lost, n = counts
    low, high = tango(gained, lost, n, level)
    assert -1 <= low <= (gained - lost) / n <= high <= 1
    assert tango(lost, gained, n, level) == pytest.approx((-high, -low), abs=1e-7)


@given(counts=paired_counts(), times=st.integers(2, 5))
def test_intervals_narrow_with_more_of_the_same_items(
    counts: tuple[int, int, int], times: int
) -> None:
    gained, lost, n = counts
    low, high = tango(gained, lost, n)
    more_low, more_high = tango(times * gained, times * lost, times * n)
    assert more_high - more_low <= high - low
    few, many = wilson(gained, n), wilson(times * gained, times * n)
    assert many.high - many.low <= few.high - few.low
    assert no_flips(times * n) < no_flips(n)


@given(n=st.integers(1, 1000), level=levels)
def test_without_flips_tango_is_as_wide_as_the_floor_of_bounded_statistics(
    n: int, level: float
) -> None:
    floor = no_flips(n, level)
    assert tango(0, 0, n, level) == pytest.approx((-floor, floor), abs=1e-7)
    assert wilson(0, n, level).high == pytest.approx(floor)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=50), levels)
def test_a_plain_mean_has_students_interval(values: list[float], level: float) -> None:
    half = t_half_width(mean_error(np.array(values), None, None), level)
    low, high = DescrStatsW(values).tconfint_mean(alpha=1 - level)
    assert half == pytest.approx((high - low) / 2, rel=1e-6, abs=1e-6)


def test_the_clustered_error_is_the_jackknife_over_whole_clusters() -> None:
    rng = np.random.default_rng(0)
    clusters = np.unique(rng.integers(0, 12, 80), return_inverse=True)[1]
    values = rng.normal(size=80) + rng.normal(size=12)[clusters]
    without = np.array([values[clusters != c].mean() for c in range(clusters.max() + 1)])
    g = len(without)
    by_hand = math.sqrt((g - 1) / g * ((without - without.mean()) ** 2).sum())
    sizes = np.bincount(clusters)
    worth = sizes.sum() ** 2 / (sizes**2).sum()
    error = mean_error(values, None, clusters)
    assert error[:2] == pytest.approx((by_hand, worth - 1))
    assert worth < g


def test_a_stratum_of_three_that_varies_most_has_its_own_two_degrees_of_freedom() -> None:
    rng = np.random.default_rng(3)
    strata = np.repeat([0, 1], [3, 200])
    values = rng.normal(size=203) * np.where(strata == 0, 500.0, 1.0)
    assert mean_error(values, strata, None).df == pytest.approx(2, abs=0.1)


def test_clusters_of_one_item_give_the_plain_error() -> None:
    values = np.random.default_rng(1).normal(size=30)
    assert mean_error(values, None, np.arange(30)) == pytest.approx(mean_error(values, None, None))


def test_strata_leave_out_what_lies_between_them() -> None:
    strata = np.repeat(np.arange(4), 10)
    values = np.random.default_rng(2).normal(size=40) + 5.0 * strata
    error = mean_error(values, strata, None)
    by_hand = sum(10 * values[strata == s].var(ddof=1) for s in range(4)) / 40**2
    own = [10 * values[strata == s].var(ddof=1) for s in range(4)]
    satterthwaite = sum(own) ** 2 / sum(v**2 / 9 for v in own)
    assert error[:2] == pytest.approx((math.sqrt(by_hand), satterthwaite))
    assert 9 <= error.df <= 36
    assert error.se < mean_error(values, None, None).se / 3


@pytest.mark.parametrize(
    ("strata", "pooled"),
    [
        ([0, 0, 1, 2, 3, 3], [[0, 1], [2, 3], [4, 5]]),
        ([0, 0, 0, 1, 1, 2], [[0, 1, 2], [3, 4, 5]]),
        ([0, 1, 2], [[0, 1, 2]]),
        ([7, 7], [[0, 1]]),
    ],
)
def test_strata_of_one_item_are_pooled(strata: list[int], pooled: list[list[int]]) -> None:
    part = pool_singletons(np.array(strata))
    groups = [np.flatnonzero(part == g).tolist() for g in range(part.max() + 1)]
    assert sorted(groups) == pooled


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=40))
def test_the_jackknife_of_a_mean_is_its_usual_error(values: list[float]) -> None:
    array = np.array(values)
    without = (array.sum() - array) / (len(array) - 1)
    assert jackknife_error(without).se == pytest.approx(stats.sem(array), rel=1e-6, abs=1e-9)


def test_an_error_of_zero_has_no_width() -> None:
    assert t_half_width(Error(0.0, 0.0)) == 0.0


@given(counts=paired_counts(), level=levels)
def test_the_judging_interval_is_never_narrower_than_tangos(
    counts: tuple[int, int, int], level: float
) -> None:
    gained, lost, n = counts
    low, high = paired_score(gained, lost, n, level)
    plain = tango(gained, lost, n, level)
    assert -1 <= low <= plain.low + 1e-9
    assert plain.high - 1e-9 <= high <= 1
    assert paired_score(lost, gained, n, level) == pytest.approx((-high, -low), abs=1e-9)


def rejection_rate(n: int, difference: float, discordance: float) -> tuple[float, float]:
    """How often each interval's 95 % lower end is above a true difference; by enumeration."""
    lost, gained = np.meshgrid(np.arange(n + 1), np.arange(n + 1))
    gain, loss = (discordance + difference) / 2, (discordance - difference) / 2
    counts = np.stack([gained, lost, n - gained - lost], axis=-1)
    chance = stats.multinomial.pmf(counts, n, [gain, loss, 1 - discordance])
    likely = [(int(g), int(w)) for g, w in np.argwhere(chance > 1e-7)]
    return tuple(  # type: ignore[return-value]
        sum(chance[g, w] for g, w in likely if of(g, w, n, 0.9).low > difference)
        for of in (tango, paired_score)
    )


@pytest.mark.parametrize(
    ("n", "difference", "discordance"),
    [
        (100, 0.03, 0.04),
        (100, 0.1, 0.1),
        (100, 0.02, 0.04),
        (100, -0.1, 0.1),
        (100, -0.05, 0.2),
        (100, 0.0, 0.2),
        (200, 0.015, 0.02),
    ],
)
def test_the_judging_interval_keeps_its_level_where_tangos_does_not(
    n: int, difference: float, discordance: float
) -> None:
    plain, judging = rejection_rate(n, difference, discordance)
    assert judging <= min(plain, 0.056)
    if (n, difference) in ((100, 0.03), (100, 0.1), (200, 0.015)):
        assert plain > 0.07


def test_newcombes_interval_is_that_of_his_table() -> None:
    """Newcombe 1998 (Stat. Med. 17:2635), table II, column a: 36 both, 12, 2 and 0 discordant."""
    assert newcombe(12, 2, 36, 50) == pytest.approx((0.0569, 0.3404), abs=5e-5)


@given(counts=paired_counts(), share=st.floats(0, 1))
def test_newcombes_interval_agrees_with_the_one_that_judges(
    counts: tuple[int, int, int], share: float
) -> None:
    gained, lost, n = (20 * c for c in counts)
    both = round(share * (n - gained - lost))
    hybrid, score = newcombe(gained, lost, both, n), paired_score(gained, lost, n)
    assert hybrid == pytest.approx(score, abs=0.12)
    assert hybrid.low <= (gained - lost) / n <= hybrid.high


@given(gained=st.integers(0, 60), lost=st.integers(0, 60))
def test_the_mid_p_value_is_the_exact_one_less_half_of_what_was_seen(
    gained: int, lost: int
) -> None:
    table = [[10, gained], [lost, 10]]
    exact = sm_mcnemar(table, exact=True).pvalue
    seen = stats.binom.pmf(min(gained, lost), gained + lost, 0.5)
    whole = 2 * stats.binom.cdf(min(gained, lost), gained + lost, 0.5)
    assert mcnemar(gained, lost) == pytest.approx(min(whole - seen, 1.0))
    assert mcnemar(gained, lost) <= exact + 1e-12


@given(n=st.integers(1, 500), share=st.floats(0, 1), level=levels)
def test_the_exact_interval_equals_statsmodels(n: int, share: float, level: float) -> None:
    k = round(share * n)
    theirs = proportion_confint(k, n, alpha=1 - level, method="beta")
    assert exact_proportion(k, n, level) == pytest.approx(theirs, abs=1e-9)


@given(level=levels, df=st.floats(1, 500))
def test_quantiles_are_scipys(level: float, df: float) -> None:
    assert t_quantile(level, df) == pytest.approx(stats.t.ppf(level, df), rel=1e-9)
    assert t_quantile(level, math.inf) == pytest.approx(stats.norm.ppf(level))


def test_a_skewed_estimate_reaches_further_where_it_would_miss() -> None:
    losses = np.array([-1.0] * 3 + [0.0] * 27)
    error = mean_error(losses, None, None)
    assert error.lean == pytest.approx(stats.skew(losses) / 6 / math.sqrt(30))
    below, above = t_widths(error)
    assert above == t_half_width(error)
    assert below > 1.2 * above
    assert t_widths(mean_error(-losses, None, None)) == pytest.approx((above, below))
