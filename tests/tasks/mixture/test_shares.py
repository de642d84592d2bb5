import re
from fractions import Fraction

import pytest
from budgets import examples
from hypothesis import event, given, settings
from hypothesis import strategies as st

from configs.mixture import Mixture, MixtureSize
from tasks.errors import InsufficientData
from tasks.mixture.shares import Supply, apportion, compute_shares, count_total, plan_quotas

NAMES = st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=10, unique=True)


def supply(name="d", role="domain", weight=1.0, units=100):
    return Supply(name, role, weight, units)


def quotas(asked, supplies):
    """The units to draw from each source over all stages."""
    stages = plan_quotas(asked, supplies)
    return {s.name: sum(stage[s.name] for stage in stages) for s in supplies}


def mixture(**fields):
    return Mixture(**{"size": MixtureSize(domain_epochs=1), "domain_share": 0.5, **fields})


def test_weights_are_relative_within_their_role():
    supplies = [supply(), supply("x", "general", 3), supply("y", "general", 1)]
    got = compute_shares(mixture(domain_share=0.6), supplies).whole
    assert got == {"d": Fraction(3, 5), "x": Fraction(3, 10), "y": Fraction(1, 10)}


def test_a_domain_share_of_one_gives_the_general_role_nothing():
    shares = compute_shares(mixture(domain_share=1.0), [supply(), supply("x", "general")])
    assert shares.whole == {"d": 1, "x": 0}


@given(NAMES, st.integers(0, 10_000), st.data())
def test_rounded_parts_sum_to_the_total_and_stay_within_one(names, total, data):
    weights = [data.draw(st.integers(1, 1000)) for _ in names]
    parts = {n: Fraction(w, sum(weights)) for n, w in zip(names, weights, strict=True)}
    got = apportion(total, parts)
    assert sum(got.values()) == total
    assert all(abs(got[n] - total * parts[n]) < 1 for n in names)


def test_ties_go_to_the_name_that_sorts_first():
    parts = {"b": Fraction(1, 2), "a": Fraction(1, 2)}
    assert apportion(1, parts) == {"a": 1, "b": 0}


def test_domain_epochs_give_every_ratio_the_same_domain_data():
    for share in (0.25, 0.5, 0.75, 1.0):
        supplies = [supply(units=90), supply("g", "general", units=10_000)]
        got = quotas(mixture(size=MixtureSize(domain_epochs=2), domain_share=share), supplies)
        assert got["d"] == 180


def test_a_shortage_names_the_source_the_most_it_has_and_the_fixes():
    with pytest.raises(InsufficientData, match="'g' must give 100.*can give 30.*on_shortage"):
        quotas(mixture(), [supply(), supply("g", "general", units=30)])


def test_shrinking_keeps_the_shares():
    supplies = [supply(), supply("g", "general", units=30)]
    assert quotas(mixture(on_shortage="shrink"), supplies) == {"d": 30, "g": 30}


def test_repeating_goes_up_to_max_epochs_and_no_further():
    supplies = [supply(), supply("g", "general", units=30)]
    assert quotas(mixture(on_shortage="repeat"), supplies) == {"d": 100, "g": 100}
    with pytest.raises(InsufficientData, match="max_epochs"):
        quotas(mixture(on_shortage="repeat", max_epochs=3), supplies)


def test_a_source_that_would_get_nothing_is_an_error():
    supplies = [supply(), supply("g", "general", 1e-4, 9), supply("h", "general", 1, 900)]
    with pytest.raises(InsufficientData, match="'g' has a positive share but gets 0"):
        quotas(mixture(), supplies)


def test_a_source_made_to_measure_is_never_short():
    supplies = [supply(), supply("r", "general", units=None)]
    assert quotas(mixture(), supplies) == {"d": 100, "r": 100}


def test_weights_from_size_count_large_sources_for_less_as_the_temperature_rises():
    supplies = [supply(), supply("x", "general", units=1600), supply("y", "general", units=100)]
    sections = {t: mixture(weight_from="size", temperature=t) for t in (1, 2)}
    got = {t: compute_shares(section, supplies).whole for t, section in sections.items()}
    assert got[1]["x"] / got[1]["y"] == 16
    assert got[2]["x"] / got[2]["y"] == 4


SCHEDULE = [{"until": 0.25, "domain_share": 0.2}, {"until": 1, "domain_share": 0.8}]


