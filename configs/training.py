"""The training section: method, parameters that learn, optimiser, layout of a step."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from configs.backends import Backend, LocalBackend
from configs.section import Name, Section, rule_error

Method = Literal["sft", "cpt", "dpo", "rft"]
Overflow = Literal["drop", "split", "error"]
RewardName = Annotated[
    str,
    Field(pattern=r"^(exact_match|label_match|json_valid|length|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$"),
]


class Lora(Section):
    """Low-rank adaptation (Hu et al. 2021)."""

    kind: Literal["lora"] = "lora"
    rank: PositiveInt = 16
    alpha: PositiveFloat = 32
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: tuple[str, ...] | Literal["all-linear"] = ("q_proj", "k_proj", "v_proj", "o_proj")
    rslora: bool = Field(
        False, description="scale by alpha/sqrt(rank), for high ranks (Kalajdzievski 2023)"
    )
    dora: bool = Field(
        False, description="learn magnitudes apart from directions (Liu et al. 2024); slower"
    )


class Dpo(Section):
    """Direct preference optimisation (Rafailov et al. 2023) on pairs of answers."""

    beta: PositiveFloat = Field(0.1, description="how dearly leaving the base model is paid for")
    loss: Literal["sigmoid", "ipo", "hinge"] = Field(
        "sigmoid", description="ipo (Azar et al. 2023) doesn't push settled pairs further apart"
    )


class Reward(Section):
    """One reward function and how much it counts.

    Shipped are ``exact_match`` (with the reference, but for case and spaces), ``label_match`` (the
    reference, and no other label of the data, stands in the answer), ``json_valid`` and ``length``
    (1 up to ``limit`` characters, falling to 0 at twice as many). ``module:function`` is yours.
    """

    name: RewardName
    weight: PositiveFloat = 1.0
    limit: PositiveInt = Field(400, description="characters, for length")


class Rft(Section):
    """Reinforcement fine-tuning: GRPO (Shao et al. 2024) on sampled answers."""

    functions: tuple[Reward, ...] = Field((), description="at least one, for method rft")
    generations: int = Field(8, ge=2, le=64, description="answers sampled for each row")
    max_new_tokens: PositiveInt = Field(128, description="longest answer")
    temperature: PositiveFloat = 1.0
    top_p: float = Field(1.0, gt=0, le=1)
    beta: NonNegativeFloat = Field(0.0, description="weight of the KL divergence from the base")
    clip: PositiveFloat = Field(0.2, description="most a token's probability ratio counts: 1 ± it")


class Validation(Section):
    """Loss on held-out rows (the dev split) while training goes on."""

    every: PositiveInt = Field(50, description="optimiser steps from one to the next")
    rows: PositiveInt = Field(200, description="most rows of each role")
    stop_on: Literal["domain", "general"] | None = Field(
        None,
        description="end when this role's loss has not improved for patience validations, and keep "
        "the weights of its lowest loss, whenever training ends",
    )
    patience: PositiveInt = 3
    min_delta: NonNegativeFloat = Field(0.0, description="nats a token that count as better")


class Training(Section):
    """How the model learns from the mixture."""

    method: Method = Field("sft", description="answers, plain text, pairs, or rewards")
    adapter: Lora | None = Field(Lora(), description="null: all parameters are trained")
    optimiser: Literal["adamw", "adafactor", "sgd"] = "adamw"
    learning_rate: PositiveFloat = 1e-4
    schedule: Literal["linear", "cosine", "constant"] = "cosine"
    warmup_ratio: float = Field(0.03, ge=0, le=1)
    weight_decay: float = Field(0.0, ge=0)
    beta1: float = Field(0.9, ge=0, lt=1, description="of adamw")
    beta2: float = Field(0.999, ge=0, lt=1, description="of adamw")
    max_grad_norm: PositiveFloat = 1.0
    batch_rows: PositiveInt = Field(
        16, description="rows (packs, where packing is on) an optimiser step, in plan order"
    )
    micro_batch_tokens: PositiveInt = Field(
        2048, description="tokens a forward pass; a step is made of as many as it takes"
    )
    sequence_length: PositiveInt = Field(
        1024, description="tokens of the longest row, or of a pack"
    )
    overflow: Overflow | None = Field(
        None, description="longer rows: drop (default), split (default for cpt) or error"
    )
    max_overlong_loss: float = Field(
        0.05,
        ge=0,
        le=1,
        description="share of a source's supervised tokens that longer rows may lose; more of it "
        "is refused",
    )
    packing: Literal["auto", "on", "off"] = Field(
        "auto", description="a step is of packs, filled to sequence_length; auto: for cpt"
    )
    loss_weight: dict[Name, NonNegativeFloat] = Field(
        default_factory=dict, description="source -> what its tokens count in the loss; else 1"
    )
    kl_to_base: NonNegativeFloat = Field(
        0.0, description="weight of the KL divergence from the base at supervised tokens"
    )
    blend: float = Field(
        1.0, gt=0, le=1, description="share of the learnt change that is kept: base + blend * it"
    )
    gradient_checkpointing: bool = Field(False, description="less memory, about a third slower")
    kernels: Literal["auto", "off"] = Field(
        "auto", description="Liger and FlashAttention where there are a GPU and the packages"
    )
    save_steps: PositiveInt = 50
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    validation: Validation | None = None
    dpo: Dpo = Dpo()
    rft: Rft = Rft()
    backend: Backend = LocalBackend()

    @property
    def packed(self) -> bool:
        """Whether an optimiser step is of packs."""
        return self.packing == "on" or (self.packing == "auto" and self.method == "cpt")

    @property
    def overlong(self) -> Overflow:
        """What becomes of rows over ``sequence_length``."""
        return self.overflow or ("split" if self.method == "cpt" else "drop")

    @model_validator(mode="after")
    def _method_has_its_parts(self) -> "Training":
        if self.method == "rft" and not self.rft.functions:
            raise rule_error(
                "method rft needs at least one reward.",
                fix="name one in training.rft.functions, e.g. [{name: exact_match}].",
            )
        if self.method in ("dpo", "rft"):
            self._refuse_for_answers()
        return self

    def _refuse_for_answers(self) -> None:
        """Refuse what makes sense for texts that are learnt token by token alone."""
        given = {
            "packing": self.packing == "on",
            "overflow": self.overflow == "split",
            "loss_weight": bool(self.loss_weight),
            "kl_to_base": self.kl_to_base > 0,
            "validation": self.validation is not None,
        }
        wrong = [name for name, used in given.items() if used]
        if wrong:
            raise rule_error(
                f"{wrong[0]} goes with methods sft and cpt, not {self.method}.",
                fix=f"leave training.{wrong[0]} out.",
            )
