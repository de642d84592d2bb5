"""The plan as people read it: one line a source, asked and got in every unit."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from tasks.mixture.plan import INTERVAL, Plan

Ints = npt.NDArray[np.int64]
UNITS = ("rows", "tokens", "supervised_tokens")


class Got(BaseModel):
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
    share_got: Got
    note: str = ""


class PlanTable(BaseModel):
    """The ``--json`` form of ``temper plan``."""

    model_config = ConfigDict(frozen=True)

    digest: str
    unit: str
    total: int
    sources: tuple[PlanLine, ...]
    gates: tuple[str, ...] = ()


Sizes = Mapping[str, Ints]
"""source -> units of each row."""


def drawn(plan: Plan, sizes: Mapping[str, Sizes]) -> dict[str, dict[str, int]]:
    """Return the units drawn from each source: source -> unit -> sum.

    Args:
        plan: Walked over once, an interval in memory at a time.
        sizes: For each unit, the units of each source's rows.
    """
    result = {name: dict.fromkeys(sizes, 0) for name in plan.names}
    for part in plan.parts(INTERVAL):
        for i, name in enumerate(plan.names):
            rows = part.row[part.source == i]
            for unit, of_source in sizes.items():
                result[name][unit] += int(of_source[name][rows].sum())
    return result


def shares_got(units: Mapping[str, Mapping[str, int]]) -> dict[str, Got]:
    """Return the shares that came out, by source, in every unit."""
    totals = {u: max(sum(line[u] for line in units.values()), 1) for u in UNITS}
    return {n: Got(**{u: line[u] / totals[u] for u in UNITS}) for n, line in units.items()}


def markdown(table: PlanTable) -> str:
    """Return the plan as a Markdown table."""
    head = ["source", "role", "weight", "share", "rows", "tokens", "supervised", "epochs", "got"]
    lines = [_cells(head), _cells(["---"] * len(head))]
    lines += [_cells(cells(line, table.unit)) for line in table.sources]
    return "\n".join(lines)


def notes(table: PlanTable) -> list[str]:
    """Return what the stars of the table mean, and what the gates can tell."""
    stars = [f"* {line.name}: {line.note}" for line in table.sources if line.note]
    return stars + [f"gate {told}" for told in table.gates]


def cells(line: PlanLine, unit: str) -> list[str]:
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


def _cells(texts: Sequence[str]) -> str:
    return "| " + " | ".join(t.replace("|", "\\|") for t in texts) + " |"
