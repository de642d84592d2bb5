"""The sections for model, quality, mixture and tracking; training has a file of its own."""

from typing import Literal, get_args

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from configs.backends import Backend
from configs.checks import LanguageCode, LanguageLimits, Mojibake, Personal, Secrets
from configs.local_backend import LocalBackend
from configs.section import Name, Section
from configs.text_rules import TextRules
from configs.training import Lora, Training

__all__ = [
    "CHECKS",
    "Backend",
    "CheckName",
    "LocalBackend",
    "Lora",
    "Mixture",
    "Model",
    "NearDuplicates",
    "Quality",
    "Severity",
    "Size",
    "Stage",
    "Target",
    "Tracking",
    "Training",
]


class Model(Section):
    """The base model: a hub id with its commit, a local folder, or ``package:NAME/FILE.gguf``."""

    path: str
    revision: str | None = Field(None, pattern=r"^[0-9a-f]{40}$")


CheckName = Literal[
    "format",
    "empty",
    "alternation",
    "first_user",
    "last_assistant",
    "reserved_tokens",
    "control_characters",
    "length",
    "unknown_fields",
    "reasoning_place",
    "tool_place",
    "tools_missing",
    "tool_unknown",
    "tool_id_twice",
    "tool_result_early",
    "tool_result_twice",
    "tool_result_missing",
    "tool_name_twice",
    "tool_undescribed",
    "tool_untyped",
    "pair_equal",
    "pair_empty",
    "pair_no_prompt",
    "reference_missing",
    "reference_answered",
    "missing_label",
    "duplicate",
    "label_conflict",
    "inconsistent_system",
    "inconsistent_tools",
    "inconsistent_reasoning",
    "row_count",
]

CHECKS: tuple[CheckName, ...] = get_args(CheckName)

Severity = Literal["report", "quarantine", "block"]
Target = Literal["none", "bedrock", "nova-lite-2-sft", "nova-lite-2-rft", "nova-lite-2-job"]


class NearDuplicates(Section):
    """When two texts say the same but for details: Jaccard similarity of their n-gram sets."""

    threshold: float = Field(0.8, ge=0.5, le=1, description="at least this similar")
    words: PositiveInt = Field(5, le=13, description="n of the word n-grams")
    chars: PositiveInt = Field(5, le=13, description="n of the character n-grams of short texts")
    short_words: PositiveInt = Field(20, ge=13, description="texts below are short")


class Quality(Section):
    """Which findings count and what a source may lose before it is blocked."""

    checks: tuple[CheckName, ...] = CHECKS
    severity: dict[CheckName, Severity] = Field(
        default_factory=dict,
        description="what a check's finding does, where it isn't its default: report (count it), "
        "quarantine (set the rows aside) or block (the source)",
    )
    target: Target = Field("none", description="the service whose rules the rows must keep, too")
    sanitise: bool = Field(
        False, description="take reserved tokens out of texts instead of setting rows aside"
    )
    on_fail: Literal["quarantine", "block"] = "quarantine"
    max_quarantine: float = Field(0.2, ge=0, le=1, description="above this share a source blocks")
    min_rows: PositiveInt = Field(1, description="fewer clean training rows block a source")
    max_chars: PositiveInt = Field(16_000, description="longest text of a row, in characters")
    near_duplicates: NearDuplicates | None = Field(None, description="off when absent")
    expectations: str | None = Field(None, description="a Great Expectations suite of yours (JSON)")
    min_chars: NonNegativeInt = Field(0, description="shortest text of a row, in characters")
    text_rules: Literal["auto", "on", "off"] = Field(
        "auto", description="rules for prose; auto: plain-text rows, which chat rows would fail"
    )
    rules: TextRules = TextRules()
    mojibake: Mojibake | None = Mojibake()
    languages: tuple[LanguageCode, ...] = Field((), description="wanted, e.g. [en]; empty: any")
    language: LanguageLimits = LanguageLimits()
    pii: Personal | None = Personal()
    secrets: Secrets | None = Secrets()
    min_class_rows: NonNegativeInt = Field(5, description="fewer training rows of a class: warn")
    max_class_share: float = Field(0.9, gt=0, le=1, description="a larger class: warn")

    @model_validator(mode="after")
    def _severities_can_be(self) -> "Quality":
        if self.severity.get("format") == "report":
            raise ValueError("severity.format can't be 'report': such rows can't be used at all")
        if self.severity.get("row_count") == "quarantine":
            raise ValueError("severity.row_count is 'report' or 'block': it is about no single row")
        return self


class Size(Section):
    """How big the mixture is: passes over the domain data, or a total. Exactly one."""

    domain_epochs: PositiveFloat | None = None
    budget: PositiveInt | None = Field(None, description="total, in the mixture's unit")

    @model_validator(mode="after")
    def _one_of_two(self) -> "Size":
        if (self.domain_epochs is None) == (self.budget is None):
            raise ValueError("give exactly one of domain_epochs and budget")
        return self


class Stage(Section):
    """A part of the training, with a domain share of its own."""

    until: float = Field(gt=0, le=1, description="where it ends, of the whole mixture's units")
    domain_share: float = Field(gt=0, le=1)


class Mixture(Section):
    """Shares, size and repetition of the training mixture."""

    size: Size = Size(domain_epochs=1)
    domain_share: float = Field(0.75, gt=0, le=1, description="of the whole, in units")
    schedule: tuple[Stage, ...] = Field(
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
    def stages(self) -> tuple[Stage, ...]:
        """The schedule; one stage where there is none."""
        return self.schedule or (Stage(until=1, domain_share=self.domain_share),)

    @property
    def least_domain_share(self) -> float:
        """The smallest domain share of any stage."""
        return min(stage.domain_share for stage in self.stages)

    @model_validator(mode="after")
    def _stages_in_turn(self) -> "Mixture":
        ends = [stage.until for stage in self.schedule]
        if ends and (ends != sorted(set(ends)) or ends[-1] != 1):
            raise ValueError(
                f"the stages of schedule end at {', '.join(f'{e:g}' for e in ends)}. "
                "Fix: let each end after the one before it, and the last at 1."
            )
        return self

    @model_validator(mode="after")
    def _epochs_fit(self) -> "Mixture":
        if (self.size.domain_epochs or 0) > self.max_epochs:
            raise ValueError(
                f"size.domain_epochs {self.size.domain_epochs:g} is over "
                f"max_epochs {self.max_epochs:g}. Fix: raise max_epochs or lower domain_epochs."
            )
        return self


class Tracking(Section):
    """Where the MLflow run goes."""

    experiment: str = Field("temper", min_length=1)
