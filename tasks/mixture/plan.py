"""The plan: position -> (source, row, epoch), a pure function of quotas, sizes and seed."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.errors import InsufficientData
from tasks.mixture.order import Ints, StageQuota, draw_rows, order_rows, order_units, permute
from tasks.storage import write_text
from tasks.text.keyed import key_of

INTERVAL = 65_536
"""Positions between two cursors: the most that is replayed to reach any position."""


class PlannedRows(NamedTuple):
    """Which rows stand at a run of positions.

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
        stages: What the order draws from, one for each stage of the schedule.
        cursors: Where each interval begins; grows as the plan is walked over.
    """

    names: tuple[str, ...]
    stages: tuple[StageQuota, ...]
    cursors: list[Cursor] = field(default_factory=list)

    def __len__(self) -> int:
        """Return the number of positions."""
        return int(self.stages[-1].draws.sum())

    def rows(self, start: int, stop: int) -> PlannedRows:
        """Return the rows of the positions from ``start`` to before ``stop``."""
        stop = min(stop, len(self))
        first = start - start % INTERVAL
        shape = max(stop - first, 0)
        source, epoch = np.empty(shape, np.int16), np.empty(shape, np.int32)
        row = np.empty(shape, np.int64)
        for at in range(first, stop, INTERVAL):
            cut = slice(at - first, min(at + INTERVAL, stop) - first)
            cursor = self._find_cursor(at // INTERVAL)
            after = self._order_sources(cursor, source[cut])
            if cut.stop - cut.start == INTERVAL and len(self.cursors) == at // INTERVAL + 1:
                self.cursors.append(after)
            taken = np.array(cursor.taken, np.int64)
            draw_rows(self.stages[-1], taken, source[cut], row[cut], epoch[cut])
        skip = start - first
        return PlannedRows(start, source[skip:], row[skip:], epoch[skip:])

    def batches(self, size: int) -> Iterator[PlannedRows]:
        """Yield the whole plan in runs of ``size`` positions."""
        for start in range(0, len(self), size):
            yield self.rows(start, start + size)

    def digest(self) -> str:
        """Return the SHA-256 of the plan's logical content."""
        state = hashlib.sha256("\x1f".join(self.names).encode())
        for rows in self.batches(INTERVAL):
            update_digest(state, rows)
        return state.hexdigest()

    def _find_cursor(self, number: int) -> Cursor:
        """Return the cursor of an interval, walking over those before it if nobody has yet."""
        if not self.cursors:
            self.cursors.append(Cursor(0, (0,) * len(self.names), (0,) * len(self.names)))
        while len(self.cursors) <= number:
            self.cursors.append(self._order_sources(self.cursors[-1], np.empty(INTERVAL, np.int16)))
        return self.cursors[number]

    def _order_sources(self, cursor: Cursor, source: npt.NDArray[np.int16]) -> Cursor:
        """Fill the sources of the positions from a cursor on; return where that ends."""
        number, taken, used = cursor.stage, np.array(cursor.taken, np.int64), cursor.used
        done = 0
        while done < len(source):
            stage = self.stages[number]
            order = order_units if len(stage.sizes) else order_rows
            starts = _find_starts(stage, used)
            done += order(stage, taken, starts, source[done:])
            used = tuple(starts[2].tolist())
            if done < len(source):
                number, used = number + 1, (0,) * len(self.names)
        return Cursor(number, tuple(taken.tolist()), used)


def update_digest(state: Any, rows: PlannedRows) -> None:
    """Take a run of positions into a digest of the plan."""
    for column, kind in ((rows.source, "<i2"), (rows.row, "<i8"), (rows.epoch, "<i4")):
        state.update(column.astype(kind, copy=False).tobytes())


def _find_starts(stage: StageQuota, used: Sequence[int]) -> Ints:
    """Return when each source's next row starts, used * total / quota, rounded up, and its part."""
    total = int(stage.quota.sum())
    quota = [max(q, 1) for q in stage.quota.tolist()]
    whole = [-(-u * total // q) for u, q in zip(used, quota, strict=True)]
    part = [u * total - (w - 1) * q for u, w, q in zip(used, whole, quota, strict=True)]
    return np.array([whole, part, used], np.int64)


def make_plan(
    quotas: Sequence[Mapping[str, int]],
    sizes: Mapping[str, Ints],
    seed: int,
    rows_exact: bool,
    draws: Sequence[Sequence[int]] | None = None,
) -> Plan:
    """Return the plan that draws each quota.

    Args:
        quotas: Units to draw from each source, for every stage of the schedule in turn.
        sizes: Units of each row of each source (all 1 when the unit is rows).
        seed: The recipe's seed; keys derive from it, the source's name and the epoch.
        rows_exact: The unit is rows, so quotas are met exactly; else to the nearest row.
        draws: Rows drawn from each source (by name) at the end of each stage, where they are known.

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
    rows = np.array([len(sizes[n]) for n in names], np.int64)
    offset, all_sizes = np.zeros(len(names), np.int64), np.empty(0, np.int32)
    if names and not rows_exact:
        offset = np.cumsum(rows) - rows
        all_sizes = np.concatenate([sizes[n] for n in names]).astype(np.int32)
    stages, asked = [], dict.fromkeys(names, 0)
    for number, stage in enumerate(quotas):
        asked = {n: asked[n] + stage.get(n, 0) for n in names}
        if draws is not None:
            drawn = list(draws[number])
        elif rows_exact:
            drawn = list(asked.values())
        else:
            drawn = [_count_draws(asked[n], sizes[n], keys[n]) for n in names]
        stages.append(
            StageQuota(
                quota=np.array([stage.get(n, 0) for n in names], np.int64),
                draws=np.array(drawn, np.int64),
                rows=rows,
                key=np.array([keys[n] for n in names], np.uint64),
                offset=offset,
                sizes=all_sizes,
            )
        )
    return Plan(names, tuple(stages))


def _count_draws(quota: int, sizes: Ints, key: int) -> int:
    """Return how many rows come nearest to a quota; the smaller number on a tie, at least 1."""
    one_pass = int(sizes.sum())
    passes, rest = divmod(quota, one_pass)
    if rest == 0:
        return passes * len(sizes)
    rows = permute(len(sizes), len(sizes), key, passes)
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
