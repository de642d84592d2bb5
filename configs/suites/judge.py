"""Answers judged by another model."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from configs.metrics import Metric
from configs.served import BedrockModel, Endpoint, SageMakerEndpoint
from configs.suites.open_answers import Questions

PAIRWISE: dict[str, Metric] = {
    "win_rate": Metric("higher", "mean", 0.0, (0.0, 1.0)),
    "wins": Metric("higher", "proportion"),
    "losses": Metric("lower", "proportion"),
    "order_decides": Metric("lower", "proportion"),
    "unjudged": Metric("lower", "proportion"),
}
RUBRIC: dict[str, Metric] = {
    "rubric_score": Metric("higher", "mean", 0.0, (0.0, 1.0)),
    "unjudged": Metric("lower", "proportion"),
}
Judge = Annotated[Endpoint | BedrockModel | SageMakerEndpoint, Field(discriminator="kind")]


class JudgeSuite(Questions):
    """Answers judged by a model that is served elsewhere (Zheng et al. 2023).

    ``pairwise``: the judge compares each answer with the reference, in both orders, and
    ``win_rate`` is 1 where the answer wins in both, 0 where it loses in both, else 1/2.
    ``order_decides`` is how often the verdict follows the position, so a judge that always says
    "first" shows itself. ``rubric``: the judge gives a score by your rubric, of which
    ``rubric_score`` runs from 0 (worst) to 1. A verdict that can't be read is a tie, or the worst
    score, and counted in ``unjudged``.

    A judge is a model: it has biases of its own (towards length, and towards answers like its own),
    and none of these figures is what people would say. Compare models by the same judge only.
    """

    METRICS: ClassVar[dict[str, Metric]] = {**PAIRWISE, **RUBRIC}

    kind: Literal["judge"]
    judge: Judge = Field(description="the model that judges, as it is served")
    mode: Literal["pairwise", "rubric"] = "pairwise"
    rubric: str = Field(
        "helpfulness, correctness, and following what the question asks for",
        min_length=1,
        description="what counts",
    )
    scale: int = Field(5, ge=2, le=100, description="best score of a rubric; 1 is the worst")
    judge_tokens: int = Field(256, ge=16, le=4096, description="of a verdict with its reasons")

    @model_validator(mode="after")
    def _judge_is_named(self) -> "JudgeSuite":
        if self.judge.revision is None:
            raise ValueError("judge.revision says which judge it is: verdicts of two aren't one's")
        return self

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics this suite gives, by name."""
        return PAIRWISE if self.mode == "pairwise" else RUBRIC
