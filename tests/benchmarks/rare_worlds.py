"""Pairs of models that differ where a spread hardly shows it: rare, skewed or uneven losses.

The second model is worse by exactly the margin in each, so that a gate that holds it to the
margin may pass 5 % of the draws.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import optimize
from worlds import Drawn, Rng, World, binary, ids

from tasks.metrics.f1 import INVALID, LabelledItems
from tasks.metrics.pooled import quotient
from tasks.metrics.values import ItemValues, Numbers, Ratio

Span = tuple[float, float] | None
LOG_PROBS: Span = (-12.0, 0.0)
BITS: Span = (0.0, 4.0)


def rare_class(counts: Sequence[int], margin: float, noise: float = 0.0) -> World:
    """Macro-F1 that falls by what the last class loses alone; ``noise`` flips others both ways."""
    counts_ = np.array(counts)
    gold = np.repeat(np.arange(len(counts_)), counts_)
    fallen = 1 - len(counts_) * margin  # F1 of the last class, that of the first model being 1
    recall = fallen / (2 - fallen)

    def draw(rng: Rng, items: int) -> Drawn:
        u = rng.random(len(gold))
        last = gold == len(counts_) - 1
        first = np.where(~last & (u < noise), INVALID, gold)
        second = np.where(~last & (u >= noise) & (u < 2 * noise), INVALID, gold)
        second = np.where(last & (u >= recall), INVALID, second)
        return _labelled(gold, first, len(counts_)), _labelled(gold, second, len(counts_))

    name = "+".join(map(str, counts)) if len(counts) < 4 else f"{counts[0]}+{len(counts) - 1} rare"
    return World(f"macro-F1, {name}{', noisy' if noise else ''}", int(counts_.sum()), draw)


def rare_classes(counts: Sequence[int], margin: float) -> World:
    """Macro-F1 that falls in all classes but the first, alike."""
    counts_ = np.array(counts)
    gold = np.repeat(np.arange(len(counts_)), counts_)
    k = len(counts_)
    fallen = 1 - k * margin / (k - 1)
    recall = fallen / (2 - fallen)

    def draw(rng: Rng, items: int) -> Drawn:
        lost = (gold > 0) & (rng.random(len(gold)) >= recall)
        return _labelled(gold, gold, k), _labelled(gold, np.where(lost, INVALID, gold), k)

    return World(f"macro-F1, {counts[0]}+{k - 1} rare, all fall", int(counts_.sum()), draw)


def _labelled(gold: np.ndarray, predicted: np.ndarray, classes: int) -> ItemValues:
    data = LabelledItems(gold, predicted, tuple(ids(classes)), "macro")
    return ItemValues(ids(len(gold)), data)


def rare_loss(n: int, share: float, loss: float, span: Span = LOG_PROBS) -> World:
    """Log-probabilities of which a ``share`` lose ``loss`` nats; the others hardly move."""

    def draw(rng: Rng, items: int) -> Drawn:
        first = _log_probs(rng, items)
        moved = rng.normal(0, 0.02, items) - loss * (rng.random(items) < share)
        return _means(first, first + moved, span)

    told = "" if span else ", ends unknown"
    return World(f"log-prob, {share:.0%} lose {loss:g} nats{told}", n, draw)


def log_normal(n: int, mean: float, sigma: float = 1.5, span: Span = LOG_PROBS) -> World:
    """Log-probabilities whose losses are log-normal with that mean."""

    many = np.random.default_rng(0)
    before, sizes = _log_probs(many, 400_000), np.exp(many.normal(0, sigma, 400_000))

    def lost(scale: float) -> float:
        after = before - scale * sizes
        return float((before - (after if span is None else after.clip(*span))).mean())

    # What lies beyond the ends isn't lost, so the scale is a little larger than without ends.
    exact = mean / math.exp(sigma**2 / 2)
    scale = exact if span is None else optimize.brentq(lambda x: lost(x) - mean, 0, 9 * exact)

    def draw(rng: Rng, items: int) -> Drawn:
        first = _log_probs(rng, items)
        return _means(first, first - scale * np.exp(rng.normal(0, sigma, items)), span)

    told = "" if span else ", ends unknown"
    return World(f"log-prob, log-normal losses{told}", n, draw)


def _log_probs(rng: Rng, items: int) -> np.ndarray:
    return np.maximum(-rng.gamma(2.0, 1.0, items), -6.0)


def rare_bits(n: int, share: float, loss: float, span: Span = BITS) -> World:
    """Bits per byte of texts of uneven lengths, of which a share cost ``loss`` more."""

    def draw(rng: Rng, items: int) -> Drawn:
        sizes = np.round(rng.gamma(3.0, 150.0, items) + 20)
        first = rng.normal(0.8, 0.1, items).clip(0.4, 0.95)
        second = first + rng.normal(0, 0.01, items) + loss * (rng.random(items) < share)
        # Lower is better; a gate of the simulation takes higher for better.
        return tuple(  # type: ignore[return-value]
            ItemValues(ids(items), _ratio(-bits * sizes, sizes, span)) for bits in (first, second)
        )

    told = "" if span else ", ends unknown"
    return World(f"bits per byte, {share:.0%} cost {loss:g} more{told}", n, draw)


def _ratio(top: np.ndarray, bottom: np.ndarray, span: Span) -> Ratio:
    return Ratio(top, bottom) if span is None else Ratio(top, bottom, (-span[1], -span[0]))


def uneven_clusters(
    sizes: Sequence[int], difference: float, proportion: bool = True, within: float = 0.8
) -> World:
    """Items in clusters that change together, of these sizes."""
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    g = len(sizes)

    def draw(rng: Rng, items: int) -> Drawn:
        if proportion:
            gain, loss = (0.2 + difference) / 2, (0.2 - difference) / 2
            lean = rng.choice([-within, within], g)[clusters]
            u = rng.random(len(clusters))
            gained = u < gain * (1 + lean)
            lost = (u >= gain * (1 + lean)) & (u < gain * (1 + lean) + loss * (1 - lean))
            same = rng.random(len(clusters)) < 0.6
            first = np.where(gained, 0.0, np.where(lost, 1.0, same))
            second = np.where(gained, 1.0, np.where(lost, 0.0, same))
            return _clustered(first, clusters, True), _clustered(second, clusters, True)
        first = rng.normal(0, 1, len(clusters))
        moved = rng.normal(0, 1, g)[clusters] * within + rng.normal(0, 0.6, len(clusters))
        return _clustered(first, clusters), _clustered(first + moved + difference, clusters)

    biggest = max(sizes) / sum(sizes)
    kind = "right or wrong" if proportion else "means"
    name = f"{g} clusters of {kind}, the largest {biggest:.0%}"
    return World(name, sum(sizes), draw)


def zipf(clusters: int, n: int) -> list[int]:
    """Return sizes that fall with their rank, at least 1, about ``n`` together."""
    shares = 1 / np.arange(1, clusters + 1)
    return [max(1, int(x)) for x in np.round(n * shares / shares.sum())]


def _clustered(values: np.ndarray, clusters: np.ndarray, proportion: bool = False) -> ItemValues:
    data = Numbers(values.astype(np.float64), proportion=proportion)
    return ItemValues(ids(len(values)), data, clusters=clusters)


def uneven_strata(few: int, many: int, difference: float, spread: float = 15.0) -> World:
    """Means in two strata, the one of few items varying far more."""
    strata = np.repeat([0, 1], [few, many])

    def draw(rng: Rng, items: int) -> Drawn:
        first = rng.normal(0, 1, few + many)
        moved = rng.normal(difference, np.where(strata == 0, spread, 0.3))
        return tuple(  # type: ignore[return-value]
            ItemValues(ids(few + many), Numbers(v), strata=strata) for v in (first, first + moved)
        )

    return World(f"strata of {few} and {many}", few + many, draw)


def resampled_losses(n: int, pool: np.ndarray, margin: float, span: Span) -> World:
    """Pairs drawn from real ones, shape (items, 2); the first is moved so that the mean falls just
    so."""
    shift = float((pool[:, 1] - pool[:, 0]).mean()) + margin

    def draw(rng: Rng, items: int) -> Drawn:
        at = rng.integers(0, len(pool), items)
        return _means(pool[at, 0] + shift, pool[at, 1], None if span is None else span)

    told = "" if span else ", ends unknown"
    return World(f"real losses drawn again{told}", n, draw)


def low_discordance(n: int, margin: float, discordance: float) -> World:
    """Right-or-wrong items of which hardly any change."""
    return binary(n, -margin, discordance)


def imperfect_lists(n: int, wrong: float) -> World:
    """Lists of labels of which a share is wrong: micro F1 of 1 less about that share."""

    def draw(rng: Rng, items: int) -> Drawn:
        meant = rng.integers(1, 5, items).astype(np.float64)
        right = np.where(rng.random(items) < wrong, 0.0, meant)
        data = quotient(list(2 * right), list(2 * meant))
        one = ItemValues(ids(items), data)
        return one, one

    return World(f"lists of labels, {wrong:.0%} wrong", n, draw)


def skewed_values(
    n: int, draw_values: Callable[[Rng, int], np.ndarray], name: str, span: Span
) -> World:
    """One model's skewed values, for a floor exactly at their mean."""

    def draw(rng: Rng, items: int) -> Drawn:
        one = ItemValues(ids(items), Numbers(draw_values(rng, items), span=span))
        return one, one

    return World(f"{name}{'' if span else ', ends unknown'}", n, draw)


def _means(first: np.ndarray, second: np.ndarray, span: Span) -> Drawn:
    if span is not None:
        first, second = np.clip(first, *span), np.clip(second, *span)
    return tuple(ItemValues(ids(len(v)), Numbers(v, span=span)) for v in (first, second))  # type: ignore[return-value]
