"""Metrics that are no mean over items: computed from sums over all of them, and without each."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tasks.metrics.arrays import Floats, Ints


@dataclass(frozen=True)
class Pooled(ABC):
    """What such a metric needs of every item; the first axis of every array is the items.

    ``bounded`` says that the value lies between 0 and 1.
    """

    bounded: ClassVar[bool] = True

    @abstractmethod
    def value(self) -> float:
        """Return the metric over all items."""

    @abstractmethod
    def without_each(self, units: Ints | None = None) -> Floats:
        """Return the metric without each unit in turn, float64, shape (units,).

        Args:
            units: Unit of each item (0-based codes); None: every item is one.
        """

    @abstractmethod
    def held(self) -> Floats:
        """Return what is known of each item, float64, shape (items, values)."""


@dataclass(frozen=True)
class Sums(Pooled):
    """A function of column sums: ``columns`` is float64, shape (items, columns)."""

    columns: Floats

    def held(self) -> Floats:
        """Return the columns."""
        return self.columns

    @abstractmethod
    def of(self, sums: Floats) -> Floats:
        """Return the metric of each row of sums, shape (rows, columns) -> (rows,)."""

    def value(self) -> float:
        """Return the metric over all items."""
        return float(self.of(self.columns.sum(axis=0)[None])[0])

    def without_each(self, units: Ints | None = None) -> Floats:
        """Return the metric without each unit in turn, float64, shape (units,)."""
        parts = self.columns if units is None else sums_by(units, self.columns)
        return self.of(self.columns.sum(axis=0)[None] - parts)


@dataclass(frozen=True)
class Quotient(Sums):
    """One sum over another, between 0 and 1; 0 where that is 0 / 0. Two columns."""

    def of(self, sums: Floats) -> Floats:
        """Return numerator over denominator."""
        return divided(sums[:, 0], sums[:, 1])


def quotient(numerator: Sequence[float], denominator: Sequence[float]) -> Quotient:
    """Return the quotient of two columns, a value an item each."""
    return Quotient(np.column_stack([numerator, denominator]).astype(np.float64))


def divided(top: Floats, bottom: Floats) -> Floats:
    """Return ``top / bottom``, 0 where that is 0 / 0."""
    return np.asarray(np.divide(top, bottom, out=np.zeros_like(bottom * 1.0), where=bottom > 0))


def sums_by(units: Ints, columns: Floats) -> Floats:
    """Return column sums of each unit, shape (units, columns)."""
    out = np.zeros((int(units.max()) + 1, columns.shape[1]))
    np.add.at(out, units, columns)
    return out