def test_a_schedule_sums_to_the_whole_and_keeps_domain_epochs():
    asked = mixture(schedule=SCHEDULE, on_shortage="repeat")
    supplies = [supply(units=130), supply("g", "general", units=500)]
    assert compute_shares(asked, supplies).whole["d"] == Fraction(13, 20)
    assert quotas(asked, supplies) == {"d": 130, "g": 70}
    assert plan_quotas(asked, supplies) == [{"d": 10, "g": 40}, {"d": 120, "g": 30}]


ENDS = st.lists(st.integers(1, 99), min_size=1, max_size=4, unique=True)
PERCENTS = st.lists(st.integers(1, 100), min_size=5, max_size=5)


@given(ENDS, PERCENTS, st.integers(20_000, 10**6))
def test_stages_sum_to_the_quota_of_each_source(ends, percents, units):
    stages = [
        {"until": e / 100, "domain_share": p / 100}
        for e, p in zip([*sorted(ends), 100], percents, strict=False)
    ]
    asked = mixture(schedule=stages, on_shortage="repeat", max_epochs=1000)
    supplies = [supply(units=units), supply("g", "general", 2.0, units=10**9)]
    shares = compute_shares(asked, supplies)
    whole = apportion(count_total(asked, supplies, shares), shares.whole)
    assert quotas(asked, supplies) == whole
    stages = plan_quotas(asked, supplies)
    assert all(quota >= 0 for stage in stages for quota in stage.values())


def test_stages_that_overlap_or_end_early_are_refused():
    for ends in ((0.5, 0.4), (0.5, 0.5, 1), (0.5, 0.9)):
        with pytest.raises(ValueError, match="the last at 1"):
            mixture(schedule=[{"until": e, "domain_share": 0.5} for e in ends])


SECTIONS = st.fixed_dictionaries(
    {
        "domain_share": st.sampled_from([0.1, 0.25, 0.5, 0.9]),
        "on_shortage": st.sampled_from(["error", "repeat"]),
        "max_epochs": st.sampled_from([2, 4]),
        "size": st.one_of(
            st.builds(lambda n: MixtureSize(budget=n), st.integers(40, 100_000)),
            st.builds(lambda n: MixtureSize(domain_epochs=n), st.sampled_from([0.5, 1, 2])),
        ),
    }
)
UNITS = st.lists(st.integers(1, 5_000), min_size=2, max_size=8)


def _changes(fix):
    """Return what the fix of an error says to set, each as a person would apply it."""
    for part in fix.split("; or "):
        change = {}
        if budget := re.search(r"mixture.size to \{budget: (\d+)\}", part):
            change["size"] = {"budget": int(budget[1])}
        if policy := re.search(r"on_shortage: (\w+)", part):
            change["on_shortage"] = policy[1]
        if epochs := re.search(r"max_epochs: (\d+)", part):
            change["max_epochs"] = int(epochs[1])
        if change:
            yield change


@settings(max_examples=examples(1_000), deadline=None)
@given(SECTIONS, UNITS, st.lists(st.integers(1, 50), min_size=8, max_size=8))
def test_what_a_shortage_says_to_set_works_when_it_is_set(fields, units, weights):
    names = [f"s{i}" for i in range(len(units))]
    supplies = [
        Supply(name, "domain" if i == 0 else "general", weight, size)
        for i, (name, weight, size) in enumerate(zip(names, weights, units, strict=False))
    ]
    asked = mixture(**fields)
    try:
        quotas(asked, supplies)
    except InsufficientData as error:
        changes = list(_changes(error.fix))
        event(f"{len(changes)} changes named")
        given_fields = asked.model_dump()
        for change in changes:
            got = quotas(Mixture.model_validate(given_fields | change), supplies)
            assert all(got[n] > 0 for n in names)
        if "can give" in str(error):
            assert changes


def test_a_shortage_says_how_often_and_how_much():
    supplies = [supply(), supply("g", "general", units=15)]
    with pytest.raises(InsufficientData) as caught:
        quotas(mixture(), supplies)
    assert "mixture.on_shortage: repeat and mixture.max_epochs: 7" in caught.value.fix
    assert "leaves 30 of 200 supervised_tokens" in caught.value.fix


@pytest.mark.parametrize("units", [(0, 0), (0, 50), (50, 0)])
def test_sources_that_nothing_is_left_of_are_named_and_no_size_is_advised(units):
    domain, general = supply(units=units[0]), supply("g", "general", units=units[1])
    with pytest.raises(InsufficientData) as refusal:
        plan_quotas(mixture(size=MixtureSize(budget=100), domain_share=0.5), [domain, general])
    empty = domain if units[0] == 0 else general
    assert f"'{empty.name}'" in refusal.value.message
    assert "mixture.size" not in refusal.value.fix
    assert "bring more of its data" in refusal.value.fix
