"""How often gates pass what they must not, and whether their advice has the power it claims."""

from typing import NamedTuple

import numpy as np
from worlds import Drawn, Rng, World, ids

from configs.gates import Gate, HoldGate, ImproveGate
from tasks.gates.decision import Evidence, Outcome, decide
from tasks.gates.power import first_level, second_level
from tasks.metrics.paired import difference
from tasks.metrics.values import ItemValues

METRIC = "simulated/metric"


def hold(margin: float) -> HoldGate:
    """A hold gate at alpha 0.05."""
    return HoldGate(rule="hold", metric=METRIC, margin=margin)


def improve(by: float) -> ImproveGate:
    """An improve gate at alpha 0.05."""
    return ImproveGate(rule="improve", metric=METRIC, by=by)


def judged(gate: Gate, drawn: Drawn) -> Outcome:
    """Return what the gate says of one comparison, by the project's own functions."""
    found = difference(*drawn, 1 - 2 * gate.alpha)
    return decide(gate, Evidence(found, "higher", gate.alpha))


def pass_rate(gate: Gate, world: World, times: int, seed: int = 1) -> float:
    """Return the share of comparisons that pass."""
    rng = np.random.default_rng(seed)
    return (
        sum(judged(gate, world.draw(rng, world.n)).verdict == "PASS" for _ in range(times)) / times
    )


def pass_and_doubt(gate: Gate, world: World, times: int, seed: int = 1) -> tuple[float, float]:
    """Return the shares of comparisons that pass, and that have no interval to trust."""
    rng = np.random.default_rng(seed)
    passed = doubtful = 0
    for _ in range(times):
        found = difference(*world.draw(rng, world.n), 1 - 2 * gate.alpha)
        doubtful += found.doubt != ""
        passed += not found.doubt and found.low > _threshold(gate)
    return passed / times, doubtful / times


class Advice(NamedTuple):
    """What came of taking the advice of INCONCLUSIVE.

    Attributes:
        asked: Comparisons that were INCONCLUSIVE and named a number of items.
        median: Of the numbers named.
        decided: Share of new comparisons with that many items that were decided.
    """

    asked: int
    median: float
    decided: float


def hold_advice(gate: HoldGate, world: World, times: int, seed: int = 2) -> Advice:
    """Follow the advice where it takes no change for true, in a world where that is true."""
    rng = np.random.default_rng(seed)
    named, decided = [], []
    for _ in range(times):
        outcome = judged(gate, world.draw(rng, world.n))
        if outcome.needed_n is None or "no change for true" not in outcome.reason:
            continue
        named.append(outcome.needed_n)
        decided.append(judged(gate, world.draw(rng, outcome.needed_n)).verdict == "PASS")
    return Advice(len(named), float(np.median(named)), float(np.mean(decided)))


def seen_advice(gate: Gate, world: World, times: int, seed: int = 3) -> Advice:
    """Follow the advice where it takes the difference seen for true, in the world as it was seen.

    That world draws whole independent units, with replacement, from the comparison that was seen.
    Numbers beyond 20,000 items are left out.
    """
    rng = np.random.default_rng(seed)
    named, decided = [], []
    while len(named) < times:
        drawn = world.draw(rng, world.n)
        outcome = judged(gate, drawn)
        if outcome.verdict != "INCONCLUSIVE" or not outcome.needed_n or outcome.needed_n > 20_000:
            continue
        found = difference(*drawn, 0.9).value
        verdict = judged(gate, resampled(rng, drawn, outcome.needed_n)).verdict
        named.append(outcome.needed_n)
        decided.append(verdict == ("PASS" if found > _threshold(gate) else "FAIL"))
    return Advice(len(named), float(np.median(named)), float(np.mean(decided)))


def _threshold(gate: Gate) -> float:
    assert isinstance(gate, HoldGate | ImproveGate)
    return -gate.margin if isinstance(gate, HoldGate) else gate.by


def resampled(rng: Rng, drawn: Drawn, items: int) -> Drawn:
    """Return about ``items`` items drawn with replacement from both samples, clusters whole."""
    first, second = drawn
    at, clusters = _chosen(rng, first, items)
    return _at(first, at, clusters), _at(second, at, clusters)


def _chosen(rng: Rng, items: ItemValues, n: int) -> tuple[np.ndarray, np.ndarray | None]:
    if items.clusters is None:
        return rng.integers(0, len(items), n), None
    members = [np.flatnonzero(items.clusters == c) for c in range(int(items.clusters.max()) + 1)]
    chosen = rng.integers(0, len(members), max(round(n * len(members) / len(items)), 2))
    parts = [members[c] for c in chosen]
    return np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(p) for p in parts])


def _at(items: ItemValues, at: np.ndarray, clusters: np.ndarray | None) -> ItemValues:
    data = items.data
    arrays = {k: v[at] if isinstance(v, np.ndarray) else v for k, v in vars(data).items()}
    return ItemValues(ids(len(at)), type(data)(**arrays), clusters=clusters)


def two_looks_rate(gate: HoldGate | ImproveGate, world: World, times: int, seed: int = 4) -> float:
    """Return the share that passes at the first look or, on four times as many items, the second.

    The first look's items are a quarter of the second's; whole clusters where there are any.
    """
    rng = np.random.default_rng(seed)
    first = first_level(gate.alpha, 0.25)
    passed = 0
    for _ in range(times):
        everything = world.draw(rng, 4 * world.n)
        some = _quarter(everything)
        outcome = _look(gate, some, first)
        if outcome.verdict == "INCONCLUSIVE":
            fraction = len(some[0]) / len(everything[0])
            outcome = _look(gate, everything, second_level(gate.alpha, first, fraction))
        passed += outcome.verdict == "PASS"
    return passed / times


def _look(gate: Gate, drawn: Drawn, alpha: float) -> Outcome:
    return decide(gate, Evidence(difference(*drawn, 1 - 2 * alpha), "higher", alpha))


def _quarter(drawn: Drawn) -> Drawn:
    first, second = drawn
    if first.clusters is None:
        at = np.arange(0, len(first), 4)
        return _at(first, at, None), _at(second, at, None)
    at = np.flatnonzero(first.clusters % 4 == 0)
    return _at(first, at, first.clusters[at] // 4), _at(second, at, first.clusters[at] // 4)
