"""What a look found: states, a sentence each, and an estimate with what it rests on."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

State = Literal["ok", "warn", "refused", "unknown"]


class Look(BaseModel):
    """One thing looked at.

    Attributes:
        state: ``unknown`` is what could not be looked at, with the reason; it stops nothing.
        fix: What to change; empty where nothing need be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    state: State
    says: str
    fix: str = ""


class Estimate(BaseModel):
    """What a job will take.

    Attributes:
        memory_gib: Of one GPU (of the machine where it has none), at the worst step.
        available_gib: What it has of that.
        cost: In ``currency``; None where no price is known.
        assumptions: What the numbers rest on, a sentence each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    memory_gib: float
    available_gib: float | None
    hours: float
    cost: float | None
    currency: str
    assumptions: tuple[str, ...]


class Preflight(BaseModel):
    """Everything that was looked at; ``ok`` unless something would be refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: str
    looks: tuple[Look, ...]
    estimate: Estimate | None = None
    request: dict[str, Any] | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against submitting."""
        return all(look.state != "refused" for look in self.looks)

    def first_refused(self) -> Look | None:
        """Return what speaks against it first."""
        return next((look for look in self.looks if look.state == "refused"), None)
