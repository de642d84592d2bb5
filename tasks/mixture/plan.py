"""The plan: position -> (source, row, epoch), a pure function of quotas, sizes and seed."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.errors import InsufficientData
from tasks.mixture.order import fair_order
from tasks.mixture.permute import permuted
from tasks.text.keyed import key_of

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """Which row stands at each position.

    Attributes:
        names: Source names; ``source`` indexes them.
        source: int64, one a position.
        row: int64, index into the source's tokenised rows.
        epoch: int64, 0 for the first pass over the source.
    """

    names: tuple[str, ...]
    source: Ints
    row: Ints
    epoch: Ints

    def __len__(self) -> int:
        """Return the number of positions."""
        return len(self.source)

    def digest(self) -> str:
        """Return the SHA-256 of the plan's logical content."""
        state = hashlib.sha256("\x1f".join(self.names).encode())
        for column in (self.source, self.row, self.epoch):
            state.update(column.astype("<i8").tobytes())
        return state.hexdigest()


def make_plan(
    quotas: Mapping[str, int], sizes: Mapping[str, Ints], seed: int, rows_exact: bool
) -> Plan:
    """Return the plan that draws each quota.

    Args:
        quotas: Units to draw from each source.
        sizes: Units of each row of each source (all 1 when the unit is rows).
        seed: The recipe's seed; keys derive from it, the source's name and the epoch.
        rows_exact: The unit is rows, so quotas are met exactly; else to the nearest row.
    """
    names = tuple(sorted(n for n in quotas if quotas[n]))
    drawn = {n: _draw(n, quotas[n], sizes[n], seed, rows_exact) for n in names}
    order = fair_order({n: sizes[n][rows] if not rows_exact else np.ones(len(rows), np.int64)
                        for n, (rows, _) in drawn.items()})  # fmt: skip
    source = np.array([names.index(n) for n in order], dtype=np.int64)
    row, epoch = np.empty_like(source), np.empty_like(source)
    for i, n in enumerate(names):
        row[source == i], epoch[source == i] = drawn[n]
    return Plan(names, source, row, epoch)


def _draw(name: str, quota: int, sizes: Ints, seed: int, rows_exact: bool) -> tuple[Ints, Ints]:
    n, one_pass = len(sizes), int(sizes.sum())
    if one_pass == 0:
        raise InsufficientData(f"source '{name}' has no row to draw.", where=f"sources.{name}",
                               fix="look at its verdict: `temper check` says why.")  # fmt: skip
    passes = -(-quota // one_pass) + 1
    rows = np.concatenate([permuted(np.arange(n), n, key_of(seed, name, e)) for e in range(passes)])
    epochs = np.repeat(np.arange(passes), n)
    count = quota if rows_exact else _nearest(np.cumsum(sizes[rows]), quota)
    return rows[:count], epochs[:count]


def _nearest(cumulative: Ints, quota: int) -> int:
    """Return how many rows come nearest to the quota; the smaller number on a tie, at least 1."""
    above = int(np.searchsorted(cumulative, quota))
    below_sum = int(cumulative[above - 1]) if above else 0
    nearer_above = int(cumulative[above]) - quota < quota - below_sum
    return max(above + 1 if nearer_above else above, 1)
