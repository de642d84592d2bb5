"""From tokenised sources to their plan, and to the table that people read."""

from collections.abc import Mapping, Sequence

from configs.mixture import Mixture
from tasks.artifacts import TokenizedSource
from tasks.mixture.plan import Plan, make_plan
from tasks.mixture.rows import open_rows
from tasks.mixture.shares import Stock, quotas, shares, stage_quotas
from tasks.mixture.table import UNITS, PlanLine, PlanTable, Sizes, drawn, shares_got

Weights = Mapping[str, float]
ROWS = "rows.arrow"
"""Where a tokenised source keeps its rows."""


def plan_of(
    mixture: Mixture, sources: Sequence[TokenizedSource], weights: Weights, seed: int
) -> Plan:
    """Return the plan over tokenised sources.

    Raises:
        InsufficientData: A quota can't be met under the shortage policy.
    """
    stocks = stocks_of(mixture, sources, weights)
    quota = quotas(mixture, stocks)
    used = [s for s in sources if quota[s.name]]
    stages = stage_quotas(mixture, stocks, quota)
    return make_plan(stages, sizes_of(used, mixture.unit), seed, mixture.unit == "rows")


def stocks_of(
    mixture: Mixture, sources: Sequence[TokenizedSource], weights: Weights
) -> list[Stock]:
    """Return what each tokenised source offers, in the mixture's unit."""
    return [Stock(s.name, s.role, weights[s.name], int(getattr(s, mixture.unit))) for s in sources]


def sizes_of(sources: Sequence[TokenizedSource], unit: str) -> Sizes:
    """Return the units of every row of each source, int64."""
    return {s.name: open_rows(s.path / ROWS).units(unit) for s in sources}


def plan_table(
    mixture: Mixture, sources: Sequence[TokenizedSource], weights: Weights, seed: int
) -> PlanTable:
    """Return the plan as it is shown and printed."""
    return table_of(mixture, sources, weights, plan_of(mixture, sources, weights, seed))


def table_of(
    mixture: Mixture, sources: Sequence[TokenizedSource], weights: Weights, plan: Plan
) -> PlanTable:
    """Return what a plan asks of each source and what it gives."""
    parts = shares(mixture, stocks_of(mixture, sources, weights))
    used = [s for s in sources if s.name in plan.names]
    units = {s.name: dict.fromkeys(UNITS, 0) for s in sources}
    units |= drawn(plan, {u: sizes_of(used, u) for u in UNITS})
    got = shares_got(units)
    lines = tuple(
        PlanLine(
            name=s.name,
            role=s.role,
            weight=weights[s.name],
            share=float(parts[s.name]),
            **units[s.name],
            epochs=units[s.name][mixture.unit] / max(int(getattr(s, mixture.unit)), 1),
            share_got=got[s.name],
        )
        for s in sources
    )
    total = sum(int(getattr(line, mixture.unit)) for line in lines)
    return PlanTable(digest=plan.digest(), unit=mixture.unit, total=total, sources=lines)
