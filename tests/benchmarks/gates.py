"""The gates' error and power by simulation, at full size: 10,000 comparisons a design and rule.

    python tests/benchmarks/gates.py [comparisons]

prints the tables; ``make bench ONLY=gates`` also keeps them as JSON. A world's true difference is
exactly the gate's threshold, so every PASS is false, and may be had by 5 % of comparisons.
"""

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from rare_worlds import (
    BITS,
    LOG_PROBS,
    log_normal,
    low_discordance,
    rare_bits,
    rare_class,
    rare_classes,
    rare_loss,
    uneven_clusters,
    uneven_strata,
    zipf,
)
from scipy import stats
from simulation import (
    hold,
    hold_advice,
    improve,
    pass_and_doubt,
    pass_rate,
    seen_advice,
    two_looks_rate,
)
from worlds import World, binary, clustered, macro_f1, rare

from tasks.metrics.intervals import paired_score

ALLOWED = 0.06
MARGINS = {100: 0.1, 500: 0.05, 2000: 0.02}
NARROW = {100: 0.05, 500: 0.03, 2000: 0.015}
"""Margins that so many items rarely show, so that there is advice to follow."""
Design = Callable[[int, float], World]


def designs(n: int) -> Iterator[Design]:
    """Yield every design that ``n`` items allow: macro-F1 takes five items a class."""
    yield binary
    yield clustered
    for classes in (5, 20, 77):
        if n >= 5 * classes:
            yield lambda n, d, k=classes: macro_f1(n, d, k)
    yield lambda n, d: macro_f1(n, d, 5, uneven=True)
    if n >= 500:
        yield lambda n, d: macro_f1(n, d, 20, uneven=True)


def doubtful(n: int) -> Iterator[Design]:
    """Yield the designs whose error is measured: all, and one that differs in few items alone.

    Without a difference nothing moves there, so it has no advice to follow.
    """
    yield from designs(n)
    yield rare


def errors(times: int) -> list[dict[str, Any]]:
    """Return the false-PASS rates, a row a design."""
    rows = []
    for n, margin in MARGINS.items():
        for make in doubtful(n):
            rates = {
                f"hold, margin {margin:g}": pass_rate(hold(margin), make(n, -margin), times),
                f"improve by {margin:g}": pass_rate(improve(margin), make(n, margin), times),
                "improve by 0": pass_rate(improve(0.0), make(n, 0.0), times),
            }
            rows.append({"design": make(n, 0.0).name, "n": n, **rates})
            print(_line(rows[-1]), flush=True)
    return rows


def rare_designs() -> Iterator[tuple[float, World]]:
    """Yield margins with worlds whose loss a spread hardly shows: rare, skewed, uneven."""
    for counts in ((195, 5), (500, 5, 5, 5, 5), (995, 5), (950, 50)):
        yield 0.02, rare_class(counts, 0.02)
        yield 0.02, rare_class(counts, 0.02, noise=0.02)
    yield 0.1, rare_classes((500, 5, 5, 5, 5), 0.1)
    yield 0.05, rare_classes((200,) + (6,) * 30, 0.05)
    for n in (30, 57, 100, 300, 1000):
        for span in (LOG_PROBS, None):
            yield 0.1, rare_loss(n, 0.05, 2.0, span)
            yield 0.1, rare_loss(n, 0.02, 5.0, span)
            yield 0.5, log_normal(n, 0.5, span=span)
        for bits in (BITS, None):
            yield 0.01, rare_bits(n, 0.01, 1.0, bits)
            yield 0.06, rare_bits(n, 0.02, 3.0, bits)
        for discordance in (0.01, 0.02, 0.05):
            yield 0.01, low_discordance(n, 0.01, discordance)
    for sizes in ([50] + [1] * 50, zipf(20, 100), zipf(50, 300), [10] * 6, [5] * 40):
        for proportion in (True, False):
            yield 0.1, uneven_clusters(sizes, -0.1, proportion)
    for few, many in ((3, 200), (10, 300)):
        yield 0.1, uneven_strata(few, many, -0.1)


