"""The sections for model, quality, mixture, training and tracking."""

from typing import Annotated, Literal, get_args

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from configs.checks import LanguageCode, LanguageLimits, Mojibake, Personal, Secrets
from configs.section import Name, Section
from configs.text_rules import TextRules


class Model(Section):
    """The base model: a hub id with its commit, a local folder, or ``package:NAME/FILE.gguf``."""

    path: str
    revision: str | None = Field(None, pattern=r"^[0-9a-f]{40}$")


CheckName = Literal[
    "format", "empty", "alternation", "reserved_tokens", "control_characters",
    "length", "missing_label", "duplicate", "label_conflict",
]  # fmt: skip

CHECKS: tuple[CheckName, ...] = get_args(CheckName)


class Quality(Section):
    """Which findings count and what a source may lose before it is blocked."""

    checks: tuple[CheckName, ...] = CHECKS
    on_fail: Literal["quarantine", "block"] = "quarantine"
    max_quarantine: float = Field(0.2, ge=0, le=1, description="above this share a source blocks")
    min_rows: PositiveInt = Field(1, description="fewer clean training rows block a source")
    max_chars: PositiveInt = Field(16_000, description="longest text of a row, in characters")
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


class Size(Section):
    """How big the mixture is: passes over the domain data, or a total. Exactly one."""

    domain_epochs: PositiveFloat | None = None
    budget: PositiveInt | None = Field(None, description="total, in the mixture's unit")

    @model_validator(mode="after")
    def _one_of_two(self) -> "Size":
        if (self.domain_epochs is None) == (self.budget is None):
            raise ValueError("give exactly one of domain_epochs and budget")
        return self


class Mixture(Section):
    """Shares, size and repetition of the training mixture."""

    size: Size = Size(domain_epochs=1)
    domain_share: float = Field(0.75, gt=0, le=1, description="of the whole, in units")
    unit: Literal["supervised_tokens", "tokens", "rows"] = "supervised_tokens"
    max_epochs: PositiveFloat = Field(4, description="most passes over one source")
    on_shortage: Literal["error", "shrink", "repeat"] = "error"
    exclude_overlap_with: tuple[Name, ...] = Field(
        (), description="suites whose items may not occur in training rows"
    )
    rows_per_shard: PositiveInt = 8192

    @model_validator(mode="after")
    def _epochs_fit(self) -> "Mixture":
        if (self.size.domain_epochs or 0) > self.max_epochs:
            raise ValueError(
                f"size.domain_epochs {self.size.domain_epochs:g} is over "
                f"max_epochs {self.max_epochs:g}. Fix: raise max_epochs or lower domain_epochs."
            )
        return self


class Lora(Section):
    """Low-rank adaptation (Hu et al. 2021)."""

    kind: Literal["lora"] = "lora"
    rank: PositiveInt = 16
    alpha: PositiveFloat = 32
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: tuple[str, ...] | Literal["all-linear"] = ("q_proj", "k_proj", "v_proj", "o_proj")


class LocalBackend(Section):
    """A process of this machine."""

    kind: Literal["local"] = "local"
    threads: PositiveInt | None = Field(None, description="CPU threads; all when absent")


Backend = Annotated[LocalBackend, Field()]


class Training(Section):
    """Supervised fine-tuning with an adapter."""

    method: Literal["sft"] = "sft"
    adapter: Lora = Lora()
    learning_rate: PositiveFloat = 1e-4
    schedule: Literal["linear", "cosine", "constant"] = "cosine"
    warmup_ratio: float = Field(0.03, ge=0, le=1)
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: PositiveFloat = 1.0
    batch_rows: PositiveInt = Field(16, description="rows an optimiser step, in plan order")
    micro_batch_tokens: PositiveInt = Field(2048, description="tokens a forward pass, padded")
    sequence_length: PositiveInt = Field(1024, description="longer rows are left out and counted")
    save_steps: PositiveInt = 50
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    backend: Backend = LocalBackend()


class Tracking(Section):
    """Where the MLflow run goes."""

    experiment: str = Field("temper", min_length=1)
