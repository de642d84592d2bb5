"""The plan: position -> (source, row, epoch), a pure function of quotas, sizes and seed."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.errors import InsufficientData
from tasks.mixture.order import Feed, draw_rows, order_rows, order_units
from tasks.mixture.permute import permuted
from tasks.storage import write_text
from tasks.text.keyed import key_of

Ints = npt.NDArray[np.int64]
INTERVAL = 65_536
"""Positions between two cursors: the most that is replayed to reach any position."""


class Part(NamedTuple):
    """A run of positions.

    Attributes:
        start: Its first position.
        source: int16, index into the plan's names, one a position.
        row: int64, index into the source's tokenised rows.
        epoch: int32, 0 for the first pass over the source.
    """

    start: int
    source: npt.NDArray[np.int16]
    row: Ints
    epoch: npt.NDArray[np.int32]


class Cursor(NamedTuple):
    """Where a plan stands: all that is needed to go on from here.

    Attributes:
        stage: Which stage of the schedule is being drawn.
        taken: Rows drawn so far, a source.
        used: Units drawn so far in this stage, a source.
    """

    stage: int
    taken: tuple[int, ...]
    used: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """Which row stands at each position; any range of it, without the rest.

    Attributes:
        names: Source names; ``source`` indexes them.
        feeds: What the order draws from, one a stage of the schedule.
        cursors: Where each interval begins; grows as the plan is walked over.
    """

    names: tuple[str, ...]
    feeds: tuple[Feed, ...]
    cursors: list[Cursor] = field(default_factory=list)

    def __len__(self) -> int:
        """Return the number of positions."""
        return int(self.feeds[-1].draws.sum())

    def part(self, start: int, stop: int) -> Part:
        """Return the positions from ``start`` to before ``stop``."""
        stop = min(stop, len(self))
        first = start - start % INTERVAL
        shape = max(stop - first, 0)
        source, epoch = np.empty(shape, np.int16), np.empty(shape, np.int32)
        row = np.empty(shape, np.int64)
        for at in range(first, stop, INTERVAL):
            cut = slice(at - first, min(at + INTERVAL, stop) - first)
            cursor = self._reach(at // INTERVAL)
            after = self._walk(cursor, source[cut])
            if cut.stop - cut.start == INTERVAL and len(self.cursors) == at // INTERVAL + 1:
                self.cursors.append(after)
            draw_rows(
                self.feeds[-1], np.array(cursor.taken, np.int64), source[cut], row[cut], epoch[cut]
            )
        skip = start - first
        return Part(start, source[skip:], row[skip:], epoch[skip:])

    def parts(self, size: int) -> Iterator[Part]:
        """Yield the whole plan in runs of ``size`` positions."""
        for start in range(0, len(self), size):
            yield self.part(start, start + size)

    def digest(self) -> str:
        """Return the SHA-256 of the plan's logical content."""
        state = hashlib.sha256("\x1f".join(self.names).encode())
        for part in self.parts(INTERVAL):
            for column, kind in ((part.source, "<i2"), (part.row, "<i8"), (part.epoch, "<i4")):
                state.update(column.astype(kind, copy=False).tobytes())
        return state.hexdigest()

    def _reach(self, number: int) -> Cursor:
        """Return the cursor of an interval, walking over those before it if nobody has yet."""
        if not self.cursors:
            self.cursors.append(Cursor(0, (0,) * len(self.names), (0,) * len(self.names)))
        while len(self.cursors) <= number:
            self.cursors.append(self._walk(self.cursors[-1], np.empty(INTERVAL, np.int16)))
        return self.cursors[number]

    def _walk(self, cursor: Cursor, source: npt.NDArray[np.int16]) -> Cursor:
        """Fill the sources of the positions from a cursor on; return where that ends."""
        stage, taken, used = cursor.stage, np.array(cursor.taken, np.int64), cursor.used
        done = 0
        while done < len(source):
            feed = self.feeds[stage]
            order = order_units if len(feed.sizes) else order_rows
            starts = _starts(feed, used)
            done += order(feed, taken, starts, source[done:])
            used = tuple(starts[2].tolist())
            if done < len(source):
                stage, used = stage + 1, (0,) * len(self.names)
        return Cursor(stage, tuple(taken.tolist()), used)