def rare_errors(times: int) -> list[dict[str, Any]]:
    """Return the false-PASS rates where losses are rare, and the share that isn't judged at all."""
    rows = []
    for margin, world in rare_designs():
        passed, refused = pass_and_doubt(hold(margin), world, times)
        row = {"design": world.name, "n": world.n, "margin": margin}
        rows.append({**row, "hold": passed, "no interval": refused})
        print(_line(rows[-1]), flush=True)
    return rows


def two_looks(times: int) -> list[dict[str, Any]]:
    """Return the false-PASS rates of ``extend``, over both looks."""
    rows = []
    for n, margin in ((100, 0.1), (500, 0.05)):
        for make in list(designs(n))[:3]:
            rate = two_looks_rate(hold(margin), make(n, -margin), times)
            rows.append({"design": make(n, 0.0).name, "n": n, "hold, extend to 4 n": rate})
            print(_line(rows[-1]), flush=True)
    return rows


def advice(times: int) -> list[dict[str, Any]]:
    """Return what the advice of INCONCLUSIVE leads to; it claims to decide 80 %."""
    rows = []
    for n, margin in NARROW.items():
        for make in designs(n):
            held = hold_advice(hold(margin), make(n, 0.0), times)
            seen = seen_advice(improve(0.0), make(n, margin), times)
            rows.append(
                {
                    "design": make(n, 0.0).name,
                    "n": n,
                    "margin": margin,
                    "hold asks for": held.median,
                    "hold decides": held.decided,
                    "improve asks for": seen.median,
                    "improve decides": seen.decided,
                }
            )
            print(_line(rows[-1]), flush=True)
    return rows


def exact(n: int) -> dict[str, Any]:
    """Return the highest error of the paired score's lower end, by enumeration, not simulation.

    Over true differences from -0.2 to 0.2 by hundredths and discordances from 0.5 to 40 %.
    """
    cells = [(g, w) for g in range(n + 1) for w in range(n + 1 - g) if g + w <= 0.6 * n]
    lows = np.array([paired_score(g, w, n, 0.9).low for g, w in cells])
    counts = np.array([(g, w, n - g - w) for g, w in cells])
    worst: tuple[float, float, float] = (0.0, 0.0, 0.0)
    for difference in np.round(np.arange(-20, 21) / 100, 2):
        for discordance in (0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.4):
            if abs(difference) <= discordance:
                gain, loss = (discordance + difference) / 2, (discordance - difference) / 2
                chance = stats.multinomial.pmf(counts, n, [gain, loss, 1 - discordance])
                error = float(chance[lows > difference].sum())
                worst = max(worst, (error, float(difference), discordance))
    found = {
        "design": "binary, exact",
        "n": n,
        "highest error": worst[0],
        "difference": worst[1],
        "discordance": worst[2],
    }
    print(_line(found), flush=True)
    return found


def gates(times: int = 10_000) -> dict[str, Any]:
    """Measure everything; the ratio is the error allowed over the highest seen."""
    started = time.perf_counter()
    tables = {
        "errors": errors(times),
        "rare losses": rare_errors(times),
        "two looks": two_looks(times),
        "exact": [exact(n) for n in (100, 200)],
        "advice": advice(times // 5),
    }
    rates = [
        v
        for t in ("errors", "two looks")
        for row in tables[t]
        for k, v in row.items()
        if k not in ("design", "n")
    ]
    rates += [row["highest error"] for row in tables["exact"]]
    rates += [row["hold"] for row in tables["rare losses"]]
    powers = [row[k] for row in tables["advice"] for k in ("hold decides", "improve decides")]
    return {
        "name": "gates",
        "metric": f"highest false-PASS rate of {times:,} comparisons a design",
        "ours": max(rates),
        "peer": ALLOWED,
        "ratio": ALLOWED / max(rates),
        "target": 1.0,
        "peer_name": "allowed",
        "peer_version": "",
        "repeats": times,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "power": [min(powers), max(powers)],
        "seconds": time.perf_counter() - started,
        "tables": tables,
    }


def _line(row: dict[str, Any]) -> str:
    return "; ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())


if __name__ == "__main__":
    found = gates(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
    print(_line({k: v for k, v in found.items() if k != "tables"}))
