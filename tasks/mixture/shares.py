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


def shares(mixture: Mixture, stocks: Sequence[Stock]) -> dict[str, Fraction]:
    """Return each source's share of the whole mixture; sums to exactly 1."""
    parts = [(width, stage_shares(mixture, stocks, share)) for width, share in _stages(mixture)]
    return {s.name: sum((w * p[s.name] for w, p in parts), Fraction(0)) for s in stocks}


def stage_shares(
    mixture: Mixture, stocks: Sequence[Stock], domain: Fraction
) -> dict[str, Fraction]:
    """Return each source's share of a stage whose domain share is ``domain``; sums to exactly 1.

    Weights are relative within a role; the domain share splits the roles.
    """
    of_role = {"domain": domain, "general": 1 - domain}
    weights = {s.name: _weight(mixture, s) for s in stocks}
    totals = {role: sum((weights[s.name] for s in stocks if s.role == role), Fraction(0))
              for role in of_role}  # fmt: skip
    return {s.name: of_role[s.role] * weights[s.name] / totals[s.role] for s in stocks}


def _weight(mixture: Mixture, stock: Stock) -> Fraction:
    """Return a weight as written, or times size ** (1/T) (T5's mixing, Raffel et al. 2020, 3.5.2).

    Rounded to twelve digits, so that no machine's power function decides about a row.
    """
    written = Fraction(str(stock.weight))
    if mixture.weight_from == "weight" or stock.units is None:
        return written
    return written * Fraction(f"{max(stock.units, 1) ** (1 / mixture.temperature):.12e}")


def _stages(mixture: Mixture) -> list[tuple[Fraction, Fraction]]:
    """Return how wide each stage is, of the whole, and its domain share."""
    ends = [Fraction(str(stage.until)) for stage in mixture.stages]
    widths = [end - begin for begin, end in zip([Fraction(0), *ends[:-1]], ends, strict=True)]
    return [(width, Fraction(str(stage.domain_share)))
            for width, stage in zip(widths, mixture.stages, strict=True)]  # fmt: skip


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
    share = sum((width * share for width, share in _stages(mixture)), Fraction(0))
    return round(domain * epochs / share)


def quotas(mixture: Mixture, stocks: Sequence[Stock]) -> dict[str, int]:
    """Return the units to draw from each source.

    Raises:
        InsufficientData: A source has too little and ``on_shortage`` allows no way out, or a
            source with a positive weight would get nothing.
    """
    parts = shares(mixture, stocks)
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


def stage_quotas(
    mixture: Mixture, stocks: Sequence[Stock], quota: Mapping[str, int]
) -> list[dict[str, int]]:
    """Return each source's quota cut into the stages of the schedule; they sum to the quota.

    Args:
        mixture: The recipe's section.
        stocks: The sources.
        quota: Units to draw from each over the whole mixture.
    """
    whole = shares(mixture, stocks)
    cut: list[dict[str, int]] = [{} for _ in mixture.stages]
    parts = [{n: width * p for n, p in stage_shares(mixture, stocks, share).items()}
             for width, share in _stages(mixture)]  # fmt: skip
    for name, units in quota.items():
        done, seen = 0, Fraction(0)
        for stage, part in zip(cut, parts, strict=True):
            seen += part[name]
            upto = round(units * seen / whole[name]) if whole[name] else 0
            stage[name], done = upto - done, upto
    return cut


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
