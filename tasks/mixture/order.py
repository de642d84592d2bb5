"""The order of sources in the plan: fair at every prefix."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def fair_order(sizes: Mapping[str, Sequence[int] | Ints]) -> list[str]:
    """Return which source each position of the plan is drawn from.

    Worst-case fair queueing (WF2Q, Bennett and Zhang 1996) over sources that are never idle: of
    the sources whose next row has started in the ideal fluid mixture, the one whose row ends
    first. Every prefix is then within the longest row of the exact shares, for each source; with
    rows of size 1 that is within one row. All arithmetic is in integers, ties go by name.

    Args:
        sizes: For each source the sizes of its rows (units), in the order they are drawn.
    """
    names = sorted(n for n in sizes if len(sizes[n]))
    rows = {n: [int(s) for s in sizes[n]] for n in names}
    quota = {n: sum(rows[n]) or 1 for n in names}
    total = sum(quota.values())
    taken, used = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    order: list[str] = []
    spent = 0
    while names:
        name = _next(names, rows, quota, (taken, used, spent, total))
        order.append(name)
        size = rows[name][taken[name]]
        taken[name] += 1
        used[name] += size
        spent += size
        if taken[name] == len(rows[name]):
            names.remove(name)
    return order


def _next(
    names: Sequence[str],
    rows: Mapping[str, Sequence[int]],
    quota: Mapping[str, int],
    state: tuple[Mapping[str, int], Mapping[str, int], int, int],
) -> str:
    taken, used, spent, total = state
    started = [n for n in names if used[n] * total <= spent * quota[n]] or names
    best = started[0]
    for n in started[1:]:
        ends = used[n] + rows[n][taken[n]]
        if ends * quota[best] < (used[best] + rows[best][taken[best]]) * quota[n]:
            best = n
    return best
