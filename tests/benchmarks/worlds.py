"""Pairs of models whose true difference is known, drawn item by item for simulations of gates."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import optimize

from tasks.metrics.f1 import INVALID, LabelledItems
from tasks.metrics.values import ItemValues, Numbers

Rng = np.random.Generator
Drawn = tuple[ItemValues, ItemValues]


class World(NamedTuple):
    """A design and the truth in it.

    Attributes:
        name: Of the design.
        n: Items of a draw.
        draw: Generator and number of items -> first and second model on the same items.
    """

    name: str
    n: int
    draw: Callable[[Rng, int], Drawn]


def binary(n: int, difference: float, discordance: float = 0.2) -> World:
    """Independent right-or-wrong items; the second is right more often by ``difference``."""
    gain, loss = (discordance + difference) / 2, (discordance - difference) / 2

    def draw(rng: Rng, items: int) -> Drawn:
        first, second = _flipped(rng, np.full(items, gain), np.full(items, loss))
        return _numbers(first), _numbers(second)

    return World(f"binary, {discordance:.0%} discordant", n, draw)


def clustered(n: int, difference: float, discordance: float = 0.2, size: int = 5) -> World:
    """Right-or-wrong items in dialogues of 1 to 2 ``size`` - 1 items that flip together.

    In half the dialogues gains are nearly twice as likely and losses rare, in the others the
    other way round: the variance is about 1.7 times that of independent items.
    """
    gain, loss = (discordance + difference) / 2, (discordance - difference) / 2

    def draw(rng: Rng, items: int) -> Drawn:
        sizes = rng.integers(1, 2 * size, max(round(items / size), 2))
        clusters = np.repeat(np.arange(len(sizes)), sizes)
        lean = rng.choice([-0.8, 0.8], len(sizes))[clusters]
        first, second = _flipped(rng, gain * (1 + lean), loss * (1 - lean))
        return _numbers(first, clusters), _numbers(second, clusters)

    return World(f"clustered, {size} items a dialogue", n, draw)


def rare(n: int, difference: float) -> World:
    """Means of values from 0 to 1 that hardly move, but for a few that move nearly all the way.

    The first model's values lie at the end from which the second's fall (or rise) by 0.95, just so
    often that the mean differs by ``difference``.
    """

    def draw(rng: Rng, items: int) -> Drawn:
        near = rng.uniform(0.0, 0.05, items)
        first, way = (1 - near, -1) if difference <= 0 else (near, 1)
        far = rng.random(items) < abs(difference) / 0.95
        still = np.clip(first + rng.normal(0, 1e-3, items), 0.0, 1.0)
        second = np.where(far, np.clip(first + way * 0.95, 0.0, 1.0), still)
        return tuple(ItemValues(ids(items), Numbers(v, span=(0.0, 1.0))) for v in (first, second))  # type: ignore[return-value]

    return World("mean, rare changes", n, draw)


def macro_f1(n: int, difference: float, classes: int, uneven: bool = False) -> World:
    """Single-label answers over ``classes`` labels, macro-F1 differing by ``difference``.

    Classes differ in difficulty (the first model knows 55 to 90 % of one); a wrong answer is the
    next label, any label or none of them. About a fifth of the items flip. Each class has as many
    items as the others, or, ``uneven``, five and a share that falls with its number.
    """
    model = _Answering(classes, _counts(n, classes, uneven), difference)

    def draw(rng: Rng, items: int) -> Drawn:
        return model.draw(rng, _counts(items, classes, uneven))

    return World(f"macro-F1, {classes} classes{', uneven' if uneven else ''}", n, draw)


class _Answering:
    """Two models' chances of each answer to each class."""

    def __init__(self, classes: int, counts: np.ndarray, difference: float) -> None:
        self.classes, self.counts = classes, counts
        self.known = 0.55 + 0.35 * np.arange(classes) / max(classes - 1, 1)
        rises = difference > 0
        other = 0.12 if rises else 0.3
        # The one free chance (of losing, or of gaining) is set to give the difference exactly.
        self.lose, self.gain = (None, other) if not rises else (other, None)
        found = optimize.brentq(lambda x: self._difference(x) - difference, 0.0, 0.9)
        self.lose, self.gain = (found, other) if not rises else (other, found)

    def _difference(self, x: float) -> float:
        lose = x if self.lose is None else self.lose
        gain = x if self.gain is None else self.gain
        after = self.known * (1 - lose) + (1 - self.known) * gain
        return self._population(after) - self._population(self.known)

    def _population(self, known: np.ndarray) -> float:
        """Return macro-F1 of endless items in the design's proportions."""
        wrong = self.counts * (1 - known)
        alarms = 0.5 * np.roll(wrong, 1)
        anywhere = 0.4 * wrong / (self.classes - 1)
        alarms = alarms + anywhere.sum() - anywhere
        hits = self.counts * known
        return float(np.mean(2 * hits / (hits + alarms + self.counts)))

    def draw(self, rng: Rng, counts: np.ndarray) -> Drawn:
        gold = np.repeat(np.arange(self.classes), counts)
        right = rng.random(len(gold)) < self.known[gold]
        keeps = rng.random(len(gold)) >= np.where(right, self.lose, self.gain)
        after = right == keeps
        first = np.where(right, gold, self._wrong(rng, gold))
        # A model that stays wrong mostly stays with its answer.
        stays = ~after & ~right & (rng.random(len(gold)) < 0.7)
        second = np.where(after, gold, np.where(stays, first, self._wrong(rng, gold)))
        return self._items(gold, first), self._items(gold, second)

    def _wrong(self, rng: Rng, gold: np.ndarray) -> np.ndarray:
        kind = rng.random(len(gold))
        shift = rng.integers(1, self.classes, len(gold))
        other = np.where(kind < 0.5, (gold + 1) % self.classes, (gold + shift) % self.classes)
        return np.where(kind < 0.9, other, INVALID)

    def _items(self, gold: np.ndarray, predicted: np.ndarray) -> ItemValues:
        return ItemValues(
            ids(len(gold)), LabelledItems(gold, predicted, ids(self.classes), "macro")
        )


def _counts(n: int, classes: int, uneven: bool) -> np.ndarray:
    """Return the items of each class; at least five of each are asked where n allows it."""
    share = 1 / np.arange(1, classes + 1) if uneven else np.ones(classes)
    least = min(5, n // classes)
    rest = n - least * classes
    parts = np.floor(rest * share / share.sum()).astype(np.int64)
    parts[: rest - parts.sum()] += 1
    return least + parts


def _flipped(rng: Rng, gain: np.ndarray, loss: np.ndarray) -> Drawn:
    """Return right (1) or wrong (0) answers of both; 60 % of what doesn't flip is right."""
    u = rng.random(len(gain))
    gained, lost = u < gain, (u >= gain) & (u < gain + loss)
    same = rng.random(len(gain)) < 0.6
    first = np.where(gained, False, np.where(lost, True, same))
    second = np.where(gained, True, np.where(lost, False, same))
    return first.astype(np.float64), second.astype(np.float64)


def _numbers(values: np.ndarray, clusters: np.ndarray | None = None) -> ItemValues:
    return ItemValues(ids(len(values)), Numbers(values, proportion=True), clusters=clusters)


@lru_cache(maxsize=16)
def ids(n: int) -> tuple[str, ...]:
    """Return ``n`` item ids."""
    return tuple(map(str, range(n)))