def _starts(feed: Feed, used: Sequence[int]) -> Ints:
    """Return when each source's next row starts, used * total / quota, rounded up, and its part."""
    total = int(feed.quota.sum())
    whole = [-(-u * total // max(q, 1)) for u, q in zip(used, feed.quota.tolist(), strict=True)]
    part = [
        u * total - (w - 1) * max(q, 1)
        for u, w, q in zip(used, whole, feed.quota.tolist(), strict=True)
    ]
    return np.array([whole, part, used], np.int64)


def make_plan(
    quotas: Sequence[Mapping[str, int]], sizes: Mapping[str, Ints], seed: int, rows_exact: bool
) -> Plan:
    """Return the plan that draws each quota.

    Args:
        quotas: Units to draw from each source, for every stage of the schedule in turn.
        sizes: Units of each row of each source (all 1 when the unit is rows).
        seed: The recipe's seed; keys derive from it, the source's name and the epoch.
        rows_exact: The unit is rows, so quotas are met exactly; else to the nearest row.

    Raises:
        InsufficientData: A source that must give something has no row.
    """
    names = tuple(sorted({n for stage in quotas for n, quota in stage.items() if quota}))
    keys = {n: key_of(seed, n) for n in names}
    for name in names:
        if not sizes[name].any():
            raise InsufficientData(
                f"source '{name}' has no row to draw.",
                where=f"sources.{name}",
                fix="look at its verdict: `temper check` says why.",
            )
    stock = _stock([sizes[n] for n in names], rows_exact)
    feeds, asked = [], dict.fromkeys(names, 0)
    for stage in quotas:
        asked = {n: asked[n] + stage.get(n, 0) for n in names}
        draws = [asked[n] if rows_exact else _draws(asked[n], sizes[n], keys[n]) for n in names]
        quota = np.array([stage.get(n, 0) for n in names], np.int64)
        key = np.array([keys[n] for n in names], np.uint64)
        feeds.append(Feed(quota, np.array(draws, np.int64), stock[0], key, stock[1], stock[2]))
    return Plan(names, tuple(feeds))


def _stock(sizes: Sequence[Ints], rows_exact: bool) -> tuple[Ints, Ints, npt.NDArray[np.int32]]:
    """Return rows and offset of each source, and all row sizes one after the other."""
    rows = np.array([len(s) for s in sizes], np.int64)
    if rows_exact or not len(rows):
        return rows, np.zeros(len(rows), np.int64), np.empty(0, np.int32)
    return rows, np.cumsum(rows) - rows, np.concatenate(sizes).astype(np.int32)


def _draws(quota: int, sizes: Ints, key: int) -> int:
    """Return how many rows come nearest to a quota; the smaller number on a tie, at least 1."""
    one_pass = int(sizes.sum())
    passes, rest = divmod(quota, one_pass)
    if rest == 0:
        return passes * len(sizes)
    rows = permuted(len(sizes), len(sizes), key, passes)
    cumulative = np.cumsum(sizes[rows])
    above = int(np.searchsorted(cumulative, rest))
    below_sum = int(cumulative[above - 1]) if above else 0
    nearer_above = int(cumulative[above]) - rest < rest - below_sum
    return max(passes * len(sizes) + above + nearer_above, 1)


def write_cursors(path: Path, plan: Plan) -> None:
    """Write the cursors that a walk over the plan left, so that others can begin anywhere."""
    write_text(path, json.dumps({"interval": INTERVAL, "cursors": plan.cursors}))


def read_cursors(path: Path) -> list[Cursor]:
    """Return cursors as ``write_cursors`` wrote them."""
    found = json.loads(path.read_text())["cursors"]
    return [Cursor(stage, tuple(taken), tuple(used)) for stage, taken, used in found]
