"""The plan as people read it: one line a source, asked and realised in every unit."""

import hashlib
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from configs.mixture import Mixture
from tasks.mixture.losses import describe_losses
from tasks.mixture.order import Ints
from tasks.mixture.plan import INTERVAL, Plan, make_plan, update_digest
from tasks.mixture.rows import open_rows
from tasks.mixture.shares import Supply, compute_shares, plan_quotas

UNITS = ("rows", "tokens", "supervised_tokens")


class RealisedShares(BaseModel):
    """Shares that came out, of each unit; each sums to 1 over the sources."""

    model_config = ConfigDict(frozen=True)

    rows: float
    tokens: float
    supervised_tokens: float


class PlanLine(BaseModel):
    """One source in the plan: what it was asked for and what it gives."""

    model_config = ConfigDict(frozen=True)

    name: str
    role: str
    weight: float
    share: float
    rows: int
    tokens: int
    supervised_tokens: int
    epochs: float
    share_got: RealisedShares
    note: str = ""


class PlanTable(BaseModel):
    """The ``--json`` form of ``temper plan``.

    Attributes:
        model: What is to be known of the base model's tokenizer and chat template.
    """

    model_config = ConfigDict(frozen=True)

    digest: str
    unit: str
    total: int
    sources: tuple[PlanLine, ...]
    gates: tuple[str, ...] = ()
    model: tuple[str, ...] = ()


def plan_table(
    mixture: Mixture,
    supplies: Sequence[Supply],
    seed: int,
    estimates: Mapping[str, Mapping[str, int]],
) -> PlanTable:
    """Return the plan of a mixture that is not going to be made.

    Args:
        mixture: The recipe's section.
        supplies: The sources; those that are still to be generated have no tokens.
        seed: The recipe's seed.
        estimates: What each of these is expected to give, in every unit.

    Raises:
        InsufficientData: A quota can't be met under the shortage policy.
    """
    quotas = [
        {n: units for n, units in stage.items() if n not in estimates}
        for stage in plan_quotas(mixture, supplies)
    ]
    sizes = read_sizes(supplies, mixture.unit)
    plan = make_plan(quotas, sizes, seed, rows_exact=mixture.unit == "rows")
    return make_table(mixture, supplies, plan, estimates)


def read_sizes(supplies: Sequence[Supply], unit: str) -> dict[str, Ints]:
    """Return the units of every row of each tokenised source, int64."""
    return {s.name: open_rows(s.tokens.rows_file).units(unit) for s in supplies if s.tokens}


def make_table(
    mixture: Mixture,
    supplies: Sequence[Supply],
    plan: Plan,
    estimates: Mapping[str, Mapping[str, int]],
) -> PlanTable:
    """Return what a plan asks of each source and what it gives; the plan is walked over once."""
    used = [s for s in supplies if s.name in plan.names]
    sizes = {unit: read_sizes(used, unit) for unit in UNITS}
    units = {s.name: dict.fromkeys(UNITS, 0) | dict(estimates.get(s.name, {})) for s in supplies}
    digest = hashlib.sha256("\x1f".join(plan.names).encode())
    for batch in plan.batches(INTERVAL):
        update_digest(digest, batch)
        for i, name in enumerate(plan.names):
            rows = batch.row[batch.source == i]
            for unit, of_source in sizes.items():
                units[name][unit] += int(of_source[name][rows].sum())
    shares = compute_shares(mixture, supplies).whole
    totals = {unit: max(sum(line[unit] for line in units.values()), 1) for unit in UNITS}
    lines = tuple(
        PlanLine(
            name=s.name,
            role=s.role,
            weight=s.weight,
            share=float(shares[s.name]),
            **units[s.name],
            epochs=1.0 if s.units is None else units[s.name][mixture.unit] / max(s.units, 1),
            share_got=RealisedShares(**{u: units[s.name][u] / totals[u] for u in UNITS}),
            note=_note(s, s.name in estimates),
        )
        for s in supplies
    )
    total = sum(line[mixture.unit] for line in units.values())
    return PlanTable(digest=digest.hexdigest(), unit=mixture.unit, total=total, sources=lines)


def _note(supply: Supply, estimated: bool) -> str:
    if supply.tokens is None:
        return "to be generated; estimated" if estimated else ""
    return "; ".join(describe_losses(supply.tokens))


def render_markdown(table: PlanTable) -> str:
    """Return the plan as a Markdown table."""
    head = ["source", "role", "weight", "share", "rows", "tokens", "supervised", "epochs", "got"]
    rows = [head, ["---"] * len(head), *(format_cells(line, table.unit) for line in table.sources)]
    return "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in rows)


def list_notes(table: PlanTable) -> list[str]:
    """Return what the stars of the table mean, what the model does, what the gates can tell."""
    stars = [f"* {line.name}: {line.note}" for line in table.sources if line.note]
    told = [f"model {said}" for said in table.model]
    return stars + told + [f"gate {said}" for said in table.gates]


def format_cells(line: PlanLine, unit: str) -> list[str]:
    """Return a line of the plan as text, the share got in the mixture's own unit last."""
    got = getattr(line.share_got, unit)
    return [
        line.name,
        line.role,
        f"{line.weight:g}",
        f"{line.share:.4f}",
        f"{line.rows:,}",
        f"{line.tokens:,}",
        f"{line.supervised_tokens:,}",
        f"{line.epochs:.2f}",
        f"{got:.4f}{' *' if line.note else ''}",
    ]
