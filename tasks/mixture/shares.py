"""Weights to shares to quotas: pure arithmetic, exact in integers."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from configs.mixture import Mixture, MixtureSize
from tasks.artifacts import TokenizedSource
from tasks.errors import InsufficientData


@dataclass(frozen=True)
class Supply:
    """What one source can give to a mixture: a tokenised source with its role and weight.

    Attributes:
        weight: As the recipe says it, relative to the other sources of the role.
        units: Size of one pass, in the mixture's unit; None when it is made to measure
            (rehearsal that has not been generated yet).
        tokens: Its rows; None where only its size matters, or there are none yet.
    """

    name: str
    role: str
    weight: float
    units: int | None
    tokens: TokenizedSource | None = None


class Shares(NamedTuple):
    """What each source is to have of the whole mixture.

    Attributes:
        whole: Source -> share; they sum to exactly 1.
        stages: The same, of each stage of the schedule in turn.
    """

    whole: dict[str, Fraction]
    stages: list[dict[str, Fraction]]


def plan_quotas(mixture: Mixture, supplies: Sequence[Supply]) -> list[dict[str, int]]:
    """Return the units to draw from each source, for every stage of the schedule in turn.

    Raises:
        InsufficientData: A source has too little and ``on_shortage`` allows no way out, or a
            source with a positive weight would get nothing.
    """
    shares = compute_shares(mixture, supplies)
    asked = apportion(count_total(mixture, supplies, shares), shares.whole)
    if short := _find_short(mixture, supplies, asked):
        # Of those that fall short, the one that allows the smallest mixture.
        limits = {s.name: (_most_units(mixture, s) or 0) / shares.whole[s.name] for s in short}
        worst = min(short, key=lambda s: (limits[s.name], s.name))
        raise _explain_shortage(mixture, supplies, worst, asked)
    for supply in supplies:
        if shares.whole[supply.name] > 0 and asked[supply.name] == 0:
            raise _explain_nothing(mixture, supplies, supply, asked)
    quotas: list[dict[str, int]] = [{} for _ in shares.stages]
    for name, units in asked.items():
        given, reached = 0, Fraction(0)
        for quota, stage in zip(quotas, shares.stages, strict=True):
            reached += stage[name]
            upto = round(units * reached / shares.whole[name]) if shares.whole[name] else 0
            quota[name], given = upto - given, upto
    return quotas


def compute_shares(mixture: Mixture, supplies: Sequence[Supply]) -> Shares:
    """Return each source's share of the whole mixture, in all and in each stage.

    Weights are relative within a role; a stage's domain share splits the roles. With ``weight_from:
    size`` a weight is taken times size ** (1/T) (T5's mixing, Raffel et al. 2020, 3.5.2), rounded
    to twelve digits, so that no machine's power function decides about a row.
    """
    weights = {s.name: Fraction(str(s.weight)) for s in supplies}
    for supply in supplies:
        if mixture.weight_from == "size" and supply.units is not None:
            power = max(supply.units, 1) ** (1 / mixture.temperature)
            weights[supply.name] *= Fraction(f"{power:.12e}")
    totals = {"domain": Fraction(0), "general": Fraction(0)}
    for supply in supplies:
        totals[supply.role] += weights[supply.name]
    stages, begin = [], Fraction(0)
    for stage in mixture.stages:
        end, domain = Fraction(str(stage.until)), Fraction(str(stage.domain_share))
        of_role = {"domain": (end - begin) * domain, "general": (end - begin) * (1 - domain)}
        stages.append(
            {s.name: of_role[s.role] * weights[s.name] / totals[s.role] for s in supplies}
        )
        begin = end
    whole = {s.name: sum((stage[s.name] for stage in stages), Fraction(0)) for s in supplies}
    return Shares(whole, stages)


def apportion(total: int, shares: Mapping[str, Fraction]) -> dict[str, int]:
    """Return integers that sum to ``total`` in proportion to ``shares`` (Hamilton's method).

    The largest remainders are rounded up. Ties go to the name that sorts first, so the order of
    the list never matters.
    """
    exact = {name: total * share for name, share in shares.items()}
    floors = {name: math.floor(value) for name, value in exact.items()}
    left = total - sum(floors.values())
    by_remainder = sorted(shares, key=lambda n: (floors[n] - exact[n], n))
    return {n: floors[n] + (n in by_remainder[:left]) for n in shares}


def count_total(mixture: Mixture, supplies: Sequence[Supply], shares: Shares) -> int:
    """Return the size of the mixture: the budget, or what ``domain_epochs`` over the domain makes.

    Under ``shrink`` it is no more than what every source can give its share of.
    """
    if mixture.size.budget is not None:
        total = mixture.size.budget
    else:
        domain = [s for s in supplies if s.role == "domain"]
        share = sum((shares.whole[s.name] for s in domain), Fraction(0))
        epochs = Fraction(str(mixture.size.domain_epochs))
        total = round(sum(s.units or 0 for s in domain) * epochs / share)
    short = _find_short(mixture, supplies, apportion(total, shares.whole))
    if not short or mixture.on_shortage != "shrink":
        return total
    return min(math.floor((_most_units(mixture, s) or 0) / shares.whole[s.name]) for s in short)


def allowed_epochs(mixture: Mixture, role: str) -> Fraction:
    """Return how often a source of that role may be repeated under the shortage policy."""
    if mixture.on_shortage == "repeat":
        return Fraction(str(mixture.max_epochs))
    asked = Fraction(str(mixture.size.domain_epochs or 1)) if role == "domain" else Fraction(1)
    return max(asked, Fraction(1))


def _find_short(
    mixture: Mixture, supplies: Sequence[Supply], asked: Mapping[str, int]
) -> list[Supply]:
    most = {s.name: _most_units(mixture, s) for s in supplies}
    return [s for s in supplies if (cap := most[s.name]) is not None and asked[s.name] > cap]


def _most_units(mixture: Mixture, supply: Supply) -> int | None:
    if supply.units is None:
        return None
    return math.floor(supply.units * allowed_epochs(mixture, supply.role))


def _explain_shortage(
    mixture: Mixture, supplies: Sequence[Supply], worst: Supply, asked: Mapping[str, int]
) -> InsufficientData:
    fixes = [
        *_find_remedies(mixture, supplies, asked),
        "bring more of its data, or lower its weight",
    ]
    return InsufficientData(
        f"source '{worst.name}' must give {asked[worst.name]} {mixture.unit} but can give "
        f"{_most_units(mixture, worst)} at most.",
        where=f"sources.{worst.name}",
        fix=f"{'; or '.join(fixes)}.",
    )


def _find_remedies(
    mixture: Mixture, supplies: Sequence[Supply], asked: Mapping[str, int]
) -> Iterator[str]:
    """Yield the changes of the section that make these quotas, or fewer of each, possible."""
    passes = _count_passes(mixture, supplies, asked)
    if _try_change(mixture, supplies, on_shortage="repeat", max_epochs=passes):
        yield f"set mixture.on_shortage: repeat and mixture.max_epochs: {passes:.0f}"
    smaller = _try_change(mixture, supplies, on_shortage="shrink")
    if smaller:
        yield (
            f"set mixture.on_shortage: shrink, which leaves {sum(smaller.values())} of "
            f"{sum(asked.values())} {mixture.unit}"
        )
    some_have_nothing = any(s.units == 0 for s in supplies if asked[s.name])
    if not smaller and not all(asked.values()) and not some_have_nothing:
        # Some have too little for the size, and for others the size is too small.
        budget = _least_budget(mixture, supplies)
        larger = mixture.model_copy(update={"size": MixtureSize(budget=budget)})
        shares = compute_shares(larger, supplies)
        quotas = apportion(count_total(larger, supplies, shares), shares.whole)
        passes = _count_passes(larger, supplies, quotas)
        yield (
            f"set mixture.size to {{budget: {budget}}}, mixture.on_shortage: repeat "
            f"and mixture.max_epochs: {passes:.0f}"
        )


def _count_passes(mixture: Mixture, supplies: Sequence[Supply], asked: Mapping[str, int]) -> float:
    """Return the passes over the data that meet all quotas, whole ones."""
    least = math.ceil(mixture.size.domain_epochs or 1)
    return float(max([least, *(-(-asked[s.name] // s.units) for s in supplies if s.units)]))


def _least_budget(mixture: Mixture, supplies: Sequence[Supply]) -> int:
    """Return the smallest size that gives every source with a share at least one unit."""
    return math.ceil(
        1 / min(share for share in compute_shares(mixture, supplies).whole.values() if share)
    )


def _try_change(
    mixture: Mixture, supplies: Sequence[Supply], **changes: object
) -> dict[str, int] | None:
    """Return the quotas of a changed section, or None if it couldn't be met either."""
    changed = mixture.model_copy(update=changes)
    shares = compute_shares(changed, supplies)
    asked = apportion(count_total(changed, supplies, shares), shares.whole)
    empty = any(shares.whole[name] > 0 and not units for name, units in asked.items())
    return None if empty or _find_short(changed, supplies, asked) else asked


def _explain_nothing(
    mixture: Mixture, supplies: Sequence[Supply], empty: Supply, asked: Mapping[str, int]
) -> InsufficientData:
    budget = _least_budget(mixture, supplies)
    # A size that gives it one unit may be more than other sources have.
    enough = _try_change(mixture, supplies, size=MixtureSize(budget=budget))
    fix = f"set mixture.size to {{budget: {budget}}} or more; or " if enough else ""
    return InsufficientData(
        f"source '{empty.name}' has a positive share but gets 0 of {sum(asked.values())} "
        f"{mixture.unit}.",
        where="mixture.size",
        fix=f"{fix}raise its weight, or drop the source.",
    )
