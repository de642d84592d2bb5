"""Weights to shares to quotas: pure arithmetic, exact in integers."""

import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from configs.mixture import Mixture, MixtureSize
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
    totals = {
        role: sum((weights[s.name] for s in stocks if s.role == role), Fraction(0))
        for role in of_role
    }
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
    return [
        (width, Fraction(str(stage.domain_share)))
        for width, stage in zip(widths, mixture.stages, strict=True)
    ]


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
    parts, asked = shares(mixture, stocks), _asked(mixture, stocks)
    short = _short(mixture, stocks, asked)
    if short:
        worst = min(short, key=lambda s: ((_most(mixture, s) or 0) / parts[s.name], s.name))
        raise _shortage(mixture, stocks, (worst, asked))
    for stock in stocks:
        if parts[stock.name] > 0 and asked[stock.name] == 0:
            raise _nothing(mixture, stocks, (stock, asked))
    return asked


def _asked(mixture: Mixture, stocks: Sequence[Stock]) -> dict[str, int]:
    """Return the units each source shall give; under ``shrink`` no more than it can."""
    parts, total = shares(mixture, stocks), total_units(mixture, stocks)
    asked = largest_remainder(total, parts)
    short = _short(mixture, stocks, asked)
    if not short or mixture.on_shortage != "shrink":
        return asked
    total = min(math.floor((_most(mixture, s) or 0) / parts[s.name]) for s in short)
    return largest_remainder(total, parts)


def _short(mixture: Mixture, stocks: Sequence[Stock], asked: Mapping[str, int]) -> list[Stock]:
    return [s for s in stocks if (cap := _most(mixture, s)) is not None and asked[s.name] > cap]


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
    parts = [
        {n: width * p for n, p in stage_shares(mixture, stocks, share).items()}
        for width, share in _stages(mixture)
    ]
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


def _shortage(
    mixture: Mixture, stocks: Sequence[Stock], found: tuple[Stock, Mapping[str, int]]
) -> InsufficientData:
    stock, asked = found
    fixes = [*_remedies(mixture, stocks, asked), "bring more of its data, or lower its weight"]
    return InsufficientData(
        f"source '{stock.name}' must give {asked[stock.name]} {mixture.unit} but can give "
        f"{_most(mixture, stock)} at most.",
        where=f"sources.{stock.name}",
        fix=f"{'; or '.join(fixes)}.",
    )


def _remedies(mixture: Mixture, stocks: Sequence[Stock], asked: Mapping[str, int]) -> Iterator[str]:
    """Yield the changes of the section that make these quotas, or fewer of each, possible."""
    repeated = {"on_shortage": "repeat", "max_epochs": _passes(mixture, stocks, asked)}
    told = f"mixture.on_shortage: repeat and mixture.max_epochs: {repeated['max_epochs']:.0f}"
    if _works(mixture, stocks, **repeated):
        yield f"set {told}"
    smaller = _works(mixture, stocks, on_shortage="shrink")
    if smaller:
        yield (
            f"set mixture.on_shortage: shrink, which leaves {sum(smaller.values())} of "
            f"{sum(asked.values())} {mixture.unit}"
        )
    if not smaller and not all(asked.values()):
        # Some have too little for the size, and for others the size is too small.
        larger = mixture.model_copy(
            update={"size": MixtureSize(budget=_least_budget(mixture, stocks))}
        )
        passes = _passes(
            larger, stocks, largest_remainder(total_units(larger, stocks), shares(larger, stocks))
        )
        yield (
            f"set mixture.size to {{budget: {larger.size.budget}}}, mixture.on_shortage: repeat "
            f"and mixture.max_epochs: {passes:.0f}"
        )


def _passes(mixture: Mixture, stocks: Sequence[Stock], asked: Mapping[str, int]) -> float:
    """Return the passes over the data that meet all quotas, whole ones."""
    least = math.ceil(mixture.size.domain_epochs or 1)
    return float(max(least, *(-(-asked[s.name] // s.units) for s in stocks if s.units)))


def _least_budget(mixture: Mixture, stocks: Sequence[Stock]) -> int:
    """Return the smallest size that gives every source with a share at least one unit."""
    return math.ceil(1 / min(share for share in shares(mixture, stocks).values() if share))


def _works(mixture: Mixture, stocks: Sequence[Stock], **changes: object) -> dict[str, int] | None:
    """Return the quotas of a changed section, or None if it couldn't be met either."""
    changed = mixture.model_copy(update=changes)
    parts, asked = shares(changed, stocks), _asked(changed, stocks)
    empty = any(parts[name] > 0 and not units for name, units in asked.items())
    return None if empty or _short(changed, stocks, asked) else asked


def _nothing(
    mixture: Mixture, stocks: Sequence[Stock], found: tuple[Stock, Mapping[str, int]]
) -> InsufficientData:
    stock, asked = found
    budget = _least_budget(mixture, stocks)
    # A size that gives it one unit may be more than other sources have.
    enough = _works(mixture, stocks, size=MixtureSize(budget=budget))
    fix = f"set mixture.size to {{budget: {budget}}} or more; or " if enough else ""
    return InsufficientData(
        f"source '{stock.name}' has a positive share but gets 0 of {sum(asked.values())} "
        f"{mixture.unit}.",
        where="mixture.size",
        fix=f"{fix}raise its weight, or drop the source.",
    )
