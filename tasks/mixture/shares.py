"""Weights to shares to quotas: pure arithmetic, exact in integers."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from configs.stages import Mixture
from tasks.errors import InsufficientData


class Stock(NamedTuple):
    """What one source offers.

    Attributes:
        units: Size of one pass, in the mixture's unit; None when it is made to measure
            (rehearsal that has not been generated yet).
    """

    name: str
    role: str
    weight: float
    units: int | None


def shares(stocks: Sequence[Stock], domain_share: float) -> dict[str, Fraction]:
    """Return each source's share of the whole; sums to exactly 1.

    Weights are relative within a role; ``domain_share`` splits the roles. Without a general
    source, or at ``domain_share`` 1, the general role gets nothing.
    """
    domain = Fraction(str(domain_share))
    of_role = {"domain": domain, "general": 1 - domain}
    weights = {s.name: Fraction(str(s.weight)) for s in stocks}
    totals = {role: sum((weights[s.name] for s in stocks if s.role == role), Fraction(0))
              for role in of_role}  # fmt: skip
    return {s.name: of_role[s.role] * weights[s.name] / totals[s.role] for s in stocks}


def largest_remainder(total: int, parts: Mapping[str, Fraction]) -> dict[str, int]:
    """Return integers that sum to ``total`` in proportion to ``parts`` (Hamilton's method).

    Ties go to the name that sorts first, so the order of the list never matters.
    """
    exact = {name: total * share for name, share in parts.items()}
    floors = {name: math.floor(value) for name, value in exact.items()}
    left = total - sum(floors.values())
    by_remainder = sorted(parts, key=lambda n: (floors[n] - exact[n], n))
    return {n: floors[n] + (n in by_remainder[:left]) for n in parts}


def total_units(mixture: Mixture, stocks: Sequence[Stock]) -> int:
    """Return the size asked for: the budget, or what ``domain_epochs`` over the domain makes."""
    if mixture.size.budget is not None:
        return mixture.size.budget
    domain = sum(s.units or 0 for s in stocks if s.role == "domain")
    epochs = Fraction(str(mixture.size.domain_epochs))
    return round(domain * epochs / Fraction(str(mixture.domain_share)))


def quotas(mixture: Mixture, stocks: Sequence[Stock]) -> dict[str, int]:
    """Return the units to draw from each source.

    Raises:
        InsufficientData: A source has too little and ``on_shortage`` allows no way out, or a
            source with a positive weight would get nothing.
    """
    parts = shares(stocks, mixture.domain_share)
    total = total_units(mixture, stocks)
    asked = largest_remainder(total, parts)
    most = {s.name: _most(mixture, s) for s in stocks}
    short = [s for s in stocks if (cap := most[s.name]) is not None and asked[s.name] > cap]
    if short and mixture.on_shortage == "shrink":
        total = min(math.floor((most[s.name] or 0) / parts[s.name]) for s in short)
        asked = largest_remainder(total, parts)
    elif short:
        worst = min(short, key=lambda s: ((most[s.name] or 0) / parts[s.name], s.name))
        raise _shortage(mixture, worst, asked[worst.name], most[worst.name] or 0)
    for stock in stocks:
        if parts[stock.name] > 0 and asked[stock.name] == 0:
            raise InsufficientData(
                f"source '{stock.name}' has a positive share but gets 0 of {total} {mixture.unit}.",
                where="mixture.size", fix="raise the size, or its weight, or drop the source.",
            )  # fmt: skip
    return asked


def allowed_epochs(mixture: Mixture, role: str) -> Fraction:
    """Return how often a source of that role may be repeated under the shortage policy."""
    if mixture.on_shortage == "repeat":
        return Fraction(str(mixture.max_epochs))
    asked = Fraction(str(mixture.size.domain_epochs or 1)) if role == "domain" else Fraction(1)
    return max(asked, Fraction(1))


def _most(mixture: Mixture, stock: Stock) -> int | None:
    if stock.units is None:
        return None
    return math.floor(stock.units * allowed_epochs(mixture, stock.role))


def _shortage(mixture: Mixture, stock: Stock, asked: int, most: int) -> InsufficientData:
    repeat = ("raise mixture.max_epochs" if mixture.on_shortage == "repeat"
              else "set mixture.on_shortage: repeat (or shrink)")  # fmt: skip
    return InsufficientData(
        f"source '{stock.name}' must give {asked} {mixture.unit} but can give {most} at most.",
        where=f"sources.{stock.name}",
        fix=f"{repeat}, or lower its weight, or bring more of its data.",
    )
