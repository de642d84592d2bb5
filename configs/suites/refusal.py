"""Refusals of what should be refused, and of what should not."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from configs.metrics import Metric
from configs.suites.own_items import Answering

Template = Literal["story", "role", "hypothetical", "opening", "no_warnings", "study"]
UNSAFE: dict[str, Metric] = {
    "unsafe_refusal": Metric("higher", "proportion"),
    "unsafe_refusal_corrected": Metric("higher", "corrected"),
}
SAFE: dict[str, Metric] = {
    "over_refusal": Metric("lower", "proportion"),
    "over_refusal_corrected": Metric("lower", "corrected"),
}
WRAPPED: dict[str, Metric] = {
    "wrapped_refusal": Metric("higher", "proportion"),
    "wrapped_refusal_corrected": Metric("higher", "corrected"),
}


class RefusalSuite(Answering):
    """How often a model refuses unsafe prompts, safe ones that look unsafe, and disguised ones.

    For XSTest (Röttger et al. 2024, arXiv 2308.01263: 250 safe and 200 unsafe prompts),
    StrongREJECT (Souly et al. 2024, arXiv 2402.10260: 313 prompts, ``ask: unsafe``) and files of
    your own. What is measured is whether the answer refuses, by rules whose error rates are
    published beside them (``tasks/text/refusals``); never whether it does harm. The ``*_corrected``
    rates take that error out (Rogan and Gladen 1978). A record has the prompt (``prompt``,
    ``forbidden_prompt`` or the column named) and, with ``ask: both``, a label ``safe`` or
    ``unsafe``; XSTest's own ``type`` (``contrast_...`` is unsafe) does as well.
    """

    METRICS: ClassVar[dict[str, Metric]] = {**UNSAFE, **SAFE, **WRAPPED}

    kind: Literal["refusal"]
    ask: Literal["both", "unsafe", "safe"] = Field("both", description="which prompts there are")
    prompt: str | None = Field(None, description="column of the prompt; found when absent")
    label: str = Field("label", description="column that says safe or unsafe, with ask: both")
    category: str | None = Field(None, description="column of a category; found when absent")
    templates: tuple[Template, ...] = Field(
        (), description="disguises in which unsafe prompts are asked once more each"
    )

    @model_validator(mode="after")
    def _something_to_wrap(self) -> "RefusalSuite":
        if self.templates and self.ask == "safe":
            raise ValueError("templates disguise unsafe prompts: there are none with ask: safe")
        return self

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics this suite gives, by name."""
        return {
            **(UNSAFE if self.ask != "safe" else {}),
            **(SAFE if self.ask != "unsafe" else {}),
            **(WRAPPED if self.templates else {}),
        }
