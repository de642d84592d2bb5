"""Whether a model says that it can't know."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from configs.metrics import Metric
from configs.suites.own_items import Answering

RATES: dict[str, Metric] = {
    "abstention": Metric("higher", "proportion"),
    "false_abstention": Metric("lower", "proportion"),
}
METRICS: dict[str, Metric] = {**RATES, "auroc": Metric("higher", "mean", 0.5, (0.0, 1.0))}


class AbstentionSuite(Answering):
    """Questions that can't be answered, beside some that can.

    For SelfAware (Yin et al. 2023, arXiv 2305.18153; a record says ``answerable``) and CoCoNot
    (Brahman et al. 2024, arXiv 2407.12043; ``contrast_path`` is its contrast set, whose prompts are
    to be answered), and files of your own. ``abstention`` is the share of unanswerable questions at
    which the model abstains (says it can't know, asks back, or declines), by rules that no human
    label has measured: compare two models by it, and don't quote it. ``auroc`` needs no such rules:
    it is how often a question that can be answered gets a surer answer than one that can't, sure
    being the answer's mean log-probability a token (Kadavath et al. 2022, arXiv 2207.05221). It
    needs a model that gives log-probabilities.
    """

    METRICS: ClassVar[dict[str, Metric]] = METRICS

    kind: Literal["abstention"]
    prompt: str | None = Field(None, description="column of the question; found when absent")
    answerable: str = Field("answerable", description="column that says true or false")
    contrast_path: str | None = Field(
        None, description="file of prompts that can be answered; path's then all can't be"
    )
    dev_contrast_path: str | None = Field(None, description="the same, asked where split is dev")
    category: str | None = Field("category", description="column of a category, where there is one")
    categories: tuple[str, ...] | None = Field(None, description="all when absent")
    confidence: bool = Field(False, description="measure auroc too")
    max_new_tokens: PositiveInt = Field(128, le=8192, description="tokens of an answer")
    batch_tokens: PositiveInt = 2048

    @model_validator(mode="after")
    def _contrast_on_both(self) -> "AbstentionSuite":
        if self.dev_contrast_path is not None and self.contrast_path is None:
            raise ValueError("dev_contrast_path goes with contrast_path: both splits ask the same")
        return self

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics this suite gives, by name."""
        return METRICS if self.confidence else RATES
