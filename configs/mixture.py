"""The mixture: shares, size, schedule and repetition of what is trained on."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from configs.section import Name, Section, rule_error


class MixtureSize(Section):
    """How big the mixture is: passes over the domain data, or a total. Exactly one."""

    domain_epochs: PositiveFloat | None = None
    budget: PositiveInt | None = Field(None, description="total, in the mixture's unit")

    @model_validator(mode="after")
    def _one_of_two(self) -> "MixtureSize":
        if (self.domain_epochs is None) == (self.budget is None):
            raise rule_error("give exactly one of domain_epochs and budget")
        return self


class MixtureStage(Section):
    """A part of the training, with a domain share of its own."""

    until: float = Field(gt=0, le=1, description="where it ends, of the whole mixture's units")
    domain_share: float = Field(gt=0, le=1)


class Mixture(Section):
    """Shares, size and repetition of the training mixture."""

    size: MixtureSize = MixtureSize(domain_epochs=1)
    domain_share: float = Field(0.75, gt=0, le=1, description="of the whole, in units")
    schedule: tuple[MixtureStage, ...] = Field(
        (), description="domain shares over the course of training, instead of domain_share"
    )
    weight_from: Literal["weight", "size"] = Field(
        "weight", description="size: a source's weight is multiplied by its size ** (1/temperature)"
    )
    temperature: float = Field(1.0, ge=1, description="above 1 large sources count for less")
    unit: Literal["supervised_tokens", "tokens", "rows"] = "supervised_tokens"
    max_epochs: PositiveFloat = Field(4, description="most passes over one source")
    on_shortage: Literal["error", "shrink", "repeat"] = "error"
    exclude_overlap_with: tuple[Name, ...] = Field(
        (), description="suites whose items may not occur in training rows"
    )
    rows_per_shard: PositiveInt = 8192

    @property
    def stages(self) -> tuple[MixtureStage, ...]:
        """The schedule; one stage where there is none."""
        return self.schedule or (MixtureStage(until=1, domain_share=self.domain_share),)

    @property
    def least_domain_share(self) -> float:
        """The smallest domain share of any stage."""
        return min(stage.domain_share for stage in self.stages)

    @model_validator(mode="after")
    def _stages_in_turn(self) -> "Mixture":
        ends = [stage.until for stage in self.schedule]
        if ends and (ends != sorted(set(ends)) or ends[-1] != 1):
            raise rule_error(
                f"the stages of schedule end at {', '.join(f'{e:g}' for e in ends)}.",
                fix="let each end after the one before it, and the last at 1.",
            )
        return self

    @model_validator(mode="after")
    def _epochs_fit(self) -> "Mixture":
        if (self.size.domain_epochs or 0) > self.max_epochs:
            raise rule_error(
                f"size.domain_epochs {self.size.domain_epochs:g} is over max_epochs "
                f"{self.max_epochs:g}.",
                fix="raise max_epochs or lower domain_epochs.",
            )
        return self
